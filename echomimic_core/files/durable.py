"""The one writer of files: whole under their names or not there at all, whatever happens meanwhile.

A file is written next to its place under a name that no other process uses, brought to the disk, and then given its own
name in one step. What a killed process left behind is removed by the next one that writes into the folder. Everything
here works alike on Linux, macOS and Windows.
"""

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

PREFIX, SUFFIX = ".echomimic-", ".part"
LONGEST_NAME = 255
# What another machine, or a process that cannot be asked for, left is taken for dead after this many seconds.
DEAD_AFTER = 24 * 3600

WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}
FORBIDDEN = '<>:"/\\|?*'

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN_TO_US = {errno.EACCES, errno.EPERM, errno.EROFS}
_OF_THE_DISK = _FULL | {errno.EIO, errno.EROFS}
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.EACCES}
# Virus scanners and previews hold a new file for a moment.
_WINDOWS_TRIES, _WINDOWS_PAUSE = 10, 0.05

_PART = re.compile(re.escape(PREFIX) + r"([0-9a-f]{8})-(\d+)-[0-9a-f]{8}" + re.escape(SUFFIX))


def _machine() -> str:
    """A name for where process numbers mean what they mean here: this machine, and on Linux this container."""
    place = platform.node()
    with contextlib.suppress(OSError):
        place += str(os.stat("/proc/self/ns/pid").st_ino)
    return hashlib.sha256(place.encode()).hexdigest()[:8]


_MACHINE = _machine()
_ours: set[str] = set()
_swept: set[str] = set()
_lock = threading.Lock()


class WriteError(OSError):
    """A file could not be written: a sentence with the file, the reason and the remedy. What was there stays."""


class Draft:
    """A file that is being written; a context manager, after whose block the file is there whole or not at all.

    Parameters
    ----------
    replace : an existing file gives way to the new one.
    others : without `replace`, names to take where `path` is taken, in this order; of two processes that write at
        once each gets a name of its own.

    Attributes
    ----------
    part : where it is written; writers of other libraries may be given this path.
    path : the name it gets; the one that was free, once it is finished.

    Raises
    ------
    ValueError : a name that some system cannot hold. FileExistsError : all names are taken.
    WriteError : the disk is full, the folder cannot be written to, ... Whatever else the block raises comes as it is.
    """

    def __init__(self, path: str | Path, replace: bool = True, others: Iterable[Path] = ()):
        self.path = Path(path)
        check_name(self.path.name)
        self.part = _part_of(self.path)
        self._replace, self._others = replace, others
        self._file: BinaryIO | None = None
        _sweep_once(self.path.parent)
        with _lock:
            _ours.add(self.part.name)

    def open(self) -> BinaryIO:
        """The file, open for writing; it is closed at the end of the block."""
        self._file = open(self.part, "wb")  # noqa: SIM115 (closed by `finish` or `drop`)
        return self._file

    def finish(self) -> None:
        """Bring all of it to the disk and give it its name."""
        try:
            file = self._file or open(self.part, "r+b")  # noqa: SIM115
            with file:
                file.flush()
                os.fsync(file.fileno())
            self.path = _publish(self.part, self.path, self._replace, self._others)
        except OSError as error:
            if isinstance(error, FileExistsError) and not error.errno:
                raise
            raise WriteError(reason(error, self.path)) from error
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove what was written, if it has not got its name; never fails."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        with contextlib.suppress(OSError):
            self.part.unlink(missing_ok=True)
        with _lock:
            _ours.discard(self.part.name)

    def explained(self, error: Exception) -> Exception:
        """The error as a sentence if it is of writing this file; else, as a cancel or one of reading, as it is."""
        return WriteError(reason(error, self.path)) if self._is_of_writing(error) else error

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if error is None:
            self.finish()
            return
        self.drop()
        if isinstance(error, Exception) and self._is_of_writing(error):
            raise self.explained(error) from error

    def _is_of_writing(self, error: Exception) -> bool:
        if isinstance(error, WriteError) or (isinstance(error, FileExistsError) and not error.errno):
            return False
        if getattr(error, "errno", None) in _OF_THE_DISK or _says_full(error):
            return True
        names = {str(name) for name in (getattr(error, "filename", None), getattr(error, "filename2", None)) if name}
        return isinstance(error, OSError) and bool({str(self.part), str(self.path)} & names)


@contextlib.contextmanager
def folder_draft(path: str | Path) -> Iterator[Path]:
    """A folder to fill, which gets its name at the end of the block, whole or not at all; an existing one gives way.

    Raises
    ------
    ValueError : a name that some system cannot hold. WriteError : it cannot be written.
    """
    path = Path(path)
    check_name(path.name)
    make_folder(path.parent)
    _sweep_once(path.parent)
    part = _part_of(path)
    with _lock:
        _ours.add(part.name)
    try:
        part.mkdir()
        yield part
        settle_folder(part, path)
    except OSError as error:
        raise error if isinstance(error, WriteError) else WriteError(reason(error, path, "folder")) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with _lock:
            _ours.discard(part.name)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{PREFIX}{_MACHINE}-{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}")


def write_bytes(path: str | Path, content: bytes | Iterable[bytes], replace: bool = True) -> Path:
    """Write a file from its content, or from pieces of it as they come; see `Draft`."""
    with Draft(path, replace) as made:
        file = made.open()
        for piece in (content,) if isinstance(content, bytes) else content:
            file.write(piece)
    return made.path


def write_text(path: str | Path, text: str, replace: bool = True) -> Path:
    """Write a file of UTF-8 text, with the line ends that the text has; see `Draft`."""
    return write_bytes(path, text.encode(), replace)


