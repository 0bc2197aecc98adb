"""Files at addresses such as s3://bucket/voice.wav, through fsspec where that is installed; all others are paths."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..runtime import is_out_of_memory
from .durable import PREFIX, SUFFIX, check_name, make_folder, write_text

MARK = "://"


@dataclass(frozen=True)
class Address:
    """A file or folder at an address, with as much of a `Path` as a list of jobs needs.

    Raises
    ------
    ValueError : fsspec, or the package that it needs for this kind of address, is not installed.
    OSError : the address cannot be reached, with the reason. Both from every method that asks for files.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "Address":
        return Address(f"{self.text.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        return self.text.rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "Address":
        return Address(self.text.rstrip("/").rpartition("/")[0])

    def exists(self) -> bool:
        with self._files() as (files, path):
            return files.exists(path)

    def is_dir(self) -> bool:
        with self._files() as (files, path):
            return files.isdir(path)

    def iterdir(self) -> Iterator["Address"]:
        with self._files() as (files, path):
            found = files.ls(path, detail=False)
        return (self / PurePosixPath(name).name for name in found)

    def read_bytes(self) -> bytes:
        with self._files() as (files, path):
            return files.cat_file(path)

    def put_text(self, text: str) -> None:
        """Write a small file of UTF-8 text whole."""
        with self._files() as (files, path):
            files.pipe_file(path, text.encode())

    def fetch(self, folder: Path) -> Path:
        """A copy of the file, or of the folder with all that is in it, in a folder of this machine."""
        check_name(self.name)
        with self._files() as (files, path):
            files.get(path, str(folder / self.name), recursive=files.isdir(path))
        return folder / self.name

    def put(self, path: Path) -> None:
        """Make a file of this machine the one at the address; it is there whole or not at all."""
        with self._files() as (files, whole):
            folder = whole.rpartition("/")[0]
            half = f"{folder}/{PREFIX}{uuid.uuid4().hex[:8]}{SUFFIX}"
            files.makedirs(folder, exist_ok=True)
            try:
                files.put_file(str(path), half)
                files.mv(half, whole)
            finally:
                if files.exists(half):
                    files.rm_file(half)

    @contextmanager
    def _files(self):
        """fsspec's file system, and the path there."""
        try:
            import fsspec
        except ImportError as error:
            raise ValueError(f"{self} is an address, which needs fsspec: python -m pip install fsspec") from error
        try:
            files, path = fsspec.url_to_fs(self.text)
            # What was listed before may have changed since.
            files.invalidate_cache()
            yield files, path
        except ImportError as error:
            raise ValueError(f"{self} cannot be used: {error}") from error
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self} does not exist") from error
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise OSError(f"{self} cannot be reached: {str(error) or type(error).__name__}") from error


Place = Path | Address


def place(text: str | os.PathLike | Address) -> Place:
    """A path, or an address if that is what a text is."""
    if isinstance(text, Address):
        return text
    return Address(str(text)) if MARK in str(text) else Path(text)


def below(folder: Place, text: str | os.PathLike | Address) -> Place:
    """The place of that name below a folder; an address or a full path stays as it is."""
    found = place(text)
    if isinstance(found, Address) or found.is_absolute():
        return found
    return folder / (found if isinstance(folder, Path) else found.as_posix())


def save_text(where: Place, text: str) -> None:
    """Write a small file of UTF-8 text whole, at a path or an address, with the folders that are missing."""
    if isinstance(where, Address):
        where.put_text(text)
    else:
        make_folder(where.parent)
        write_text(where, text)
