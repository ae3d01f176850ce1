"""Rows of a manifest of video files."""

import json

import numpy as np
import pytest

from mmtasks.data.video_manifest import VideoManifest, video_files
from mmtasks.errors import UserError


def read(tmp_path, *rows):
    (tmp_path / "a.mp4").write_bytes(b"x")
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(json.dumps({"id": str(k), "video": "a.mp4"} | row) for k, row in enumerate(rows)))
    return VideoManifest(str(path))


def test_one_person_or_several(tmp_path):
    one, many, chose, chose_many, nobody = read(
        tmp_path,
        {"scores": [1, 3]},
        {"scores": [[1, 3], [2, 2, 5]], "title": "dogs", "category": "pets"},
        {"segments": [[0, 1], [2.5, 3]]},
        {"segments": [[[0, 1]], []]},
        {},
    )
    np.testing.assert_array_equal(one.user_scores(np.arange(5) / 10), [[1, 1, 1, 3, 3]])
    np.testing.assert_array_equal(many.user_scores(np.arange(6) / 10), [[1, 1, 1, 3, 3, 3], [2, 2, 2, 2, 5, 5]])
    assert (many.title, many.category) == ("dogs", "pets")
    np.testing.assert_array_equal(chose.user_summary(np.arange(7) / 2), [[1, 1, 0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(chose_many.user_summary(np.array([0.5, 2])), [[1, 0], [0, 0]])
    assert nobody.user_scores(np.arange(3)) is nobody.user_summary(np.arange(3)) is None


def test_scores_are_spread_over_time_whatever_the_frame_rate(tmp_path):
    [row] = read(tmp_path, {"scores": [1, 2, 3, 4]})
    seconds = np.array([0, 0.1, 0.2, 0.3, 1, 2, 3])  # to 3.5 s, a part of 0.875 s a score
    np.testing.assert_array_equal(row.user_scores(seconds), [[1, 1, 1, 1, 2, 3, 4]])
    np.testing.assert_array_equal(row.user_scores(np.zeros(1)), [[1]])
    assert all((row.user_scores(np.arange(n) / 29.97)[0] == 1 + np.arange(n) * 4 // n).all() for n in range(2, 300))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"video": "none.mp4"}, "no such video"),
        ({"video": 3}, "video is 3"),
        ({"video": "../a.mp4"}, "leaves the manifest's folder"),
        ({"id": "a/b"}, "id 'a/b'"),
        ({"title": 3}, "title"),
        ({"scores": "many"}, "scores must be a list of numbers"),
        ({"scores": [1, None]}, "scores must be"),
        ({"scores": [[1, 2], 3]}, "scores must be"),
        ({"scores": [float("nan")]}, "scores must be"),
        ({"scores": [[], [1]]}, "scores must be"),
        ({"segments": [1, 2]}, "segments must be"),
        ({"segments": [[2, 1]]}, r"segment \[2.0, 1.0\]"),
        ({"segments": [[1, 2, 3]]}, "segment"),
    ],
)
def test_a_faulty_row_is_left_out_and_named(tmp_path, row, problem):
    rows = read(tmp_path, row, {})
    assert [r.id for r in rows] == ["1"]
    [said] = rows.problems
    assert said.startswith("m.jsonl:1: ")
    with pytest.raises(UserError, match=problem):
        raise UserError(said)


def test_files_alone_are_named_by_their_stems(tmp_path):
    assert [row.id for row in video_files(["x/a.mp4", "y/b.mkv"])] == ["a", "b"]
    with pytest.raises(UserError, match="y/a.mkv: named 'a' like x/a.mp4"):
        video_files(["x/a.mp4", "y/a.mkv"])
