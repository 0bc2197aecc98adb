"""Published files from the Hugging Face hub: resumed where they stopped, checked by SHA-256, whole or not at all.

Addresses, tokens, mirrors (HF_ENDPOINT), offline mode, redirects and retries are huggingface_hub's own; it compares
sizes only, so the SHA-256 is compared here: with the one known of the published file, else with what the hub states.
Its plain HTTP way is taken: the other one (Xet) hears no cancel.
"""

import contextlib
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .durable import WriteError, make_folder, reason, settle
from .published import Published, readable
from .transfer import DownloadError

SHA256 = re.compile(r"[0-9a-f]{64}")
# A worker that waits for a server cannot be stopped; nobody waits for it longer than this to look for a cancel.
HEARD_WITHIN = 0.2
# Small enough that a slow line shows its progress, and that little is lost of a connection that breaks.
CHUNK = 1 << 18
# What is left free on a disk for whoever else writes there.
MARGIN = 1 << 28
# Older versions of huggingface_hub give up where a connection breaks.
MOST_CONNECTIONS = 100
PART_PREFIX, PART_SUFFIX = ".echomimic-", ".download"


class Abandoned(Exception):
    """The download that this part belongs to was cancelled: nothing more is written."""


@dataclass(frozen=True)
class Announced:
    """A file as it is to come: its address, its bytes, and their SHA-256."""

    file: Published
    url: str
    size: int
    sha256: str
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / self.file.name

    @property
    def part(self) -> Path:
        """Named by what it is a part of: a file that changed on the hub begins again."""
        return self.folder / f"{PART_PREFIX}{self.sha256[:16]}{PART_SUFFIX}"

    @property
    def there(self) -> int:
        """Bytes that lie here already."""
        with contextlib.suppress(OSError):
            return min(self.part.stat().st_size, self.size)
        return 0

    def described(self) -> str:
        return f"{self.file.described(self.size)} into {self.folder}"


