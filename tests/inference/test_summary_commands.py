"""From video files to a trained model to summaries, by the command line alone."""

import errno
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pytest
import torch
import yaml

from mmtasks.cli import main
from mmtasks.config import describe
from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.data.video_features import VideoProcessor
from mmtasks.errors import UserError
from mmtasks.inference import summary_commands
from mmtasks.inference.summary import Summarizer
from tests.clips import write_clip
from tests.flashes import write_flashes
from tests.inference.summaries import ENCODER, film, trained
from tests.small_video import write_h5


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films, their features, and models trained on them for an epoch."""
    folder = tmp_path_factory.mktemp("summaries")
    (folder / "encoder.yaml").write_text(yaml.safe_dump(ENCODER))
    rows = []
    for k in range(2):
        film(folder / f"film{k}.mp4", k, sound=k == 1)
        scores = np.random.default_rng(k).random(10).tolist()
        rows.append({"id": f"film{k}", "video": f"film{k}.mp4", "title": f"film number {k}", "scores": scores})
    (folder / "films.jsonl").write_text("\n".join(map(json.dumps, rows)))
    given = [f"--manifest={folder / 'films.jsonl'}", f"--encoder={folder / 'encoder.yaml'}", "--size", "48", "64"]
    assert main(["prepare", "video", *given, f"--output={folder / 'features.h5'}", "--rate=4"]) == 0
    trained(folder, text=False).rename(folder / "plain.ckpt")
    trained(folder, text=True).rename(folder / "titles.ckpt")
    return folder


def test_a_summary_is_written_for_each_file_and_a_bad_one_does_not_stop_the_rest(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    files = [str(work / "film0.mp4"), str(bad), str(work / "film1.mp4")]
    output = tmp_path / "out"
    call = ["summarize", *files, f"--checkpoint={work / 'plain.ckpt'}", f"--output={output}", "--ratio=0.3"]
    assert main(call) == 1
    told = capsys.readouterr()
    assert told.err.count("error:") == 1 and "bad.mp4: not a video" in told.err
    assert sorted(path.name for path in output.iterdir()) == ["film0", "film1"]
    for name in ("film0", "film1"):
        report = json.loads((output / name / "summary.json").read_text())
        length = sum(end - start for start, end in report["segments"])
        assert 1.9 <= length <= 3.01
        with av.open(str(output / name / "summary.mp4")) as summary:
            frames = [frame.time for frame in summary.decode(video=0)]
            assert bool(summary.streams.audio) == (name == "film1")
        assert frames[-1] + 0.1 == pytest.approx(length, abs=0.11)
        assert report["n_frames"] == 100 and report["shots"][-1][1] == 99
        assert len(report["scores"]) == len(report["picks"]) == 40
        assert (output / name / "storyboard.png").stat().st_size > 1000
        assert (output / name / "timeline.png").stat().st_size > 1000


def test_a_full_disk_costs_one_file(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = summary_commands.timeline

    def full(*given: Any, **options: Any) -> None:
        if "film0" in str(options):
            raise OSError(errno.ENOSPC, "No space left on device")
        draw(*given, **options)

    monkeypatch.setattr(summary_commands, "timeline", full)
    files = [str(work / f"film{k}.mp4") for k in range(2)]
    assert main(["summarize", *files, f"--checkpoint={work / 'plain.ckpt'}", f"--output={tmp_path}"]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1 and "film0.mp4: " in errors[0] and "No space left on device" in errors[0]
    assert (tmp_path / "film1" / "summary.json").exists()


def test_the_best_shots_are_chosen_and_a_budget_in_seconds_holds(work: Path) -> None:
    summarizer = Summarizer(work / "plain.ckpt")
    scored = summarizer.score(work / "film0.mp4")
    steps = len(scored.scores)
    scored = scored._replace(scores=np.where(np.arange(steps) // 4 == 6, 0.9, 0.1))
    summary = summarizer.choose(scored, seconds=1.2)
    assert len(summary.chosen) == 1
    assert summary.moments[0] == pytest.approx(6.0, abs=0.8)
    (start, end) = summary.segments[0]
    assert start == pytest.approx(6.0, abs=0.2) and end - start <= 1.2


def test_of_shots_longer_than_the_summary_pieces_are_shown(work: Path, tmp_path: Path) -> None:
    call = ["summarize", str(work / "film0.mp4"), f"--checkpoint={work / 'plain.ckpt'}", f"--output={tmp_path}"]
    whole = Summarizer(work / "plain.ckpt").summarize(work / "film0.mp4", ratio=1)
    assert min(end - start for start, end in whole.scored.spans) >= 0.7
    assert main([*call, "--seconds=0.6"]) == 0
    report = json.loads((tmp_path / "film0" / "summary.json").read_text())
    shots = report["shots"]
    assert [shots[0][0], shots[-1][1]] == [0, 99]
    assert all(after[0] == before[1] + 1 for before, after in pairwise(shots))
    assert max(last + 1 - first for first, last in shots) <= 6
    assert 0.3 <= sum(end - start for start, end in report["segments"]) <= 0.61


def test_times_of_shots_are_those_of_the_file(work: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    textures = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(4)]
    times = [*range(0, 2000, 250), *range(2000, 4000, 50), *range(4000, 6000, 250), *range(6000, 8000, 50)]
    clip = write_clip(tmp_path / "a.mp4", [textures[time // 2000] for time in times], times=times)
    scored = Summarizer(work / "plain.ckpt").score(clip)
    starts = [start for start, _ in scored.spans]
    for cut in (2.0, 4.0, 6.0):
        assert min(abs(start - cut) for start in starts) < 0.01
    assert scored.spans[-1][1] == pytest.approx(8.0, abs=0.1)


def uneven(path: Path) -> Path:
    """Nine seconds at four frames a second, then one at 36, a shot of a texture each second."""
    rng = np.random.default_rng(0)
    textures = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(10)]
    times = [*range(0, 9000, 250), *(9000 + round(1000 * k / 36) for k in range(36))]
    return write_clip(path, [textures[time // 1000] for time in times], times=times)


@pytest.mark.parametrize("budget", [{"ratio": 0.2}, {"seconds": 2.0}, {"seconds": 0.3}])
def test_a_budget_is_of_time_whatever_the_frame_rate(work: Path, tmp_path: Path, budget: dict[str, float]) -> None:
    clip = uneven(tmp_path / "a.mp4")
    allowed = budget.get("seconds", 2.0)
    for best in (4.0, 9.5):
        summarizer = Summarizer(work / "plain.ckpt")
        scored = summarizer.score(clip)
        scored = scored._replace(scores=np.exp(-np.abs(scored.seconds - best)))
        summary = summarizer.choose(scored, **budget)
        length = sum(end - start for start, end in summary.segments)
        assert allowed / 2 - 0.05 <= length <= allowed + 0.001
        assert any(start - 0.3 <= best <= end + 0.3 for start, end in summary.segments)


def test_files_of_uneven_rates_and_their_features_give_the_same(work: Path, tmp_path: Path) -> None:
    uneven(tmp_path / "a.mp4")
    (tmp_path / "m.jsonl").write_text(json.dumps({"id": "a", "video": "a.mp4"}))
    given = [f"--manifest={tmp_path / 'm.jsonl'}", f"--encoder={work / 'encoder.yaml'}", "--size", "48", "64"]
    assert main(["prepare", "video", *given, f"--output={tmp_path / 'a.h5'}", "--rate=4"]) == 0
    found = []
    for given in ([f"--manifest={tmp_path / 'm.jsonl'}"], [f"--h5={tmp_path / 'a.h5'}"]):
        output = tmp_path / "scores.jsonl"
        assert main(["predict", *given, f"--checkpoint={work / 'plain.ckpt'}", f"--output={output}"]) == 0
        found.append(json.loads(output.read_text()))
    np.testing.assert_allclose(found[0]["segments"], found[1]["segments"], atol=1e-3)
    [*_, (_, end)] = [(0, 0), *found[0]["segments"]]
    assert end <= 10.05


def test_neighbouring_shots_are_one_segment(work: Path) -> None:
    summarizer = Summarizer(work / "plain.ckpt")
    scored = summarizer.score(work / "film0.mp4")
    whole = summarizer.choose(scored, ratio=1.0)
    assert len(whole.chosen) == len(scored.spans) > 3
    assert whole.segments == [(0.0, pytest.approx(10.0, abs=0.01))]


def test_a_query_changes_what_a_model_of_titles_says(work: Path) -> None:
    summarizer = Summarizer(work / "titles.ckpt")
    scores = [summarizer.score(work / "film0.mp4", query=query).scores for query in ("", "film number 0", "number")]
    assert np.isfinite(scores).all()
    assert not np.allclose(scores[0], scores[1]) and not np.allclose(scores[1], scores[2])


def test_predict_scores_files_and_their_features_alike(work: Path, tmp_path: Path) -> None:
    lines = []
    for given in (f"--manifest={work / 'films.jsonl'}", f"--h5={work / 'features.h5'}"):
        output = tmp_path / "scores.jsonl"
        assert main(["predict", given, f"--checkpoint={work / 'titles.ckpt'}", f"--output={output}"]) == 0
        lines.append([json.loads(line) for line in output.read_text().splitlines()])
    assert [line["id"] for line in lines[0]] == ["film0", "film1"]
    for file, features in zip(*lines, strict=True):
        np.testing.assert_allclose(file["scores"], features["scores"], atol=2e-3)
        np.testing.assert_allclose(file["segments"], features["segments"], atol=0.02)
        assert file["picks"] == features["picks"]


def test_predict_chooses_what_summarize_shows(work: Path, tmp_path: Path) -> None:
    """Also where all shots are longer than the summary, of which both then offer pieces."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    write_clip(tmp_path / "a.mp4", [image] * 100)
    (tmp_path / "m.jsonl").write_text(json.dumps({"id": "a", "video": "a.mp4"}))
    given = [f"--checkpoint={work / 'plain.ckpt'}"]
    assert main(["predict", f"--manifest={tmp_path / 'm.jsonl'}", f"--output={tmp_path / 'o.jsonl'}", *given]) == 0
    assert main(["summarize", str(tmp_path / "a.mp4"), f"--output={tmp_path}", *given]) == 0
    predicted = json.loads((tmp_path / "o.jsonl").read_text())["segments"]
    assert predicted == json.loads((tmp_path / "a" / "summary.json").read_text())["segments"]
    assert 0.7 <= sum(end - start for start, end in predicted) <= 1.501


