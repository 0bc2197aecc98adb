"""The sound of a file, straight to what lip sync hears: mono at 16 kHz, in pieces, so that only that is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from ..config import AUDIO_SAMPLE_RATE
from ..video import sound_pieces
from ..waveform import RESAMPLER_BLOCK, mix, resample_channels, to_float

# A piece of sound (1, samples) float32 in -1..1, and its sample rate.
Piece = tuple[np.ndarray, int]


def read_mono(source, begin: float = 0.0, duration: float = 0.0) -> np.ndarray:
    """The sound of a file (samples,) float32 in -1..1 at 16 kHz: 64 kB a second, whatever the file has.

    The same as `waveform.resample(*video.read_audio(source))`, which would hold all of it at its own rate and channels.

    Parameters
    ----------
    source : a path, or a file object. begin, duration : the part to take, in seconds of the file; 0 is to its end.

    Raises
    ------
    ValueError : no such file, no sound in it or in that part, damaged.
    """
    mixed = ((mix(to_float(piece), 1), rate) for piece, rate in sound_pieces(source))
    pieces = list(_at_16_khz(_part(mixed, begin, duration)))
    if not pieces:
        raise ValueError(f"the sound of the file has nothing from {begin:g} s on: it is empty, cut off or ends before")
    return np.concatenate(pieces)


def _part(pieces: Iterable[Piece], begin: float, duration: float) -> Iterator[Piece]:
    """The samples from `begin` on, for `duration` seconds."""
    position = 0
    for piece, rate in pieces:
        first = round(begin * rate)
        last = first + round(duration * rate) if duration else None
        cut = piece[:, max(first - position, 0) : None if last is None else max(last - position, 0)]
        position += piece.shape[1]
        if cut.size:
            yield cut, rate
        if last is not None and position >= last:
            return


def _at_16_khz(pieces: Iterable[Piece]) -> Iterator[np.ndarray]:
    """The pieces (samples,) by ffmpeg's resampler, in large blocks, since every call of it costs."""
    import av

    resampler, held, samples, done, rate = None, [], 0, 0, AUDIO_SAMPLE_RATE
    for piece, rate in pieces:
        held.append(piece)
        samples += piece.shape[1]
        if samples < RESAMPLER_BLOCK:
            continue
        if rate == AUDIO_SAMPLE_RATE:
            yield np.concatenate(held, axis=1)[0]
        else:
            resampler = resampler or av.AudioResampler("fltp", "mono", AUDIO_SAMPLE_RATE)
            yield from _resampled(resampler, _frame(held, rate, done))
        done += samples
        held, samples = [], 0
    if resampler is None:
        if held:
            # Short enough for one block; the shortest sounds need what this does for them.
            yield resample_channels(np.concatenate(held, axis=1), rate, AUDIO_SAMPLE_RATE)[0]
        return
    if held:
        yield from _resampled(resampler, _frame(held, rate, done))
    yield from _resampled(resampler, None)


def _frame(held: list[np.ndarray], rate: int, position: int):
    import av

    frame = av.AudioFrame.from_ndarray(np.concatenate(held, axis=1), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
    return frame


def _resampled(resampler, frame) -> Iterator[np.ndarray]:
    for piece in resampler.resample(frame):
        yield piece.to_ndarray()[0]
