"""What every part of the set-up shares: where things lie, and how to speak; standard library only."""

from __future__ import annotations  # So that an old Python gets to the sentence about its age

import shutil
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
CACHE = REPO / ".cache"


class SetupError(Exception):
    """What went wrong and what to do, in sentences."""


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(text, flush=True)


def tail(text: str, lines: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def disk_full() -> str:
    free = shutil.disk_usage(REPO).free / 2**30
    return f"The disk of {CACHE} is full ({free:.1f} GB free): free about 6 GB and run this again."
