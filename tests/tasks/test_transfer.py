"""A task starts from the backbone of another."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mmtasks.backbone import Backbone
from mmtasks.cli import main
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import WordTokenizer
from mmtasks.encoders.text import TransformerText
from mmtasks.errors import UserError
from mmtasks.fusion.transformer import JointTransformer
from mmtasks.tasks.transfer import init_backbone
from tests.small import FACTS, small_backbone
from tests.test_configs import FOLDER, tiny


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Of image and text; every weight 0.5."""
    state = {f"backbone.{name}": torch.full_like(w, 0.5) for name, w in small_backbone().state_dict().items()}
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {**state, "objectives.x.head.weight": torch.zeros(3)}, "mmtasks": {}}, path)
    return path


def text_alone(vocab_size: int = 20) -> Backbone:
    backbone = Backbone({"text": TransformerText(dim=16, num_layers=2, num_heads=2)}, JointTransformer(1), dim=16)
    backbone.build({"text": {**FACTS["text"], "vocab_size": vocab_size}})
    return backbone


def test_common_weights_are_taken_and_the_rest_is_said(checkpoint: Path) -> None:
    backbone = text_alone()
    said = init_backbone(backbone, checkpoint)
    state = backbone.state_dict()
    taken = {name for name, weight in state.items() if bool((weight == 0.5).all())}
    assert taken == set(state) & set(small_backbone().state_dict())
    new = [name for name in state if name not in taken]
    assert new and all(name.startswith("encoders.text.blocks.1.") for name in new)
    assert f"new, not in the checkpoint: encoders.text ({len(new)})" in said
    assert "left in the checkpoint: encoders.image" in said and "objectives" not in said


def test_another_shape_is_named_and_nothing_is_changed(checkpoint: Path) -> None:
    backbone = text_alone(vocab_size=30)
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    with pytest.raises(UserError, match=r"\(20, 16\), here it is \(30, 16\).*init_backbone_skip='\[encoders.text\]'"):
        init_backbone(backbone, checkpoint)
    assert all(torch.equal(before[name], weight) for name, weight in backbone.state_dict().items())


def test_what_is_skipped_stays(checkpoint: Path) -> None:
    backbone = text_alone(vocab_size=30)
    before = backbone.state_dict()["encoders.text.embedding.weight"].clone()
    init_backbone(backbone, checkpoint, skip=["encoders.text"])
    state = backbone.state_dict()
    assert torch.equal(state["encoders.text.embedding.weight"], before)
    assert bool((state["fusion.norm.weight"] == 0.5).all())


def test_a_checkpoint_with_nothing_in_common_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {"backbone.encoders.audio.x": torch.zeros(1)}, "mmtasks": {}}, path)
    with pytest.raises(UserError, match=r"no weight of this backbone; it holds encoders\.audio \(1\)"):
        init_backbone(text_alone(), path)


def words(*texts: str) -> dict[str, Any]:
    """What a checkpoint says of a processor that was fitted on these."""
    processor = TextProcessor(WordTokenizer())
    processor.fit(texts)
    return {"text": {"config": {}, "state": processor.state_dict()}, "image": {"config": {}, "state": {}}}


@pytest.fixture
def with_words(checkpoint: Path) -> Path:
    """The same, of somebody who read English."""
    saved = torch.load(checkpoint, weights_only=True)
    torch.save({**saved, "mmtasks": {"processors": words("red square")}}, checkpoint)
    return checkpoint


def test_vectors_of_other_words_are_refused_and_nothing_is_changed(with_words: Path) -> None:
    backbone = text_alone()
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    with pytest.raises(UserError, match=r"another vocabulary.*--init_backbone_skip='\[encoders\.text\]'"):
        init_backbone(backbone, with_words, processors=words("rotes quadrat"))
    assert all(torch.equal(before[name], weight) for name, weight in backbone.state_dict().items())


@pytest.mark.parametrize(
    ("texts", "skip"),
    [("red square", []), ("rotes quadrat", ["encoders.text"]), ("rotes quadrat", ["encoders.text.embedding"])],
)
def test_vectors_of_the_same_words_are_taken_and_others_left_out(with_words: Path, texts: str, skip: list[str]) -> None:
    backbone = text_alone()
    init_backbone(backbone, with_words, processors=words(texts), skip=skip)
    state = backbone.state_dict()
    assert bool((state["encoders.text.embedding.weight"] == 0.5).all()) == (not skip)
    assert bool((state["fusion.norm.weight"] == 0.5).all())


def test_the_command_compares_the_vocabularies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tokenizer = "--data.init_args.text.init_args.tokenizer"
    config = FOLDER / "scenes.yaml"
    command = ["fit", f"--config={config}", *tiny(config), "--trainer.accelerator=cpu"]
    command += [f"{tokenizer}=mmtasks.data.tokenizer.BPETokenizer", f"{tokenizer}.vocab_size=270"]
    assert main([*command, "--trainer.default_root_dir=one"]) == 0
    other = ["--data.init_args.train.init_args.seed=1", "--trainer.default_root_dir=two"]
    assert main([*command, *other, "--init_backbone_from=one/checkpoints/last.ckpt"]) == 2
    assert "encoders.text has learned another vocabulary" in capsys.readouterr().err
