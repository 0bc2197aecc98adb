"""A process that forks one child, with limits, for each file that it is to open, so that a death is only seen.

It imports the pack once; each child opens one file and is gone. Speaks lines of JSON on its standard streams.
"""

import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

MEMORY = 2 * 2**30
PROCESSOR_SECONDS = 20
WALL_SECONDS = 120
ROOT = Path(__file__).resolve().parents[2]


class Opener:
    """Opens files in children of a process of its own; a context manager."""

    def __enter__(self) -> "Opener":
        command = [sys.executable, "-m", "tests.fuzz.child"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, cwd=ROOT, text=True, env=environment, **pipes)
        return self

    def __exit__(self, *error) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def open(self, kind: str, path: Path) -> dict:
        """What the pack answers (see `readers.answer`), with `seconds` of processor time and `bytes` of memory."""
        print(json.dumps([kind, str(path)]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks the children is gone")
        return json.loads(line)


def failure(found: dict) -> str | None:
    """What is wrong with an answer: a death, a foreign word, too much time or memory; None if nothing is."""
    if "died" in found or "foreign" in found:
        return found.get("died") or found["foreign"]
    if found["seconds"] > PROCESSOR_SECONDS or found["bytes"] > MEMORY:
        return f"it took {found['seconds']:.1f} s and {found['bytes'] / 2**20:.0f} MB"
    return None


def main() -> None:
    import av  # noqa: F401
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401
    import torch

    from echomimic_core.evaluation import clips  # noqa: F401
    from echomimic_core.files import checkpoints  # noqa: F401
    from echomimic_core.media import video  # noqa: F401
    from echomimic_core.media.opencv import cv2
    from echomimic_core.models import audio_encoder  # noqa: F401
    from echomimic_core.pose import draw, files, keypoints  # noqa: F401
    from tests.fuzz.readers import answer

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for line in sys.stdin:
        kind, path = json.loads(line)
        print(json.dumps(_in_child(answer, kind, Path(path))), flush=True)


def _in_child(answer, kind: str, path: Path) -> dict:
    before = resource.getrusage(resource.RUSAGE_SELF)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            _limit()
            found = answer(kind, path)
            os.write(writer, json.dumps(found).encode()[:60_000])
            os._exit(0)
        finally:
            os._exit(3)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status, used = os.wait4(child, 0)
    found = json.loads(said) if said else {}
    if os.WIFSIGNALED(status):
        found["died"] = f"it died of {signal.Signals(os.WTERMSIG(status)).name}"
    elif not said:
        found["died"] = f"it ended with {os.waitstatus_to_exitcode(status)} and said nothing"
    unit = 1 if sys.platform == "darwin" else 1024
    grown = max(used.ru_maxrss - before.ru_maxrss, 0) * unit
    return found | {"seconds": used.ru_utime + used.ru_stime, "bytes": used.ru_maxrss * unit, "grown": grown}


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(WALL_SECONDS)
    faulthandler.disable()
    # A warning on the standard error of a decoder is no answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    main()
