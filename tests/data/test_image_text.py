"""Samples, batches and the cache of a datamodule."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mmtasks.data.image_text import ImageTextDataModule
from mmtasks.data.images import ImageProcessor
from mmtasks.data.scenes.source import SceneRelations, Scenes
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import WordTokenizer
from mmtasks.encoders.base import Encoder
from mmtasks.types import Modality, Tokens


def datamodule(**options: object) -> ImageTextDataModule:
    """Six training scenes, three of each other split."""
    sources = {split: Scenes(split, number=6 if split == "train" else 3, size=16) for split in ("train", "val", "test")}
    text = TextProcessor(WordTokenizer())
    image = ImageProcessor(["RGB"])
    data = ImageTextDataModule(**{**sources, "text": text, "image": image, "batch_size": 3, **options})  # type: ignore[arg-type]
    data.setup()
    return data


class Counting(Encoder):
    """A frozen encoder that counts the samples it sees."""

    frozen = True
    width = 1

    def __init__(self, *, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = 0

    def forward(self, modality: Modality) -> Tokens:
        """The mean of each sample."""
        self.seen += len(modality.mask)
        x = modality.data.float().flatten(1).mean(dim=1)[:, None, None] * self.weight * self.factor
        return Tokens(x.expand(-1, 2, -1), torch.ones(len(x), 2, dtype=torch.bool))


def test_training_draws_captions_anew_each_epoch_and_evaluation_takes_all() -> None:
    data = datamodule(captions=2)
    train, val = data.datasets["train"], data.datasets["val"]
    assert [len(train[key].captions) for key in range(6)] == [2] * 6
    assert len(val[0].captions) == 5
    assert torch.equal(train[1].captions[0], train[1].captions[0])
    drawn = {tuple(train[1 + 6 * epoch].captions[0].tolist()) for epoch in range(20)}
    assert len(drawn) > 2


def test_batches_number_their_pictures() -> None:
    batch = next(iter(datamodule(captions=2).train_dataloader()))
    index = batch.target["image_index"].tolist()
    assert batch.target["text_index"].tolist() == [i for i in index for _ in range(2)]
    assert batch.inputs["image"].data.shape == (3, 1, 3, 16, 16)
    assert len(batch.inputs["text"].data) == 6


def test_labels_become_a_fact() -> None:
    sources = {split: SceneRelations(split, number=6, size=16) for split in ("train", "val")}
    data = datamodule(**sources)
    assert data.facts()["label"] == {"num_classes": 3}
    assert "label" in next(iter(data.train_dataloader())).target
    assert "label" not in datamodule().facts()


@pytest.mark.parametrize("name", ["image", "text"])
def test_a_frozen_encoder_sees_each_sample_once(tmp_path: Path, name: str) -> None:
    encoder = Counting()
    for _ in range(2):
        data = datamodule(feature_cache=str(tmp_path))
        data.cache_features(name, encoder, torch.device("cpu"))
        batch = next(iter(data.val_dataloader()))
        assert isinstance(batch.inputs[name], Tokens)
    plain = next(iter(datamodule().val_dataloader()))
    distinct = 12 if name == "image" else len({c for d in data.datasets.values() for r in d.rows for c in r.captions})
    assert encoder.seen == distinct
    if name == "image":
        expected = encoder(plain.inputs["image"]).x.half().float()
        torch.testing.assert_close(batch.inputs["image"].x, expected)


def test_other_weights_or_another_transform_make_another_cache(tmp_path: Path) -> None:
    encoder, data = Counting(), datamodule(feature_cache=str(tmp_path))
    data.cache_features("image", encoder, torch.device("cpu"))
    encoder.weight.data += 1
    data.cache_features("image", encoder, torch.device("cpu"))
    other = datamodule(feature_cache=str(tmp_path), image=ImageProcessor(["RGB", {"Resize": [8, 8]}]))
    other.cache_features("image", encoder, torch.device("cpu"))
    assert encoder.seen == 3 * 12
    assert len(list(tmp_path.iterdir())) == 3


def test_an_encoder_of_equal_weights_and_other_options_makes_another_cache(tmp_path: Path) -> None:
    data, features = datamodule(feature_cache=str(tmp_path)), []
    for factor in (1.0, 2.0):
        data.cache_features("image", Counting(factor=factor), torch.device("cpu"))
        features.append(data.datasets["val"][0].image)
    torch.testing.assert_close(features[1], 2 * features[0], rtol=1e-3, atol=0)


def test_training_draws_among_cached_views(tmp_path: Path) -> None:
    data = datamodule(feature_cache=str(tmp_path), views=[[{"Grayscale": {"num_output_channels": 3}}]])
    encoder = Counting()
    data.cache_features("image", encoder, torch.device("cpu"))
    assert encoder.seen == 12 + 6
    train, val = data.datasets["train"], data.datasets["val"]
    assert len({float(train[1 + 6 * epoch].image.sum()) for epoch in range(20)}) == 2
    assert len({float(val[1 + 3 * epoch].image.sum()) for epoch in range(20)}) == 1
