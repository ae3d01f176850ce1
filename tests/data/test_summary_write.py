"""Writing structured h5: what a reader gets, and that nothing is lost or half there."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from mmtasks.config import describe
from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.data.summary_write import SummaryWriter, group_of
from mmtasks.data.video_features import Steps, VideoProcessor
from mmtasks.data.video_manifest import FramePeople, VideoRow
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.errors import UserError

PROCESSOR = describe(VideoProcessor(2.0, size=[8, 8]))


def steps(seed: int = 0) -> Steps:
    """Three scenes of four steps, ten frames a second, a step every five frames from the third on."""
    rng = np.random.default_rng(seed)
    data = np.repeat(rng.standard_normal((3, 6)), 4, axis=0) + 0.01 * rng.standard_normal((12, 6))
    picks = 2 + 5 * np.arange(12)
    return Steps(torch.tensor(data, dtype=torch.float32), picks, 61, 10.0, picks / 10)


def row(name: str = "a", **values: object) -> VideoRow:
    return VideoRow(name, Path(f"{name}.mp4"), f"{name}.mp4", **values)  # type: ignore[arg-type]


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    output = tmp_path / "o.h5"
    writer = SummaryWriter(output, PROCESSOR)
    judged = row("b", title="dogs run", scores=((1.0, 2.0, 5.0), (2.0, 2.0, 2.0)))
    for each in (row("a"), judged):
        writer.add(each.id, group_of(each, steps()))
    writer.close()
    source = SummaryH5(str(output))
    assert [r.id for r in source] == ["a", "b"]
    assert source.processor == PROCESSOR
    plain, dogs = source
    assert plain.target is None
    assert plain.annotation.change_points.tolist() == [[0, 11], [12, 21], [22, 31], [32, 41], [42, 51], [52, 60]]
    torch.testing.assert_close(plain.load(), steps().data, atol=2e-3, rtol=0)
    np.testing.assert_array_equal(plain.seconds, steps().seconds)
    assert dogs.title == "dogs run"
    assert dogs.annotation.user_scores.shape == (2, 61)
    np.testing.assert_allclose(dogs.target, [0] * 4 + [1 / 4] * 4 + [1] * 4)
    assert list(tmp_path.iterdir()) == [output]


def test_places_are_written_as_they_are_and_do_not_change_the_shots() -> None:
    whole = steps()
    places = whole._replace(data=whole.data.unflatten(1, (2, 3)))
    group = group_of(row(), places)
    assert group["features"].shape == (12, 2, 3)
    assert group["change_points"].tolist() == group_of(row(), whole)["change_points"].tolist()


@pytest.mark.parametrize(("frames", "kept"), [(61, 12), (59, 12)])
def test_frames_at_the_end_that_nobody_judged_are_left_out(frames: int, kept: int) -> None:
    people = FramePeople("p.h5:a", None, np.arange(2 * frames).reshape(2, frames) % 3 == 0)
    group = group_of(row(people=people), steps())
    assert group["n_frames"] == frames
    assert group["change_points"][-1, 1] == frames - 1
    assert len(group["features"]) == len(group["picks"]) == len(group["seconds"]) == kept
    np.testing.assert_array_equal(group["user_summary"], people.user_summary)
    np.testing.assert_allclose(group["gtscore"], people.user_summary.mean(axis=0)[group["picks"]])


def test_a_step_at_a_frame_that_nobody_judged_is_left_out() -> None:
    late = steps()._replace(n_frames=58, sound=torch.zeros(12, 2))  # the last step shows frame 57
    group = group_of(row(people=FramePeople("p.h5:a", np.ones((1, 57), dtype=np.float32), None)), late)
    assert len(group["features"]) == len(group["sound"]) == group["n_steps"] == 11
    assert group["picks"][-1] == 52


@pytest.mark.parametrize("frames", [58, 62])
def test_people_of_another_video_are_refused(frames: int) -> None:
    people = FramePeople("p.h5:a", None, np.ones((2, frames), dtype=bool))
    with pytest.raises(UserError, match=rf"p\.h5:a: of {frames} frames, but the video has 61"):
        group_of(row(people=people), steps())


def test_steps_of_which_nobody_judged_one_are_refused() -> None:
    cleaned = Steps(torch.zeros(1, 6), np.array([59]), 61, 10.0, np.array([5.9]))
    people = FramePeople("p.h5:a", None, np.ones((2, 59), dtype=bool))
    with pytest.raises(UserError, match=r"p\.h5:a: no step is left within the 59 frames that people judged"):
        group_of(row(people=people), cleaned)


def test_chosen_stretches_become_frames(tmp_path: Path) -> None:
    group = group_of(row(segments=(((0.0, 1.0), (6.0, 9.0)), ())), steps())
    assert np.flatnonzero(group["user_summary"][0]).tolist() == [*range(10), 60]
    assert not group["user_summary"][1].any()
    assert group["gtscore"].tolist() == [0.5, 0.5] + [0.0] * 10
    assert group["n_frame_per_seg"].sum() == 61


def test_what_waits_is_kept_and_taken_up_by_the_next_run(tmp_path: Path) -> None:
    output = tmp_path / "o.h5"
    SummaryWriter(output, PROCESSOR).add("a", group_of(row(), steps()))
    (tmp_path / "o.h5.parts" / "half.123").write_bytes(b"not whole")
    (tmp_path / "o.h5.parts" / "torn.h5").write_bytes(b"not whole")
    assert not output.exists()
    again = SummaryWriter(output, PROCESSOR)
    assert again.done() == {"a"}
    again.add("b", group_of(row("b"), steps(1)))
    again.close()
    assert [r.id for r in SummaryH5(str(output))] == ["a", "b"]
    assert list(tmp_path.iterdir()) == [output]


def test_the_output_grows_by_doubling_and_is_always_whole(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path / "o.h5", PROCESSOR)
    held = []
    for k in range(9):
        writer.add(f"{k}", group_of(row(f"{k}"), steps(k)))
        writer.collect(always=False)
        held.append(len(SummaryH5(str(tmp_path / "o.h5"))))
    assert held == [1, 2, 2, 4, 4, 4, 4, 8, 8]
    writer.collect()
    assert writer.done() == {f"{k}" for k in range(9)}


def test_a_file_of_other_features_is_not_touched(tmp_path: Path) -> None:
    output = tmp_path / "o.h5"
    writer = SummaryWriter(output, PROCESSOR)
    writer.add("a", group_of(row(), steps()))
    other = describe(VideoProcessor(3.0, size=[8, 8]))
    assert SummaryWriter(output, other).done() == set()  # waiting ones of other features do not count
    writer.close()
    with pytest.raises(UserError, match=r"o\.h5: made with other options"):
        SummaryWriter(output, other)
    with h5py.File(output) as file:
        assert list(file) == ["a"]


@pytest.mark.parametrize("missing", ["grid", "sound", "encoder"])
def test_a_file_from_before_an_option_existed_is_gone_on_with(tmp_path: Path, missing: str) -> None:
    output = tmp_path / "o.h5"
    older = json.loads(json.dumps(PROCESSOR))
    del older["init_args"][missing]
    writer = SummaryWriter(output, older)
    writer.add("a", group_of(row(), steps()))
    assert SummaryWriter(output, PROCESSOR).done() == {"a"}  # as it waits
    writer.close()
    again = SummaryWriter(output, PROCESSOR)
    again.add("b", group_of(row("b"), steps(1)))
    again.close()
    source = SummaryH5(str(output))
    assert [r.id for r in source] == ["a", "b"]
    assert source.processor == PROCESSOR
    with pytest.raises(UserError, match="made with other options"):
        SummaryWriter(output, describe(VideoProcessor(2.0, size=[8, 8], clean=["black"])))


def test_an_option_of_an_encoder_inside_may_be_newer_than_the_file(tmp_path: Path) -> None:
    encoder = ResNetEncoder(layers=[1], base_width=8, stem="small")
    processor = describe(VideoProcessor(2.0, size=[8, 8], encoder=encoder))
    older = json.loads(json.dumps(processor))
    del older["init_args"]["encoder"]["init_args"]["frozen"], older["init_args"]["grid"]
    SummaryWriter(tmp_path / "o.h5", older).add("a", group_of(row(), steps()))
    assert SummaryWriter(tmp_path / "o.h5", processor).done() == {"a"}
    frozen = json.loads(json.dumps(processor))
    frozen["init_args"]["encoder"]["init_args"]["frozen"] = True  # not the default
    assert SummaryWriter(tmp_path / "o.h5", frozen).done() == set()


def test_files_that_cannot_be_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "o.h5").write_bytes(b"hello")
    with pytest.raises(UserError, match=r"o\.h5: not a readable h5"):
        SummaryWriter(tmp_path / "o.h5", PROCESSOR)
    with pytest.raises(UserError, match="cannot be written"):
        SummaryWriter(tmp_path / "none" / "o.h5", PROCESSOR)


def test_a_full_disk_is_a_line_and_what_is_finished_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SummaryWriter(tmp_path / "o.h5", PROCESSOR)
    writer.add("a", group_of(row(), steps()))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        for write in (lambda: writer.add("b", group_of(row("b"), steps())), writer.collect):
            with pytest.raises(UserError, match="needs 0 MB, but 0 MB are free") as caught:
                write()
            assert "\n" not in str(caught.value)
    broken = OSError("Unable to extend file properly, errno = 28, error message = 'no space\n left'")
    with monkeypatch.context() as patch:
        patch.setattr(h5py.Group, "create_group", lambda *_: (_ for _ in ()).throw(broken))
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
            writer.add("b", group_of(row("b"), steps()))
    assert len(list(writer.folder.iterdir())) == 1
    writer.close()
    assert [r.id for r in SummaryH5(str(tmp_path / "o.h5"))] == ["a"]
