"""``mmtasks prepare video``, from the command line to an h5 that trains."""

import errno
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

pytest.importorskip("av")

from mmtasks.backbone import Backbone
from mmtasks.cli import main
from mmtasks.data.summary import SummaryDataModule
from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.data.video_sound import SoundProcessor
from mmtasks.encoders.audio import ConformerAudio
from mmtasks.encoders.trained import TrainedEncoder
from mmtasks.errors import UserError
from mmtasks.inference import prepare_video
from tests.clips import grey, write_clip
from tests.flashes import FPS, write_flashes
from tests.small import FACTS, small_backbone

LEVELS = [20] * 20 + [240] * 20


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A description of a small encoder."""
    path = tmp_path / "encoder.yaml"
    path.write_text(
        "class_path: mmtasks.encoders.resnet.ResNetEncoder\n"
        "init_args: {layers: [1], base_width: 8, stem: small, positions: false, frozen: true}\n"
    )
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three videos, and a row with a broken one."""
    for name in "abc":
        write_clip(tmp_path / f"{name}.mp4", grey(LEVELS[ord(name) - 97 :]))
    (tmp_path / "broken.mp4").write_bytes(b"hello")
    rows = [{"id": n, "video": f"{n}.mp4", "title": f"film {n}", "scores": [[1, 5], [2, 3]]} for n in "abc"]
    rows.insert(1, {"id": "broken", "video": "broken.mp4"})
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def prepare(output: Path, encoder: Path, *arguments: object) -> int:
    given = ["prepare", "video", "--output", output, "--encoder", encoder, "--size", 8, 8, *arguments]
    return main([str(a) for a in given])


def test_a_manifest_becomes_an_h5_that_trains(tmp_path, manifest, encoder, capsys):
    output = tmp_path / "o.h5"
    assert prepare(output, encoder, "--manifest", manifest) == 1
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if "mmtasks: error" in line] == [
        line for line in said.err.splitlines() if "m.jsonl:2: " in line and "broken.mp4: not a video" in line
    ]
    assert "3 videos prepared, 1 left out" in said.out
    source = SummaryH5(str(output))
    assert [row.id for row in source] == ["a", "b", "c"]
    assert source[0].annotation.change_points[[0, -1], [0, 1]].tolist() == [0, 39]
    np.testing.assert_array_equal(source[0].target, [0] * 4 + [1] * 4)
    data = SummaryDataModule(source, source)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.inputs["video"].data.shape == (3, 8, 8)
    assert data.describe_processors()["video"]["config"]["init_args"]["size"] == [8, 8]


def test_what_people_chose_of_every_frame_comes_from_an_h5(tmp_path, manifest, encoder, capsys):
    chosen = {name: np.random.default_rng(0).random((3, frames)) > 0.5 for name, frames in (("a", 38), ("b", 30))}
    with h5py.File(tmp_path / "people.h5", "w") as file:
        for name, value in chosen.items():
            file[f"{name}/user_summary"] = value
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]  # of 40 and 39 frames
    assert prepare(tmp_path / "o.h5", encoder, *files, "--people", tmp_path / "people.h5") == 1
    [error] = [line for line in capsys.readouterr().err.splitlines() if "mmtasks: error" in line]
    assert "people.h5:b: of 30 frames, but the video has 39" in error
    [row] = SummaryH5(str(tmp_path / "o.h5"))
    assert (row.id, row.annotation.n_frames) == ("a", 38)
    np.testing.assert_array_equal(row.annotation.user_summary, chosen["a"])
    np.testing.assert_allclose(row.target, chosen["a"].mean(axis=0)[row.annotation.picks], atol=1e-6)


def test_what_people_said_later_of_finished_videos_is_refused(tmp_path, manifest, encoder, capsys):
    output, people = tmp_path / "o.h5", tmp_path / "people.h5"
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    with h5py.File(people, "w") as file:
        file["a/user_summary"], file["b/user_summary"] = np.ones((3, 40)), np.ones((3, 39))
    assert prepare(output, encoder, *files) == 0
    whole = output.read_bytes()
    capsys.readouterr()
    assert prepare(output, encoder, *files, "--people", people) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert "o.h5: holds 'a' and 1 more from before people judged them; choose another --output" in error
    assert output.read_bytes() == whole
    assert not (tmp_path / "o.h5.parts").exists()
    for run in ("2 videos prepared", "0 videos prepared, 2 were there"):  # the same call goes on with its own
        assert prepare(tmp_path / "new.h5", encoder, *files, "--people", people) == 0
        assert run in capsys.readouterr().out


@pytest.mark.parametrize(
    ("grid", "message"),
    [(0, "grid 0 must be at least 1"), (9, "grid 9: the features of a picture have only 4 x 4 places")],
)
def test_places_that_a_frame_has_not_are_one_line(tmp_path, manifest, encoder, capsys, grid, message):
    assert prepare(tmp_path / "o.h5", encoder, tmp_path / "a.mp4", "--grid", grid) != 0
    [error] = [line for line in capsys.readouterr().err.splitlines() if "mmtasks: error" in line]
    assert message in error


