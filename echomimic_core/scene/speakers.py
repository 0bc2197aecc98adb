"""Speakers: one recording of several people as a track for each, silent while others talk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..choices import MOST_SPEAKERS

# A turn fades in and out over so many seconds around its ends, so that nothing clicks.
_FADE = 0.02
_RTTM_FIELDS = 8


@dataclass(frozen=True)
class Turn:
    """Somebody speaks from `start` to `end`, in seconds."""

    name: str
    start: float
    end: float


def read_turns(text: str) -> list[Turn]:
    """Turns of a diarisation: RTTM lines (SPEAKER file channel start duration ... name), or lines `name start end`.

    Empty lines and those that begin with # or ; are left out, as is the rest of RTTM (SPKR-INFO and others).

    Raises
    ------
    ValueError : a line that is neither, with its number; or none at all.
    """
    turns = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or line.lstrip()[0] in "#;" or fields[0] == "SPKR-INFO":
            continue
        try:
            if fields[0] == "SPEAKER" and len(fields) >= _RTTM_FIELDS:
                start, name = float(fields[3]), fields[7]
                end = start + float(fields[4])
            else:
                start, end, name = float(fields[-2]), float(fields[-1]), " ".join(fields[:-2])
        except (ValueError, IndexError):
            start, end, name = np.nan, np.nan, ""
        if not name or not 0 <= start < end < np.inf:
            raise ValueError(
                f"line {number} of the turns is {line.strip()[:60]!r}, but a line is 'name start end' in seconds, for "
                "example 'Anna 0.5 3.2', or a SPEAKER line of an RTTM file"
            )
        turns.append(Turn(name, start, end))
    if not turns:
        raise ValueError("there are no turns in the text: write one line 'name start end' per turn, in seconds")
    return turns


def by_turns(waveform: np.ndarray, rate: int, turns: Sequence[Turn]) -> dict[str, np.ndarray]:
    """A track (channels, samples) for each speaker, in the order in which they first speak, silent outside their turns.

    Where turns overlap both tracks have the whole sound: one microphone does not tell two voices apart.

    Raises
    ------
    ValueError : more speakers than `MOST_SPEAKERS`, or a turn that begins after the sound has ended.
    """
    length = waveform.shape[-1]
    gains: dict[str, np.ndarray] = {}
    fade = max(round(_FADE * rate), 1)
    for turn in sorted(turns, key=lambda turn: turn.start):
        first, last = round(turn.start * rate), round(turn.end * rate)
        if first >= length:
            raise ValueError(
                f"a turn of {turn.name} starts at {turn.start:g} s, but the audio is only {length / rate:.2f} s long: "
                "connect the audio that the turns belong to"
            )
        gain = gains.setdefault(turn.name, np.zeros(length, np.float32))
        low, high = max(first - fade, 0), min(last + fade, length)
        places = np.arange(low, high)
        rise = np.clip(np.minimum(places - first + fade, last + fade - places) / fade, 0, 1).astype(np.float32)
        gain[low:high] = np.maximum(gain[low:high], rise)
    _check_count(len(gains), "turns", ", ".join(gains))
    return {name: waveform * gain for name, gain in gains.items()}


def by_channel(waveform: np.ndarray) -> dict[str, np.ndarray]:
    """A track (1, samples) for each channel of a recording (channels, samples).

    Raises
    ------
    ValueError : one channel, or more than `MOST_SPEAKERS`.
    """
    if len(waveform) == 1:
        raise ValueError(
            "the audio has one channel, so the voices cannot be split by channel: use a recording with one speaker per "
            "channel, or say in turns who speaks when"
        )
    _check_count(len(waveform), "audio", f"{len(waveform)} channels")
    return {f"channel {index + 1}": waveform[index : index + 1] for index in range(len(waveform))}


def _check_count(count: int, what: str, who: str) -> None:
    if count > MOST_SPEAKERS:
        raise ValueError(f"the {what} has {count} speakers ({who}), but at most {MOST_SPEAKERS} can be split")
