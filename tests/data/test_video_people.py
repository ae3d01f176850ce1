"""What people said of every frame, from an h5 beside the files."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mmtasks.data.video_manifest import VideoRow
from mmtasks.data.video_people import read_people, with_people
from mmtasks.errors import UserError

CHOSEN = np.array([[0, 1, 1, 0], [1, 0, 0, 0]], dtype=np.uint8)


def write(path: Path, **videos: dict[str, Any]) -> str:
    with h5py.File(path, "w") as file:
        for name, group in videos.items():
            for key, value in group.items():
                file[f"{name}/{key}"] = value
    return str(path)


def row(name: str, **values: Any) -> VideoRow:
    return VideoRow(name, Path(f"{name}.mp4"), f"m.jsonl:{name}", **values)


def test_a_row_gets_what_was_said_of_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.array([[1.0, 2.0, 5.0]])
    write(tmp_path / "p.h5", a={"user_summary": CHOSEN}, b={"user_scores": scores}, other={"user_summary": CHOSEN})
    monkeypatch.setenv("PLACE", str(tmp_path))
    chosen, scored = with_people([row("a"), row("b", title="dogs")], "$PLACE/p.h5")
    np.testing.assert_array_equal(chosen.user_summary(np.arange(4)), CHOSEN > 0)
    assert chosen.user_scores(np.arange(4)) is None
    np.testing.assert_array_equal(scored.user_scores(np.arange(3)), scores)
    assert (scored.title, scored.people.n_frames) == ("dogs", 3)


def test_a_row_is_judged_in_one_place(tmp_path: Path) -> None:
    path = write(tmp_path / "p.h5", a={"user_summary": CHOSEN})
    own = row("b", scores=((1.0, 2.0),))
    assert with_people([own], path) == [own]
    with pytest.raises(UserError, match=r"m\.jsonl:b: nobody judged 'b' in .*p\.h5"):
        with_people([row("a"), row("b")], path)
    with pytest.raises(UserError, match=r"m\.jsonl:a: has scores or segments, but .*p\.h5 holds 'a' as well"):
        with_people([row("a", scores=((1.0, 2.0),))], path)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"fps": 30.0}, "holds neither user_summary nor user_scores"),
        ({"user_summary": np.zeros(4)}, r"user_summary has shape \(4,\)"),
        ({"user_summary": np.zeros((0, 4))}, r"user_summary has shape \(0, 4\)"),
        ({"user_scores": np.full((1, 4), np.nan)}, "user_scores has values that are not numbers"),
        ({"user_summary": CHOSEN, "user_scores": np.ones((2, 5))}, "different numbers of frames"),
    ],
)
def test_a_faulty_group_is_named(tmp_path: Path, group: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "p.h5", a=group)
    with pytest.raises(UserError, match=rf"p\.h5:a: .*{message}") as caught:
        read_people(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'none.h5'}: no such file")):
        read_people(str(tmp_path / "none.h5"))
    write(tmp_path / "dataset.h5")
    with h5py.File(tmp_path / "dataset.h5", "a") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(UserError, match=r"dataset\.h5:a: holds neither"):
        read_people(str(tmp_path / "dataset.h5"))
