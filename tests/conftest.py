"""Paths and fixtures that several kinds of tests share."""

import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"

sys.path.insert(0, str(REPO / "demo"))


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real pictures, voices and poses beside the checkout; skips where there is none."""
    folder = SHARED / "samples"
    if not folder.is_dir():
        pytest.skip("no ../shared/samples beside this checkout")
    return folder
