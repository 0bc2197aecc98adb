"""Worker processes: their results, their deaths, and that none outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from echomimic_core.workers.processes import Lost, run_tasks

REPO = Path(__file__).resolve().parents[3]


def work(task, tick):
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "fail":
        raise ValueError("this one is wrong")
    print("chatter")
    os.write(2, b"native chatter\n")
    tick(2)
    return task * 2


def run(tasks, count=2):
    done, units = {}, []
    for task, result in run_tasks(work, tasks, count, units.append):
        done[task] = result
    return done, sum(units)


def test_results_ticks_a_death_and_silence(capfd):
    """One run for all of it: starting a process costs more than what it does here."""
    done, units = run([1, "die", 2, 3], count=2)
    lost = done.pop("die")
    assert done == {1: 2, 2: 4, 3: 6} and units == 6
    assert isinstance(lost, Lost) and "SIGKILL" in lost.reason and "memory" in lost.reason
    assert capfd.readouterr() == ("", "")


def test_what_a_task_raises_is_raised_here():
    with pytest.raises(ValueError, match="this one is wrong"):
        run(["fail"], count=1)


PARENT = """
    import os, signal, sys, time
    from echomimic_core.workers.processes import run_tasks

    signal.signal(signal.SIGINT, signal.default_int_handler)  # What runs in the background of a shell ignores it

    def work(task, tick):
        with open(sys.argv[1] + f"/{os.getpid()}", "w"):
            pass
        time.sleep(600)

    if __name__ == "__main__":
        list(run_tasks(work, [1, 2], 2, lambda units: None))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, how):
    script, place = tmp_path / "parent.py", tmp_path / "pids"
    place.mkdir()
    script.write_text(textwrap.dedent(PARENT))
    parent = subprocess.Popen(
        [sys.executable, str(script), str(place)],
        env=os.environ | {"PYTHONPATH": str(REPO)},
        stderr=subprocess.DEVNULL,
        # As in a terminal, where Ctrl-C reaches the whole group; here it is sent to the parent alone.
        start_new_session=True,
    )
    try:
        for _ in range(6000):
            pids = [int(path.name) for path in place.iterdir()]
            if len(pids) == 2 or parent.poll() is not None:
                break
            time.sleep(0.01)
        assert len(pids) == 2
        parent.send_signal(how)
        parent.wait(60)
        # Nothing waits for a clock: each must be gone, and would stay for ten minutes if it did not watch.
        for _ in range(6000):
            if not any(alive(pid) for pid in pids):
                break
            time.sleep(0.01)
        assert not any(alive(pid) for pid in pids)
    finally:
        parent.kill()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(pid, 0)
        return True
