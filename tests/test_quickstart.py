"""The first thing that a new user runs, with next to nothing to learn from."""

from pathlib import Path

import pytest
from PIL import Image

from mmtasks import quickstart
from tests.test_configs import tiny


@pytest.mark.slow
def test_all_three_tasks_are_trained_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quickstart, "PAIRS", 4)
    monkeypatch.setattr(quickstart, "FILMS", 1)
    monkeypatch.setattr("sys.argv", ["quickstart", *tiny(quickstart.CONFIG)])
    assert quickstart.main() == 0
    said = capsys.readouterr().out
    for part in ("picture of a caption (R@1 of 200)", "word error rate", "\n  heard  ", "Kendall's tau with viewers"):
        assert part in said
    shown = [Path(line.rpartition(": ")[2]) for line in said.splitlines() if line.endswith(".png")][-2:]
    assert [path.name for path in shown] == ["quickstart.png", "storyboard.png"]
    for path in shown:
        assert min(Image.open(path).size) > 100