def test_what_was_scored_before_a_stop_is_kept(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score = Summarizer.score

    def stopped(self: Summarizer, path: Path, **options: Any) -> Any:
        if path.name == "film1.mp4":
            raise KeyboardInterrupt
        return score(self, path, **options)

    monkeypatch.setattr(Summarizer, "score", stopped)
    output = tmp_path / "o.jsonl"
    given = [f"--manifest={work / 'films.jsonl'}", f"--checkpoint={work / 'plain.ckpt'}", f"--output={output}"]
    assert main(["predict", *given]) == 130
    assert f"1 lines done are kept in {output}.part" in capsys.readouterr().err
    [line] = (tmp_path / "o.jsonl.part").read_text().splitlines()
    assert json.loads(line)["id"] == "film0" and not output.exists()
    monkeypatch.undo()
    assert main(["predict", *given]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["o.jsonl"]


def test_a_model_of_sound_hears_files_as_it_heard_their_features(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for k in range(2):
        write_flashes(tmp_path / f"film{k}.mp4") if k else film(tmp_path / f"film{k}.mp4", k)
    rows = [{"id": f"film{k}", "video": f"film{k}.mp4", "scores": [1, 2, 3]} for k in range(2)]
    (tmp_path / "films.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest, h5 = f"--manifest={tmp_path / 'films.jsonl'}", tmp_path / "features.h5"
    options = [f"--encoder={work / 'encoder.yaml'}", "--sound=log-mel", "--size", "48", "64"]
    assert main(["prepare", "video", manifest, *options, f"--output={h5}"]) == 0
    checkpoint, output = trained(tmp_path, text=False, sound=True), tmp_path / "scores.jsonl"
    lines = []
    for given in (manifest, f"--h5={h5}"):
        assert main(["predict", given, f"--checkpoint={checkpoint}", f"--output={output}"]) == 0
        lines.append([json.loads(line)["scores"] for line in output.read_text().splitlines()])
    for file, features in zip(*lines, strict=True):
        np.testing.assert_allclose(file, features, atol=2e-3)
    summarizer = Summarizer(checkpoint)
    [_, loud] = SummaryH5(str(h5))
    assert not np.allclose(summarizer.score_row(loud).scores, summarizer.score_row(replace(loud, sound=None)).scores)
    other = replace(loud, sound=lambda: torch.zeros(10, 3))
    with pytest.raises(UserError, match="features.h5:film1: sound of width 3, but the model learned from 40"):
        summarizer.score_row(other)
    call = ["predict", f"--h5={work / 'features.h5'}", f"--checkpoint={checkpoint}", f"--output={output}"]
    assert main(call) == 2
    assert "features.h5: holds no sound, which the model reads" in capsys.readouterr().err
    summary = ["summarize", str(tmp_path / "film1.mp4"), f"--checkpoint={checkpoint}", f"--output={tmp_path / 'out'}"]
    assert main([*summary, "--ratio=0.5"]) == 0


def test_a_model_of_sound_of_unknown_making_reads_no_files(tmp_path: Path, work: Path) -> None:
    rng = np.random.default_rng(0)
    write_h5(tmp_path / "features.h5", 2, sound=rng.standard_normal((12, 3)))
    processor = json.dumps(describe(VideoProcessor()))
    with h5py.File(tmp_path / "features.h5", "a") as file:
        file.attrs["processor"] = processor
    with pytest.raises(UserError, match="trained on sound of unknown making"):
        Summarizer(trained(tmp_path, text=False, sound=True))


def test_titles_are_nothing_to_a_model_that_reads_none(work: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.jsonl"
    given = f"--manifest={work / 'films.jsonl'}"
    assert main(["predict", given, f"--checkpoint={work / 'plain.ckpt'}", f"--output={output}"]) == 0
    assert len(output.read_text().splitlines()) == 2


def test_without_a_frame_rate_there_are_no_seconds(tmp_path: Path) -> None:
    write_h5(tmp_path / "features.h5", 2, fps=None)
    checkpoint, output = trained(tmp_path, text=False), tmp_path / "o.jsonl"
    given = [f"--h5={tmp_path / 'features.h5'}", f"--checkpoint={checkpoint}", f"--output={output}"]
    assert main(["predict", *given]) == 0
    first, second = (json.loads(line) for line in output.read_text().splitlines())
    assert first["segments"] is None and second["segments"] is not None
    assert len(first["scores"]) == len(first["picks"]) == 12


def test_features_of_another_encoder_are_named(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_h5(tmp_path / "other.h5", 2)
    call = ["predict", f"--h5={tmp_path / 'other.h5'}", f"--checkpoint={work / 'plain.ckpt'}"]
    assert main([*call, f"--output={tmp_path / 'o.jsonl'}"]) == 2
    error = capsys.readouterr().err
    assert "other.h5:video_1: features of width 6, but the model learned from 8" in error


def test_places_of_frames_from_files_to_summaries(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"--manifest={work / 'films.jsonl'}", f"--encoder={work / 'encoder.yaml'}", "--size", "48", "64"]
    assert main(["prepare", "video", *given, f"--output={tmp_path / 'features.h5'}", "--grid=2"]) == 0
    assert SummaryH5(str(tmp_path / "features.h5"))[0].load().shape == (20, 4, 8)
    checkpoint, output = trained(tmp_path, text=False), tmp_path / "scores.jsonl"
    for source in (f"--h5={tmp_path / 'features.h5'}", f"--manifest={work / 'films.jsonl'}"):
        assert main(["predict", source, f"--checkpoint={checkpoint}", f"--output={output}"]) == 0
        assert [len(json.loads(line)["scores"]) for line in output.read_text().splitlines()] == [20, 20]
    call = ["predict", f"--h5={tmp_path / 'features.h5'}", f"--output={output}"]
    assert main([*call, f"--checkpoint={work / 'plain.ckpt'}"]) == 2
    assert "film0: features of 4 places of width 8, but the model learned from 1 of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ratio=0"], "--ratio 0.0: give a share"),
        (["--ratio=1.5"], "--ratio 1.5: give a share"),
        (["--seconds=-3"], "--seconds -3.0: give a length above 0"),
        (["--seconds=nan"], "--seconds nan: give a length above 0"),
        (["--seconds=3", "--ratio=0.2"], "either --ratio or --seconds"),
        (["--output=FILE/out"], "out: cannot be made (Not a directory)"),
        (["--output=FILE"], "file: cannot be made (File exists)"),
        (["--seconds=0.01"], "no shot fits"),
        (["--query=cats"], "reads no query"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    work: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["summarize", str(work / "film0.mp4"), f"--checkpoint={work / 'plain.ckpt'}", f"--output={tmp_path}"]
    (tmp_path / "file").write_text("")
    assert main([*given, *(option.replace("FILE", str(tmp_path / "file")) for option in options)]) != 0
    error = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(error) == 1 and message in error[0]


def test_a_query_without_words_is_one_line(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(work / f"film{k}.mp4") for k in range(2)]
    assert main(["summarize", *files, f"--checkpoint={work / 'titles.ckpt'}", f"--output={tmp_path}", "--query= "]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--query ' ': no words are left" in error


def test_two_files_of_one_name_are_refused(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(work / "film0.mp4")] * 2
    assert main(["summarize", *files, f"--checkpoint={work / 'plain.ckpt'}", f"--output={tmp_path}"]) == 2
    assert "two of the files would be written to" in capsys.readouterr().err


def test_a_model_of_features_of_unknown_making_reads_no_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_h5(tmp_path / "features.h5", 3)
    checkpoint = trained(tmp_path, text=False)
    clip = film(tmp_path / "a.mp4", 0)
    assert main(["summarize", str(clip), f"--checkpoint={checkpoint}", f"--output={tmp_path / 'out'}"]) == 2
    assert "features of unknown making" in capsys.readouterr().err
    output = tmp_path / "scores.jsonl"
    assert (
        main(["predict", f"--h5={tmp_path / 'features.h5'}", f"--checkpoint={checkpoint}", f"--output={output}"]) == 0
    )
    assert len(output.read_text().splitlines()) == 3
