"""The frames of a pose folder out of a zip: in memory, bounded, and no name in it is ever a path on this disk."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..files.names import is_hidden
from .hand_pose import MAX_FRAMES
from .unpickle import MAX_FILE_BYTES

SUFFIX = ".zip"
MOST_BYTES = 64 * 2**20
# Of the zip itself: what is stored without packing, and the names.
MOST_ZIPPED = MOST_BYTES + 16 * 2**20
READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
LOCKED = 0x1


def frames(path: Path) -> dict[str, bytes]:
    """The .npy files of a zip by their names without folders.

    Raises
    ------
    ValueError : a sentence, if it is damaged or locked, holds no frames or those of several folders, or is too large.
    """
    try:
        size = path.stat().st_size
        if size > MOST_ZIPPED:
            raise ValueError(f"it has {size / 2**20:,.0f} MB, and {MOST_ZIPPED >> 20} are the most")
        with zipfile.ZipFile(path) as file:
            return _read(file, _wanted(file))
    except OSError as error:
        raise ValueError(f"the pose file {path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"the pose file {path} cannot be read: it is not a complete zip. Zip the pose folder again"
        ) from error
    except ValueError as error:
        raise ValueError(f"the pose file {path} cannot be read: {error}") from error


def _wanted(file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[PurePosixPath, dict[str, zipfile.ZipInfo]] = {}
    for info in file.infolist():
        place = PurePosixPath(info.filename.replace("\\", "/"))
        if (
            place.suffix == ".npy"
            and not info.is_dir()
            and not any(is_hidden(part) for part in place.parts if part != "..")
        ):
            found.setdefault(place.parent, {})[place.name] = info
    if not found:
        raise ValueError("it contains no .npy file. Zip a pose folder with 0.npy, 1.npy, … one for each frame")
    if len(found) > 1:
        raise ValueError(f"it holds the poses of {len(found)} folders. Make a zip of each")
    (frames,) = found.values()
    if len(frames) > MAX_FRAMES:
        raise ValueError(f"it holds {len(frames):,} frames, and {MAX_FRAMES:,} are the most")
    return frames


def _read(file: zipfile.ZipFile, wanted: dict[str, zipfile.ZipInfo]) -> dict[str, bytes]:
    """The contents, counted as they come out: what a zip says of its sizes may be wrong."""
    contents, left = {}, MOST_BYTES
    for name, info in wanted.items():
        if info.flag_bits & LOCKED:
            raise ValueError("it is locked by a password. Zip the pose folder without one")
        if info.compress_type not in READABLE:
            raise ValueError("it is packed in a way that is not read. Zip the pose folder with your system's own zip")
        with file.open(info) as entry:
            content = entry.read(min(left, MAX_FILE_BYTES) + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"{PurePosixPath(name).name} has more than 1 MB, and a pose file has a few kilobytes")
        left -= len(content)
        if left < 0:
            raise ValueError(f"it unpacks to more than {MOST_BYTES >> 20} MB. Zip the poses of one clip only")
        contents[name] = content
    return contents
