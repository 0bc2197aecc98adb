"""Downloads that somebody asked for: from a pinned address, checked by SHA-256, whole or not at all."""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .durable import Draft, make_folder

# A server that says nothing for this long, or sends less than a block in this time, has failed.
TIMEOUT = 30.0
STALLED_AFTER = 120.0
# Small enough that a slow line shows its progress, and that a click on Cancel is heard soon.
BLOCK = 1 << 17


class DownloadError(ValueError):
    """A download failed: a sentence with the address, the reason and what to do instead. Nothing is left of it."""


@dataclass(frozen=True)
class Source:
    """A published file.

    Attributes
    ----------
    link : its address, which always gives the same file. sha256 : of its content, in hexadecimal.
    most : bytes after which it cannot be that file any more.
    """

    link: str
    sha256: str
    most: int

    @property
    def name(self) -> str:
        return self.link.rpartition("/")[2]


def download(source: Source, folder: str | Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download a file into a folder under the name of its link; the path.

    progress : called with (bytes so far, bytes in all as far as known); it may raise to stop.

    Raises
    ------
    DownloadError : the server cannot be reached, fails, or sends something else.
    WriteError : the disk is full, the folder cannot be written to, ...
    """
    path = make_folder(folder) / source.name
    digest = hashlib.sha256()
    answer = _said(source, path, _open, source.link)
    try:
        total = _announced(source, path, answer)
        with Draft(path) as draft:
            file, done, start, begun = draft.open(), 0, b"", time.monotonic()
            while block := _said(source, path, answer.read1, BLOCK):
                done += len(block)
                if done > source.most:
                    raise _failed(source, path, f"it does not end after {source.most:,} bytes")
                if time.monotonic() - begun > STALLED_AFTER * (1 + done / BLOCK):
                    raise _failed(source, path, "the server hardly sends any data")
                start = start or block[:64]
                digest.update(block)
                file.write(block)
                if progress is not None:
                    progress(done, max(total, done))
            if digest.hexdigest() != source.sha256:
                raise _failed(source, path, _difference(done, total, start, digest.hexdigest()))
    finally:
        answer.close()
    return path


def _open(link: str):
    return urllib.request.urlopen(link, timeout=TIMEOUT)


def _said(source: Source, path: Path, call, *arguments):
    """What a call of the network gives; what it raises becomes a sentence."""
    try:
        return call(*arguments)
    except urllib.error.HTTPError as error:
        error.close()
        raise _failed(source, path, f"the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise _failed(source, path, str(reason) or type(error).__name__) from error


def _announced(source: Source, path: Path, answer) -> int:
    """Bytes that the server says it will send, 0 where it says nothing that can be believed."""
    said = answer.headers.get("Content-Length") or ""
    total = int(said) if said.isascii() and said.isdigit() and len(said) < 16 else 0
    if total > source.most:
        raise _failed(source, path, f"the server announces {total:,} bytes, and {source.most:,} are the most")
    return total


def _difference(done: int, total: int, start: bytes, found: str) -> str:
    if done < total:
        return f"the connection ended after {done:,} of {total:,} bytes"
    if start.lstrip()[:1] == b"<":
        return "the server sent a web page instead of the file"
    return f"the downloaded file is not the published one: its SHA-256 is {found}"


def _failed(source: Source, path: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"{source.link} could not be downloaded ({reason}): download it in a browser and put it into {path.parent}"
    )
