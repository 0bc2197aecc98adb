"""Results kept by the content of files, so that evaluating again costs only what has changed."""

import hashlib
import os
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...files.durable import Draft, WriteError, make_folder, reason

# Raised whenever an extraction changes its numbers.
VERSION = 8
BLOCK = 1 << 20


def default_folder() -> Path:
    """The user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    return Path(base) / "echomimicv2" / "evaluation"


def file_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder in the order of their names."""
    path = Path(path)
    if path.is_dir():
        parts = [f"{file.name}:{file_hash(file)}" for file in sorted(path.iterdir()) if file.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    status = path.stat()
    return _hash(str(path.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _hash(path: str, size: int, modified: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Cache:
    """Arrays by key in a folder; without a folder it remembers nothing.

    Attributes
    ----------
    problem : a sentence once something could not be written, empty as long as all could.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.problem = ""

    def _path(self, parts: tuple) -> Path:
        key = hashlib.sha256(repr((VERSION, *parts)).encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.npz"

    def get(self, *parts) -> dict[str, np.ndarray] | None:
        """What was put under these parts, or None."""
        if self.folder is None:
            return None
        try:
            with np.load(self._path(parts), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def holds(self, *parts) -> bool:
        """Whether something was put under these parts."""
        return self.folder is not None and self._path(parts).is_file()

    def put(self, arrays: dict[str, np.ndarray], *parts) -> None:
        """Keep arrays; a full or read-only disk costs only the speed of the next run, and becomes the `problem`."""
        if self.folder is None:
            return
        path = self._path(parts)
        try:
            make_folder(path.parent)
            with Draft(path) as made:
                np.savez(made.open(), **arrays)
        except OSError as error:
            said = str(error) if isinstance(error, WriteError) else reason(error, path)
            self.problem = f"results are not cached, so the next run computes them again: {said}"
