"""Work by several processes: in order, without anybody left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmtasks.data import processes
from mmtasks.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process does it all")
ITEMS = list(range(3 * processes.FEW))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 2)


def test_what_is_made_comes_in_order_and_few_items_stay_here() -> None:
    few = ITEMS[: processes.FEW]
    assert list(processes.in_processes(lambda i: (i, os.getpid()), few)) == [(i, os.getpid()) for i in few]
    made = list(processes.in_processes(lambda i: (-i, os.getpid()), ITEMS))
    assert [i for i, _ in made] == [-i for i in ITEMS] and os.getpid() not in {pid for _, pid in made}


def test_what_goes_wrong_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(processes.in_processes(lambda i: 1 // i, ITEMS))
    with pytest.raises(UserError, match="a process that prepared data was ended"):
        list(processes.in_processes(lambda i: os.kill(os.getpid(), signal.SIGKILL), ITEMS))


def test_nobody_is_left_where_the_first_process_is_killed(tmp_path: Path) -> None:
    work = f"""
import os, pathlib, time
from mmtasks.data import processes
processes.cores = lambda: 2
def make(i):
    pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()
    time.sleep(0.01 if i else 60)
list(processes.in_processes(make, range(3 * processes.FEW)))
"""
    first = subprocess.Popen([sys.executable, "-c", work])
    _until(lambda: len(list(tmp_path.iterdir())) == 2)
    others = [int(path.name) for path in tmp_path.iterdir()]
    time.sleep(1.5)  # one sleeps over the first item, the other has done the rest and waits for more
    first.kill()
    first.wait()
    _until(lambda: not any(map(_runs, others)))


def test_cores_are_shared_among_the_processes_that_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    assert processes.cores() == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert processes.cores() == 2


def _until(true) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("still not after 30 seconds")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
