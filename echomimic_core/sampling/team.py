"""One clip on several devices: processes that each compute a share of every step's windows, and all know the results.

Windows of a step are independent. What is exchanged is their velocities, 0.15 MB a frame and step at 768x768, through
main memory (gloo), so that any kinds of devices go together. Velocities are summed in the order of the windows, as one
process sums them: where windows are batched alike, the results are equal to the last bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from ..runtime import Progress
from .memory import Batching, WindowRunner

# A member that has died is told by its connection; this is for one that hangs.
LONGEST_WAIT = timedelta(hours=2)


class TeamStoppedError(RuntimeError):
    """Another member gave up what all are at."""


class Team:
    """The members of a team, of which this process is number `rank` of `size`; number 0 leads.

    Whatever the members do together begins with `together`, so that one that gives up (`leave`) is heard by all others
    wherever they wait.
    """

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def together(self, well: bool = True) -> None:
        """Wait for all members; TeamStoppedError if one of them is not well, but for that one."""
        said = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(said, torch.tensor([int(well)]))
        ill = [rank for rank, value in enumerate(said) if not value]
        if ill and well:
            raise TeamStoppedError(f"process {ill[0] + 1} of {self.size} gave up this clip: its own message says why")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """What fails in here is heard by the others."""
        try:
            yield
        except TeamStoppedError:
            raise
        except Exception:
            self.together(well=False)
            raise

    def leaders(self, value: int) -> int:
        """The leader's value of a number that each member may see otherwise."""
        self.together()
        shared = torch.tensor([value])
        dist.broadcast(shared, 0)
        return int(shared)

    def least(self, value: int) -> int:
        """The smallest that any member says."""
        self.together()
        shared = torch.tensor([value])
        dist.all_reduce(shared, dist.ReduceOp.MIN)
        return int(shared)

    def leaders_tensor(self, tensor: torch.Tensor | None) -> torch.Tensor | None:
        """The leader's float32 tensor (four dimensions, in main memory) or its None, whatever others give."""
        shape = torch.zeros(4, dtype=torch.int64) if tensor is None or not self.leads else torch.tensor(tensor.shape)
        self.together()
        dist.broadcast(shape, 0)
        if not shape.any():
            return None
        shared = tensor.contiguous() if self.leads else torch.empty(shape.tolist())
        dist.broadcast(shared, 0)
        return shared

    def gather(self, values: torch.Tensor) -> list[torch.Tensor]:
        """The values of every member, in the order of their numbers; shapes are the same everywhere."""
        self.together()
        values = values.cpu().contiguous()
        everybodys = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(everybodys, values)
        return everybodys

    def run(
        self,
        windows: list[list[int]],
        runner: WindowRunner,
        compute: Callable[[int, list[list[int]], Batching], torch.Tensor],
        take: Callable[[int, list[list[int]], torch.Tensor], None],
        one_window: torch.Tensor,
        guided: bool,
        progress: Progress | None = None,
    ) -> None:
        """Have every window computed by one member and taken by all, in their order.

        Parameters
        ----------
        runner : of this member; the least that any member's takes at once is what each computes between exchanges.
        compute : (index of the first, windows, batching) -> velocities (results, windows * frames, c, height, width).
        take : called with (index of the first, windows, their velocities).
        one_window : zeros like the velocities of one window, in main memory.
        guided, progress : as `WindowRunner.run` takes them; progress is of all members together.
        """
        at_once = self.least(runner.batching.windows)
        for first in range(0, len(windows), self.size * at_once):
            if progress is not None:
                progress(first, len(windows))
            begins = [first + rank * at_once for rank in range(self.size)]
            parts = [windows[begin : begin + at_once] for begin in begins]
            values = one_window.repeat(1, at_once, *[1] * (one_window.ndim - 2))
            self._fill(values, begins[self.rank], parts[self.rank], runner, compute, guided)
            for begin, part, received in zip(begins, parts, self.gather(values), strict=True):
                if part:
                    take(begin, part, received[:, : sum(map(len, part))])

    @staticmethod
    def _fill(values: torch.Tensor, begin: int, windows: list, runner: WindowRunner, compute, guided: bool) -> None:
        """Compute windows of which the first has the index `begin`, into the first of the values."""

        def evaluate(first: int, batch: list[list[int]], batching: Batching) -> None:
            place = first * len(batch[0])
            values[:, place : place + sum(map(len, batch))] = compute(begin + first, batch, batching).cpu()

        if windows:
            runner.run(windows, evaluate, guided)


@contextmanager
def joined(rank: int, size: int, meeting: Path) -> Iterator[Team]:
    """The team of `size` processes that meet by a file, which must not be there yet; this one is number `rank`."""
    dist.init_process_group(
        "gloo", init_method=meeting.absolute().as_uri(), rank=rank, world_size=size, timeout=LONGEST_WAIT
    )
    try:
        yield Team(rank, size)
    finally:
        dist.destroy_process_group()