def test_a_second_run_does_only_what_is_missing(tmp_path, manifest, encoder, capsys, monkeypatch):
    output = tmp_path / "o.h5"
    prepare(output, encoder, tmp_path / "a.mp4", tmp_path / "b.mp4")
    done = []
    make = prepare_video._Worker.__call__
    monkeypatch.setattr(prepare_video._Worker, "__call__", lambda self, row: done.append(row.id) or make(self, row))
    capsys.readouterr()
    assert prepare(output, encoder, tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4") == 0
    assert done == ["c"]
    assert "1 videos prepared, 2 were there" in capsys.readouterr().out
    assert len(SummaryH5(str(output))) == 3


def test_a_run_that_is_stopped_leaves_what_was_finished(tmp_path, manifest, encoder, monkeypatch):
    output = tmp_path / "o.h5"
    make = prepare_video._Worker.__call__

    def stopped(self, row):
        if row.id == "c":
            raise KeyboardInterrupt
        return make(self, row)

    monkeypatch.setattr(prepare_video._Worker, "__call__", stopped)
    assert prepare(output, encoder, "--manifest", manifest) == 130
    assert [row.id for row in SummaryH5(str(output))] == ["a", "b"]


def test_an_error_of_the_disk_costs_one_video(tmp_path, manifest, encoder, monkeypatch, capsys):
    output, add = tmp_path / "o.h5", prepare_video.SummaryWriter.add

    def full(self, name, group):
        if name == "b":
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, name, group)

    monkeypatch.setattr(prepare_video.SummaryWriter, "add", full)
    assert prepare(output, encoder, tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4") == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "mmtasks: error" in line]
    assert len(errors) == 1 and "b.mp4: " in errors[0] and "No space left on device" in errors[0]
    assert [row.id for row in SummaryH5(str(output))] == ["a", "c"]


@pytest.mark.slow
def test_several_processes_give_the_same(tmp_path, manifest, encoder):
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    assert prepare(one, encoder, "--manifest", manifest) == 1
    assert prepare(two, encoder, "--manifest", manifest, "--jobs", 2) == 1
    for a, b in zip(SummaryH5(str(one)), SummaryH5(str(two)), strict=True):
        assert a.id == b.id
        torch.testing.assert_close(a.load(), b.load())
        np.testing.assert_array_equal(a.annotation.change_points, b.annotation.change_points)


def test_an_encoder_out_of_a_checkpoint(tmp_path):
    backbone = small_backbone()
    recipe = {"backbone": prepare_video.describe(backbone), "facts": FACTS}
    weights = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    path = tmp_path / "a.ckpt"
    torch.save({"mmtasks": recipe, "state_dict": weights}, path)
    clip = write_clip(tmp_path / "a.mp4", grey(LEVELS))
    assert prepare(tmp_path / "o.h5", path, clip) == 0
    features = SummaryH5(str(tmp_path / "o.h5"))[0].load()
    pixels = prepare_video.VideoProcessor(size=[8, 8])(clip).data
    image = backbone.encoders["image"].eval()
    torch.testing.assert_close(features, image.features(image.normalise(pixels)).mean(dim=1), atol=5e-3, rtol=5e-3)
    with pytest.raises(UserError, match="encoders of image, text, none of video"):
        TrainedEncoder(str(path), modality="video").build({})


def test_sound_stands_beside_the_features_of_the_videos_that_have_some(tmp_path, encoder):
    clips = [write_clip(tmp_path / "a.mp4", grey(LEVELS), sound=True), write_clip(tmp_path / "b.mp4", grey(LEVELS))]
    output = tmp_path / "o.h5"
    assert prepare(output, encoder, *clips, "--sound", "log-mel") == 0
    source = SummaryH5(str(output))
    assert source[0].sound().shape == (8, 40)
    assert source[1].sound is None
    assert source.processor["init_args"]["sound"]["init_args"]["encoder"]["class_path"].endswith("LogMelAudio")
    assert prepare(output, encoder, *clips) == 2  # features of another making


def test_the_sound_encoder_of_a_speech_model(tmp_path, encoder):
    backbone = Backbone({"audio": ConformerAudio(8, num_layers=1, num_heads=2)}, dim=8)
    facts = {"audio": {"rate": 8000}}
    backbone.build(facts)
    weights = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    path = tmp_path / "speech.ckpt"
    torch.save({"mmtasks": {"backbone": prepare_video.describe(backbone), "facts": facts}, "state_dict": weights}, path)
    clip = write_flashes(tmp_path / "a.mp4")
    assert prepare(tmp_path / "o.h5", encoder, clip, "--sound", path) == 0
    row = SummaryH5(str(tmp_path / "o.h5"))[0]
    speech = backbone.encoders["audio"].eval()
    expected = SoundProcessor(speech, rate=8000)(clip, row.annotation.picks / FPS)
    torch.testing.assert_close(row.sound(), expected, atol=5e-3, rtol=5e-3)
    with pytest.raises(UserError, match="audio reads 8000 samples a second, not 16000"):
        SoundProcessor(TrainedEncoder(str(path), modality="audio")).build()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either --manifest FILE or video files"),
        (["a.mp4", "--manifest", "m.jsonl"], "either --manifest FILE or video files"),
        (["a.mp4", "x/a.mp4"], "named 'a'"),
        (["a.mp4", "--encoder", "resnet7"], "--encoder resnet7"),
        (["a.mp4", "--encoder", "none.yaml"], "none.yaml: describes no encoder"),
        (["a.mp4", "--encoder", "none.ckpt"], "none.ckpt: no such checkpoint"),
        (["a.mp4", "--sound", "whale"], "--sound whale: give log-mel, a checkpoint or a YAML file"),
        (["a.mp4", "--sound", "none.ckpt"], "none.ckpt: no such checkpoint"),
        (["a.mp4", "--rate", "0"], "rate 0"),
        (["a.mp4", "--jobs", "0"], "--jobs 0"),
        (["a.mp4", "--clean", "dark"], "dark"),
        (["a.mp4", "--output", "none/o.h5"], "no folder none"),
    ],
)
def test_bad_options_are_told_in_a_line(tmp_path, encoder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert prepare(tmp_path / "o.h5", encoder, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("mmtasks: error: ")
    assert error.count("\n") == 1
    assert message in error
