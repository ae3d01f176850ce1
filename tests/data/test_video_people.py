"""What people said of every frame, from an h5 beside the files."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mmtasks.data.video_manifest import VideoRow
from mmtasks.data.video_people import with_people
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
    (chosen, scored), problems = with_people([row("a"), row("b", title="dogs")], "$PLACE/p.h5")
    assert not problems
    np.testing.assert_array_equal(chosen.user_summary(np.arange(4)), CHOSEN > 0)
    assert chosen.user_scores(np.arange(4)) is None
    np.testing.assert_array_equal(scored.user_scores(np.arange(3)), scores)
    assert (scored.title, scored.people.n_frames) == ("dogs", 3)


def test_a_row_is_judged_in_one_place(tmp_path: Path) -> None:
    path = write(tmp_path / "p.h5", a={"user_summary": CHOSEN})
    own = row("b", scores=((1.0, 2.0),))
    rows, problems = with_people([row("a"), row("c"), own, row("a", scores=((1.0, 2.0),))], path)
    assert [row.id for row in rows] == ["a", "b"]
    assert rows[1] == own
    assert re.match(r"m\.jsonl:c: nobody judged 'c' in .*p\.h5", problems[0])
    assert re.match(r"m\.jsonl:a: has scores or segments, but .*p\.h5 holds 'a' as well", problems[1])


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"fps": 30.0}, "holds neither user_summary nor user_scores"),
        ({"user_summary": np.zeros(4)}, r"user_summary has shape \(4,\)"),
        ({"user_summary": np.zeros((0, 4))}, r"user_summary has shape \(0, 4\)"),
        ({"user_scores": np.full((1, 4), np.nan)}, "user_scores has values that are not numbers"),
        ({"user_scores": [["good", "bad"]]}, "cannot be read"),
        ({"user_summary": CHOSEN, "user_scores": np.ones((2, 5))}, "different numbers of frames"),
    ],
)
def test_a_faulty_group_costs_its_row_and_is_named(tmp_path: Path, group: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "p.h5", a=group, b={"user_summary": CHOSEN})
    rows, [problem] = with_people([row("a"), row("b")], path)
    assert [row.id for row in rows] == ["b"]
    assert re.search(rf"p\.h5:a: .*{message}", problem)
    assert "\n" not in problem
    assert with_people([row("b")], path)[1] == []  # what no row asks for may be faulty


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'none.h5'}: no such file")):
        with_people([], str(tmp_path / "none.h5"))


def test_a_dataset_in_the_place_of_a_group_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "dataset.h5", "w") as file:
        file["a"] = np.zeros(3)
    _, [problem] = with_people([row("a")], str(tmp_path / "dataset.h5"))
    assert re.search(r"dataset\.h5:a: holds neither", problem)
