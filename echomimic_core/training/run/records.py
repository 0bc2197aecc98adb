"""What a run tells: losses as lines of JSON, and losses and clips for TensorBoard where it is installed."""

import io
import itertools
import json
import logging
import math
import sys
from pathlib import Path

import numpy as np

from ...apdh.schedule import APDHState
from ...config import FPS
from ...files.durable import write_text

logger = logging.getLogger(__name__)

LOG, MEASURED, STARTS = "losses.jsonl", "validation.jsonl", "starts.jsonl"


class Records:
    """Writers for one run, resumed after `step` steps: lines of later steps, from before the run was cut, go.

    A run that starts afresh puts logs that it finds, of one that left no checkpoint, aside as losses-1.jsonl and so on.
    """

    def __init__(self, output: Path, step: int):
        output.mkdir(parents=True, exist_ok=True)
        self._output, path = output, output / LOG
        for log in (path, output / MEASURED):
            if log.exists() and step == 0:
                log.rename(_free_name(log))
            elif log.exists():
                kept = [line for line in log.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
                write_text(log, "".join(f"{line}\n" for line in kept))
        self._log = path.open("a", encoding="utf-8")
        self._board = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(output / "tensorboard"), purge_step=step + 1 if step else None)
        except ImportError:
            logger.warning("tensorboard is not installed: losses go to %s only", path)

    def write(self, step: int, values: dict[str, float], state: APDHState) -> None:
        line = {"step": step, "phase": state.phase, **{name: number(value) for name, value in values.items()}}
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name.replace("loss_", "loss/"), value, step)
            self._board.add_scalar("apdh/pose_dropout", state.pose_dropout, step)

    def start(self, line: dict) -> None:
        """How the run was started or gone on with: after which step, by what, and on what."""
        with (self._output / STARTS).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def measure(self, step: int, loss: float) -> None:
        """The loss on held-out clips."""
        with (self._output / MEASURED).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": step, "loss": number(loss)}) + "\n")
        if self._board is not None:
            self._board.add_scalar("loss/validation", loss, step)

    def clip(self, step: int, name: str, frames: np.ndarray) -> None:
        """A clip (F, h, w, 3) uint8, as a moving picture for TensorBoard."""
        if self._board is None:
            return
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        pictures = [Image.fromarray(frame) for frame in frames]
        data = io.BytesIO()
        pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=round(1000 / FPS), loop=0)
        height, width = frames.shape[1:3]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data.getvalue())
        self._board._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    def close(self) -> None:
        self._log.close()
        if self._board is not None:
            self._board.close()


def number(value: float) -> float | None:
    """A number as JSON has them: None for those that are not finite, such as a gradient that overflowed in fp16."""
    return round(value, 7) if math.isfinite(value) else None


def bar_options() -> dict[str, float]:
    """How often tqdm draws a bar: a log that is not a terminal gets a line every half minute at most."""
    seconds = 0.1 if sys.stderr.isatty() else 30.0
    return {"mininterval": seconds, "maxinterval": max(10.0, seconds)}


def _free_name(log: Path) -> Path:
    names = (log.with_stem(f"{log.stem}-{count}") for count in itertools.count(1))
    return next(name for name in names if not name.exists())


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        # The last line of a run that was killed while it wrote
        return float("inf")