def announce(file: Published, folder: str | Path, check: Callable[[], None]) -> Announced:
    """Ask the hub for size and SHA-256 of a file. `check` is called while it is waited for, and may raise to stop.

    Raises
    ------
    DownloadError : the hub cannot be reached, knows no such file, offers another one, or states no SHA-256 of a file
        of which none is known here.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url, folder = hf_hub_url(file.repo, file.file), Path(folder)
    try:
        said = _waited_for(lambda: get_hf_file_metadata(url), check)
    except Failed as error:
        raise _failed(file, folder, url, error.words) from error.error
    stated = said.etag if SHA256.fullmatch(said.etag or "") else ""
    if not said.size or said.size < 0 or not (file.sha256 or stated):
        raise _failed(file, folder, url, "the server states no size and SHA-256 of it, so it cannot be checked")
    if file.sha256 and stated and stated != file.sha256:
        raise _failed(file, folder, url, f"the server offers another file than the published one, SHA-256 {stated}")
    return Announced(file, url, said.size, file.sha256 or stated, folder)


def check_space(files: list[Announced]) -> None:
    """WriteError with both numbers where the disk has no room for what is still to come."""
    wanted: dict[int, tuple[Path, int]] = {}
    for file in files:
        make_folder(file.folder)
        device = os.stat(file.folder).st_dev
        _, before = wanted.get(device, (file.folder, 0))
        wanted[device] = (file.folder, before + file.size - file.there)
    for folder, size in wanted.values():
        free = shutil.disk_usage(folder).free
        if size + MARGIN > free:
            raise WriteError(
                f"there is no room for the download: {readable(size)} are to come into {folder}, where "
                f"{readable(free)} are free. Free some space, or name another disk in extra_model_paths.yaml"
            )


def fetch(file: Announced, progress: Callable[[int, int], None], check: Callable[[], None]) -> Path:
    """Download a file into its folder; the path. A part that an earlier try left is resumed.

    progress : called with (bytes there, bytes in all). check : called a few times per second, also while the server
    sends nothing; it may raise to stop, and what has come by then stays as a part.

    Raises
    ------
    DownloadError : the server fails, or what came is not the file; then nothing is left of it.
    WriteError : the disk is full, the folder cannot be written to, ...
    """
    make_folder(file.folder)
    # A part that was damaged on this disk, or a server that cannot go on from one: once more from the beginning.
    is_resumed = file.there > 0
    problem = _persistently(file, progress, check)
    if problem and is_resumed:
        file.part.unlink(missing_ok=True)
        problem = _persistently(file, progress, check)
    if problem:
        file.part.unlink(missing_ok=True)
        raise _failed(file.file, file.folder, file.url, problem)
    return settle(file.part, file.path)


def _persistently(file: Announced, progress: Callable[[int, int], None], check: Callable[[], None]) -> str | None:
    """`_transfer`, again and again as long as each connection brings something before it breaks."""
    for _ in range(MOST_CONNECTIONS - 1):
        before = file.there
        try:
            return _transfer(file, progress, check)
        except DownloadError:
            if file.there <= before:
                raise
    return _transfer(file, progress, check)


def _transfer(file: Announced, progress: Callable[[int, int], None], check: Callable[[], None]) -> str | None:
    """Fill the part up; what is wrong with its content in the end, None where it is the published file."""
    from huggingface_hub import file_download
    from huggingface_hub.utils import build_hf_headers

    try:
        part = Part(file.part, file.size)
    except OSError as error:
        raise WriteError(reason(error, file.path)) from error

    def work():
        begin = part.read_what_is_there()
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        file_download.http_get(file.url, part, resume_size=begin, headers=headers, expected_size=file.size)
        part.settle()

    def watch():
        check()
        progress(part.length, file.size)

    try:
        with _plain(file_download.constants):
            _waited_for(work, watch)
        watch()
    except Failed as error:
        if isinstance(error.error, TooLong):
            return f"it does not end after {file.size:,} bytes"
        if part.write_error is not None:
            raise WriteError(f"{reason(part.write_error, file.path)}: it resumes where it stopped") from error.error
        ended = f"{error.words} after {part.length:,} of {file.size:,} bytes, which are kept for the next run"
        raise _failed(file.file, file.folder, file.url, ended) from error.error
    finally:
        part.abandon()
    found = part.digest.hexdigest()
    return None if found == file.sha256 else f"the downloaded file is not the published one: its SHA-256 is {found}"


def _failed(file: Published, folder: Path, url: str, words: str) -> DownloadError:
    return DownloadError(
        f"{url} could not be downloaded ({words}). Try again, or download it in a browser and put it into {folder} "
        f"as {file.name}"
    )


class TooLong(ValueError):
    """More bytes came than the file has."""


class Failed(Exception):
    """What a worker ran into, apart from what stops whoever waits for it."""

    def __init__(self, error: BaseException):
        self.error = error

    @property
    def words(self) -> str:
        """The first line of it; libraries of the network add advice for programmers."""
        text = str(self.error).strip() or type(self.error).__name__
        if "onsistency check failed" in text:
            return "the server ended too early"
        return text.splitlines()[0].rstrip(".:")[:300]


class Part:
    """The part of a download, as huggingface_hub writes to it: hashed as it comes, closed once it is abandoned."""

    def __init__(self, path: Path, most: int):
        self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115 (see `abandon`)
        self.name, self._most = str(path), most
        self._lock, self._is_open = threading.Lock(), True
        self.length, self.digest = 0, hashlib.sha256()
        self.write_error: OSError | None = None

    def read_what_is_there(self) -> int:
        """Hash what an earlier try left; its length."""
        while True:
            with self._usable():
                block = self._file.read(1 << 22)
                if not block:
                    return self.length
                self._count(block)

    def write(self, block: bytes) -> int:
        with self._usable():
            if self.length + len(block) > self._most:
                raise TooLong
            rest = memoryview(block)
            while rest:
                try:
                    written = self._file.write(rest)
                except OSError as error:
                    self.write_error = error
                    raise
                self._count(rest[:written])
                rest = rest[written:]
        return len(block)

    def tell(self) -> int:
        return self.length

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Only to the beginning, where a server does not resume a part, or to where it is."""
        if (place, whence) == (0, os.SEEK_SET):
            with self._usable():
                self._file.seek(0)
                self._file.truncate()
            self.length, self.digest = 0, hashlib.sha256()
        return self.length

    def truncate(self, size: int | None = None) -> int:
        return self.length

    def flush(self) -> None:
        """Nothing is held back."""

    def settle(self) -> None:
        """Bring it to the disk."""
        with self._usable():
            os.fsync(self._file.fileno())

    def abandon(self) -> None:
        """Close it; a worker that still holds it cannot write any more."""
        with self._lock:
            self._is_open = False
            with contextlib.suppress(OSError):
                self._file.close()

    def _count(self, block: bytes | memoryview) -> None:
        self.length += len(block)
        self.digest.update(block)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        with self._lock:
            if not self._is_open:
                raise Abandoned
            yield


def _waited_for(call: Callable, check: Callable[[], None]):
    """What a call gives that is made in a thread of its own, with `check` called until then.

    Raises
    ------
    Failed : with what the call raised. What `check` raises comes as it is, and the call is left to itself.
    """
    outcome: list = []
    done = threading.Event()

    def work():
        try:
            outcome.append((call(), None))
        except BaseException as error:  # noqa: B036 (handed to whoever waits)
            outcome.append((None, error))
        done.set()

    threading.Thread(target=work, name="echomimic download", daemon=True).start()
    while not done.wait(HEARD_WITHIN):
        check()
    value, error = outcome[0]
    if error is not None:
        raise Failed(error)
    return value


@contextlib.contextmanager
def _plain(constants) -> Iterator[None]:
    """The hub's own steady way of reading, in pieces small enough to be counted and kept."""
    wanted = {"DOWNLOAD_CHUNK_SIZE": CHUNK, "HF_HUB_ENABLE_HF_TRANSFER": False}
    before = {name: getattr(constants, name) for name in wanted if hasattr(constants, name)}
    for name in before:
        setattr(constants, name, wanted[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(constants, name, value)
