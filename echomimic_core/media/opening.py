"""Files of sound and video opened; whatever is wrong with one becomes a sentence."""

import os
from contextlib import contextmanager
from pathlib import Path


class MediaError(ValueError):
    """A sentence on a file of sound or video."""


# What readers raise for damaged files beside errors of their own. A cancel, whatever it is, is none of them.
OF_DAMAGE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    EOFError,
)


@contextmanager
def open_media(source, kind: str):
    """Open a file and its first stream of a kind ("video" or "audio"); what goes wrong becomes a sentence."""
    import av

    name = name_of(source)
    if isinstance(source, (str, os.PathLike)) and not Path(source).is_file():
        raise ValueError(f"there is no file {source}")
    if hasattr(source, "seek"):
        source.seek(0)
    try:
        # Titles and the like in another encoding than UTF-8 are of no use here, and no damage.
        with av.open(source if hasattr(source, "read") else str(source), metadata_errors="replace") as container:
            stream = next(iter(getattr(container.streams, kind)), None)
            if stream is None:
                raise MediaError(f"{name} has no {kind} in it")
            yield container, stream
    except (MediaError, MemoryError):
        raise
    except (av.FFmpegError, *OF_DAMAGE) as error:
        # FFmpeg's own words help; those of Python's errors are for programmers.
        said = getattr(error, "strerror", None)
        raise MediaError(
            f"{name} cannot be read as {kind}, it is damaged or in an unknown format{f' ({said})' if said else ''}"
        ) from error


def name_of(source) -> str:
    return Path(source).name if isinstance(source, (str, os.PathLike)) else "the file"
