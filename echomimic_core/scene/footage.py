"""Footage: frames that can be read again from the beginning and are never held, of a picture, a video or a clip."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..choices import EXTENSIONS

# Bytes of frames that are held to play a stretch backwards.
BACKWARD_BYTES = 2**28


@dataclass(frozen=True)
class Footage:
    """Frames of one size at a constant rate.

    Attributes
    ----------
    read : gives the frames from the first one on, (height, width, 3) uint8 each.
    width, height : of the frames, in pixels.
    fps : frames per second; 0 for a still picture, which lasts as long as it is needed.
    count : frames, as far as is known: a video's container may be wrong by some.
    sparse : gives every so-manieth frame without making the others, where that is possible.
    """

    read: Callable[[], Iterator[np.ndarray]]
    width: int
    height: int
    fps: float
    count: int
    sparse: Callable[[int], Iterator[np.ndarray]] | None = None

    @property
    def still(self) -> bool:
        return self.fps == 0

    def first(self) -> np.ndarray:
        """The first frame."""
        return next(self.read())

    def every(self, step: int) -> Iterator[np.ndarray]:
        """Frames 0, step, 2 step, ..."""
        return islice(self.read(), 0, None, step) if self.sparse is None else self.sparse(step)

    def ordered(self, order: Sequence[int] | np.ndarray) -> "Footage":
        """The footage whose frames are those of this one with the indices of `order`, any order."""
        order = np.asarray(order)
        return replace(self, read=lambda: self._in_order(order), count=len(order), sparse=None)

    def _in_order(self, order: np.ndarray) -> Iterator[np.ndarray]:
        frames, at, picture = iter(()), -1, None
        held: dict[int, np.ndarray] = {}
        before = -1
        for index in order:
            if index < before:
                if index not in held:
                    held = self._leading_to(index)
                picture = held[index]
            else:
                held = {}
                if at > index or at < 0:
                    frames, at = self.read(), -1
                while at < index:
                    picture = next(frames, picture)
                    at += 1
            before = index
            yield picture

    def _leading_to(self, last: int) -> dict[int, np.ndarray]:
        """Frames up to one by their indices, as many as `BACKWARD_BYTES` hold: a video is not read backwards."""
        first = last - max(BACKWARD_BYTES // (self.height * self.width * 3), 2)
        return {index: frame for index, frame in enumerate(islice(self.read(), int(last) + 1)) if index > first}


def still_picture(picture: np.ndarray) -> Footage:
    """A picture (height, width, 3) uint8 as footage."""
    return Footage(lambda: iter([picture]), picture.shape[1], picture.shape[0], 0.0, 1)


def at_rate(footage: Footage, fps: float) -> Iterator[tuple[int, np.ndarray]]:
    """(index, frame) of what footage shows at 0, 1 / fps, 2 / fps, ... seconds; of a still, its picture without end."""
    frames, at, wanted = footage.read(), -1, 0
    if footage.still:
        picture = next(frames)
        while True:
            yield 0, picture
    picture = None
    while True:
        # A thousandth of a frame of grace: rates are rounded.
        index = int(wanted * footage.fps / fps + 1e-3)
        while at < index:
            picture = next(frames, None)
            if picture is None:
                return
            at += 1
        yield at, picture
        wanted += 1


def extended(count: int, wanted: int, how: str) -> np.ndarray:
    """Which of `count` frames are shown in `wanted` frames of time: (n,) indices.

    how : what comes after the last frame: "stop" (nothing, n is no more than `count`), "hold" (the last one) or
        "ping-pong" (back to the first and forth again).
    """
    if how not in EXTENSIONS:
        raise ValueError(f"the extension is {how!r}, but it must be one of {', '.join(EXTENSIONS)}")
    if how == "stop":
        return np.arange(min(count, wanted))
    if how == "hold" or count == 1:
        return np.minimum(np.arange(wanted), count - 1)
    place = np.arange(wanted) % (2 * count - 2)
    return np.minimum(place, 2 * count - 2 - place)
