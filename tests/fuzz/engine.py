"""Runs inputs of one kind through the pack, each in a child with limits, and finds the smallest that fails."""

import tempfile
from pathlib import Path

import hypothesis

from tests.fuzz.child import Opener, failure
from tests.fuzz.inputs import INPUTS
from tests.fuzz.readers import READERS

# A frame of a pose, whatever it holds, is read within these: folders have thousands of them.
FRAME_KINDS = ("pickle", "frame", "npy")
FRAME_SECONDS, FRAME_MEMORY = 1.0, 64 * 2**20


class Failed(AssertionError):
    """An input that does harm: `data`, and why."""

    def __init__(self, kind: str, data: bytes, why: str):
        super().__init__(f"{kind}: {why}\n{data[:2000]!r}")
        self.kind, self.data, self.why = kind, data, why


def check(kind: str, data: bytes, opener: Opener, folder: Path) -> dict:
    """What the pack answers to an input; raises `Failed` where that is not a sentence of ours."""
    path = folder / READERS[kind][1]
    path.write_bytes(data)
    found = opener.open(kind, path)
    why = failure(found)
    if why is None and kind in FRAME_KINDS and (found["seconds"] > FRAME_SECONDS or found["grown"] > FRAME_MEMORY):
        why = f"a frame took {found['seconds']:.2f} s and {found['grown'] / 2**20:.0f} MB"
    if why is not None:
        raise Failed(kind, data, why)
    return found


def run(kind: str, opener: Opener, examples: int, seed: int) -> tuple[dict[str, int], Failed | None]:
    """How many inputs of a kind were opened and how many were answered by a sentence; the smallest that failed."""
    counts = {"opened": 0, "said": 0}
    with tempfile.TemporaryDirectory() as name:

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(INPUTS[kind])
        def every(data: bytes) -> None:
            counts["opened" if "opened" in check(kind, data, opener, Path(name)) else "said"] += 1

        try:
            every()
        except Failed as found:
            return counts, found
    return counts, None
