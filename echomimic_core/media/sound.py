"""The sound of a file, straight to what lip sync needs: mono at 16 kHz, in pieces, so that only that is held."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from ..config import AUDIO_SAMPLE_RATE
from .video import sound_pieces
from .waveform import RESAMPLER_BLOCK, mix, resample_blocks, resample_channels, to_float

# A piece of sound (1, samples) float32 in -1..1, and its sample rate.
Piece = tuple[np.ndarray, int]


def read_mono(source, begin: float = 0.0, duration: float = 0.0) -> np.ndarray:
    """The sound of a file (samples,) float32 in -1..1 at 16 kHz: 64 kB per second, whatever the file has.

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
        raise ValueError(f"the audio of the file has nothing from {begin:g} s on: it is empty, cut off or ends before")
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
    """The pieces (samples,) at 16 kHz."""
    blocks = _large(pieces)
    first, second = next(blocks, None), next(blocks, None)
    if first is None:
        return
    rate = first[1]
    if second is None:
        # Also takes the shortest sounds, for which the resampler alone gives nothing
        yield resample_channels(first[0], rate, AUDIO_SAMPLE_RATE)[0]
        return
    sound = (block for block, _ in chain([first, second], blocks))
    if rate != AUDIO_SAMPLE_RATE:
        sound = resample_blocks(sound, rate, AUDIO_SAMPLE_RATE)
    yield from (block[0] for block in sound)


def _large(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, joined until they are worth a call of the resampler."""
    held, samples, rate = [], 0, AUDIO_SAMPLE_RATE
    for piece, rate in pieces:
        held.append(piece)
        samples += piece.shape[1]
        if samples >= RESAMPLER_BLOCK:
            yield np.concatenate(held, axis=1), rate
            held, samples = [], 0
    if held:
        yield np.concatenate(held, axis=1), rate
