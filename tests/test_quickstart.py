"""The first thing that a new user runs, with next to nothing to learn from."""

from pathlib import Path

import pytest
from PIL import Image

from mmtasks import quickstart
from mmtasks.errors import Interrupted
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


def test_what_a_person_can_mend_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["quickstart", "--trainer.max_epochs=many"])
    assert quickstart.main() == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Seed set")]
    assert line.startswith("mmtasks: error: ") and "max_epochs" in line


def test_a_stop_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        raise Interrupted("stopped at step 3; go on with: mmtasks fit")

    monkeypatch.setattr(quickstart, "train_and_show", stopped)
    assert quickstart.main() == 130
    assert capsys.readouterr().err == "\nmmtasks: stopped at step 3; go on with: mmtasks fit\n"
