"""What is evaluated: videos, pictures and poses, on disk or in memory, and which belongs to which."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..pose import HandPose
from .passes.cache import file_hash

# Stands for the clip in sentences on its content: they are kept for every clip of that content, whatever its name.
CLIP = "{clip}"


class ClipError(ValueError):
    """What is wrong with the content of a clip, and will be whenever it is read again; the clip in it is `CLIP`."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One video, picture or pose; every one is itself, whatever it holds.

    Attributes
    ----------
    name : by which it is matched and reported.
    kind : "video", "picture" or "pose".
    path : of the file or pose folder; None if it is in memory.
    pictures : in memory: (F, H, W, 3), uint8 or floats in 0..1. rate : frames per second of those.
    sound : in memory: (waveform, sample rate) or None.
    hands : in memory: a pose.
    """

    name: str
    kind: str
    path: Path | None = None
    pictures: object = field(default=None, repr=False)
    rate: float | None = None
    sound: tuple | None = field(default=None, repr=False)
    hands: HandPose | None = field(default=None, repr=False)

    def fingerprint(self) -> str | None:
        """Hash of the content, or None in memory, where nothing is cached."""
        return None if self.path is None else file_hash(self.path)

    def fps(self) -> float:
        """Frames per second."""
        if self.rate is not None:
            return self.rate
        if self.kind == "picture":
            return 1.0
        from ..media.video import frame_rate

        return frame_rate(self.path)

    def frames(self, fps: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds, picture (H, W, 3) uint8 RGB) of each frame, or of each 1 / fps seconds.

        Raises
        ------
        ValueError : the file is missing, damaged or no picture.
        """
        if self.kind == "pose":
            raise ValueError(f"{self.name} is a pose without pictures")
        if self.pictures is not None:
            return self._frames_in_memory(fps)
        if self.kind == "picture":
            return iter([(0.0, read_picture(self.path))])
        from ..media.video import read_frames

        return read_frames(self.path, fps)

    def _frames_in_memory(self, fps: float | None) -> Iterator[tuple[float, np.ndarray]]:
        from ..media.video import to_uint8

        count, rate = len(self.pictures), self.fps()
        fps = fps or rate
        # The frame shown at each moment, with a thousandth of grace for rounding.
        for index in range(max(round(count / rate * fps), 1)):
            yield index / fps, to_uint8(self.pictures[min(int(index / fps * rate + 1e-3), count - 1)])

    def mono(self) -> np.ndarray:
        """The sound (samples,) float32 in -1..1 at 16 kHz; ValueError if there is none."""
        if self.sound is not None:
            from ..media.waveform import resample

            return resample(*self.sound)
        if self.path is None or self.kind != "video":
            raise ValueError(f"{CLIP} has no sound")
        from ..media.sound import read_mono

        return read_mono(self.path)

    def length(self) -> int:
        """Number of frames, estimated where only the file's header says so (for the progress display)."""
        if self.pictures is not None:
            return len(self.pictures)
        if self.kind != "video":
            return 1
        return self.header_length(str(self.path))

    def count(self) -> int:
        """Number of frames, counted where only the file's header says so; ValueError as `frames`."""
        if self.kind != "video" or self.path is None or self.path.is_dir():
            return self.length()
        from ..media.opening import open_media

        with open_media(self.path, "video") as (container, stream):
            return sum(packet.pts is not None for packet in container.demux(stream))

    @staticmethod
    def header_length(source) -> int:
        """Frames of a video file as its header tells, 1 if it does not."""
        import av

        from ..media.opening import open_media

        try:
            with open_media(source, "video") as (container, stream):
                seconds = (container.duration or 0) / av.time_base
                return stream.frames or max(int(seconds * float(stream.average_rate or 24)), 1)
        except ValueError:
            return 1

    def pose(self) -> HandPose:
        """The keypoints of a pose clip; ValueError if the file is damaged."""
        if self.hands is not None:
            return self.hands
        from ..pose import files

        return files.load_folder(self.path) if self.path.is_dir() else files.load(self.path)


def read_picture(path: Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB, turned upright."""
    from PIL import Image, ImageOps

    from ..media.opening import OF_DAMAGE
    from ..media.video import MAX_PIXELS, MAX_SIDE

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise ClipError(f"it has {width} x {height} pixels, but at most {MAX_SIDE} per side are supported")
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except MemoryError:
        raise
    except (OSError, SyntaxError, struct.error, Image.DecompressionBombError, *OF_DAMAGE) as error:
        # Pillow's own words help; those of Python's errors are for programmers.
        ours = isinstance(error, OSError | SyntaxError | Image.DecompressionBombError | ClipError)
        said = getattr(error, "strerror", None) or (str(error) if ours else "it is damaged")
        raise ValueError(f"{path} cannot be read as a picture: {said}") from error


def sound(clip: Clip) -> np.ndarray:
    """The clip's sound, mono at 16 kHz; ClipError without one."""
    try:
        return clip.mono()
    except ValueError as error:
        sentence = str(error)
        if clip.path is not None and sentence.startswith(clip.path.name):
            sentence = CLIP + sentence.removeprefix(clip.path.name)
        raise ClipError(sentence) from error
