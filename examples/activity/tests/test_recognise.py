"""A trained model names what a recording shows, by whatever descriptions one gives."""

from pathlib import Path

import numpy as np
import pytest

from activity.recognise import main
from activity.simulated import SimulatedMotion
from activity.tests.test_activity import CONFIG, tiny
from mmtasks.tasks.launch import launch


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a step of training."""
    run = tmp_path_factory.mktemp("run")
    options = ["--trainer.max_steps=1", "--trainer.enable_progress_bar=false", f"--trainer.default_root_dir={run}"]
    launch(["fit", f"--config={CONFIG}", *options, *tiny("data.init_args")])
    return run / "checkpoints" / "last.ckpt"


def test_descriptions_come_with_their_probability(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "window.npy", SimulatedMotion("test", number=1)[0].load())
    said = ["walking on level ground", "Riding a horse", "sitting"]
    capsys.readouterr()
    assert main([str(tmp_path / "window.npy"), *said, "--checkpoint", str(checkpoint)]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert sorted(description for _, description in lines) == sorted(said)
    shares = [float(share) for share, _ in lines]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.01)


def test_a_file_of_another_shape_is_one_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((9, 3)))
    assert main([str(tmp_path / "flat.npy"), "sitting", "--checkpoint", str(checkpoint)]) == 2
    assert "it must be (steps, 6)" in capsys.readouterr().err