def write_json(path: str | Path, content, **options) -> Path:
    """Write a value as JSON that people can read; `options` are those of `json.dumps`."""
    return write_text(path, json.dumps(content, **{"indent": 1, "ensure_ascii": False} | options) + "\n")


def make_folder(path: str | Path) -> Path:
    """A folder, made with those above it where they are missing; a sentence where that cannot be done."""
    path = Path(path)
    missing = [place for place in (path, *path.parents) if not place.exists()]
    for place in missing:
        if place.name:
            check_name(place.name)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(reason(error, path, "folder")) from error
    return path


def settle_folder(part: Path, path: Path) -> None:
    """Bring all files below a folder to the disk, then give it the name by which it counts as whole.

    A folder of that name gives way at once, and is removed after. Raises WriteError where that cannot be.
    """
    old = _part_of(path)
    try:
        for file in part.rglob("*"):
            if file.is_file():
                with open(file, "r+b") as opened:
                    os.fsync(opened.fileno())
        if path.is_dir():
            _patiently(lambda: os.replace(path, old))
        _patiently(lambda: os.rename(part, path))
    except OSError as error:
        raise WriteError(reason(error, path, "folder")) from error
    finally:
        shutil.rmtree(old, ignore_errors=True)


def check_name(name: str) -> None:
    """ValueError for a file's name that Windows, macOS or Linux cannot hold, on all of them."""
    wrong = None
    if not name.strip(". "):
        wrong = "it is empty"
    elif "\0" in name or any(ord(letter) < 32 for letter in name):
        wrong = "it contains unprintable characters"
    elif any(letter in FORBIDDEN for letter in name):
        wrong = f"it contains one of {FORBIDDEN}, which some systems forbid"
    elif name[-1] in ". ":
        wrong = "it ends with a dot or a space"
    elif name.partition(".")[0].rstrip().upper() in WINDOWS_DEVICES:
        wrong = "it is the name of a device on Windows"
    else:
        try:
            length = len(name.encode())
        except UnicodeEncodeError:
            wrong = "it contains half a character"
        else:
            too_long = f"it is {length} bytes long, but at most {LONGEST_NAME} are possible"
            wrong = too_long if length > LONGEST_NAME else None
    if wrong:
        shown = name if len(name) <= 60 else f"{name[:60]}..."
        raise ValueError(f"{shown!r} is not a file name: {wrong}. Use letters, numbers, spaces, dots, - and _")


def reason(error: Exception, path: Path, what: str = "file") -> str:
    """A sentence on why a path could not be written, with what to do."""
    number = getattr(error, "errno", None)
    if number in _FULL or _says_full(error):
        return f"{path} could not be written: the disk is full. Free some space and try again"
    if number in _FORBIDDEN_TO_US:
        return (
            f"{path} could not be written: {path.parent} is read-only, or the {what} is open in another program. "
            "Choose a folder you can write to, or close that program"
        )
    if number == errno.ENAMETOOLONG:
        return f"{path} could not be written: its name is too long. Choose a shorter one"
    if number == errno.ENOENT:
        return f"{path} could not be written: there is no folder {path.parent}. Create it and try again"
    if number in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
        return f"{path} could not be written: a file is where a folder should be, or vice versa"
    return f"{path} could not be written ({getattr(error, 'strerror', None) or error}). Check the disk and try again"


def sweep(folder: Path) -> None:
    """Remove what processes that are no more left half written in a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if found and _is_dead(entry, found[1], int(found[2])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                    continue
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def _sweep_once(folder: Path) -> None:
    place = os.path.abspath(folder)
    with _lock:
        done = place in _swept
        _swept.add(place)
    if not done:
        sweep(folder)


def _is_dead(entry: os.DirEntry, machine: str, process: int) -> bool:
    if machine == _MACHINE and process == os.getpid():
        with _lock:
            return entry.name not in _ours
    if machine == _MACHINE:
        with contextlib.suppress(ImportError):
            import psutil

            return not psutil.pid_exists(process)
    return time.time() - entry.stat().st_mtime > DEAD_AFTER


def settle(part: Path, path: Path) -> Path:
    """Give a file that came piece by piece, and is whole by now, its name; WriteError where that cannot be."""
    try:
        _patiently(lambda: os.replace(part, path))
    except OSError as error:
        raise WriteError(reason(error, path)) from error
    return path


def _publish(part: Path, path: Path, replace: bool, others: Iterable[Path]) -> Path:
    if replace:
        _patiently(lambda: os.replace(part, path))
        return path
    for name in chain((path,), others):
        check_name(name.name)
        if _publish_as_new(part, name):
            return name
    raise FileExistsError(f"{path} already exists and is not overwritten: choose another name")


def _publish_as_new(part: Path, path: Path) -> bool:
    """Give the file a name if that is free; of several processes one gets it."""
    try:
        if os.name == "nt":
            _patiently(lambda: os.rename(part, path))
        else:
            os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # No links on this disk, as on USB sticks: nothing there is better than to look first.
        if os.path.lexists(path):
            return False
        os.replace(part, path)
    return True


def _patiently(rename) -> None:
    for attempt in range(_WINDOWS_TRIES):
        try:
            rename()
            return
        except PermissionError:
            if os.name != "nt" or attempt == _WINDOWS_TRIES - 1:
                raise
            time.sleep(_WINDOWS_PAUSE)


def _says_full(error: Exception) -> bool:
    # Torch, FFmpeg and safetensors have errors of their own for a full disk.
    text = str(error)
    return any(words in text for words in ("No space left", "PytorchStreamWriter", "os error 28", "code: 28"))
