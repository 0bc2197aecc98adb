"""Which stroke falls on which accent, and when hands rest.

Accents are chosen so that strokes have room; strokes are chosen by a search over the whole voice with costs for how
well a stroke's size fits its accent, for the way the hands have to make, and for repetition.
"""

from dataclasses import dataclass

import numpy as np

from ..config import FPS
from ..runtime import Progress
from .library import BOTH, EMBLEMS, GestureLibrary, Stroke
from .prosody import Prosody

LEAD = 2 / 24  # Seconds by which a stroke's greatest speed comes before its accent, as with people.
# Second difference, in heights of the canvas per frame² at 24 fps, that the way to a stroke should need at most.
PREPARE_HASTE = 0.010
MINIMUM_JERK = 5.77  # Largest second difference of `ease` over so many frames, times their square.
LONG_PAUSE, AFTER_PAUSE = 0.9, 0.7  # Seconds: see `_unhurried`.
EARLIEST = 0.3  # Seconds into the clip that a stroke needs at least.
LEAST_WELCOME = 0.1  # Accents of less weight get no stroke.
# Seconds: silence after which hands go to rest, what a stroke takes of it on either side, and the shortest rest.
SHORT_PAUSE, AFTER_STROKE, BEFORE_STROKE, LEAST_REST = 0.6, 0.3, 0.6, 0.25
LOUD_FRAMES = 7  # Frames over which loudness is smoothed.
EMBLEM = 1.0  # Cost of a stroke that says something by itself.
RECENT = 4  # Strokes back that should not be repeated.


@dataclass(frozen=True)
class PlanSettings:
    """How lively hands are.

    Attributes
    ----------
    energy : 0 (hardly any strokes, small ones) to 2 (as many and as large as fit); 1 is a calm speaker.
    variety : 0 (always the best-fitting stroke) to 1.
    rest : how readily the hands come to rest in pauses, 0 to 1.
    seed : of every choice.
    """

    energy: float = 1.0
    variety: float = 0.5
    rest: float = 0.5
    seed: int = 0

    def __post_init__(self):
        for name, most in (("energy", 2), ("variety", 1), ("rest", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be between 0 and {most}")
        if self.seed < 0:
            raise ValueError(f"the seed is {self.seed}, but must be 0 or more")


@dataclass(frozen=True)
class Event:
    """A stroke in a plan: `at` is the frame of its greatest speed; `forced` by a cue; on accent number `accent`."""

    stroke: Stroke
    at: float
    accent: int | None = None
    forced: bool = False


@dataclass(frozen=True)
class Plan:
    """What the hands do.

    Attributes
    ----------
    events : strokes in order of time. rests : frames (first, after the last) in which the hands rest.
    loudness : (frames,) of the voice, 0..1, smoothed, LEAD early: what the hands' pace follows.
    energy : of the settings.
    """

    events: list[Event]
    rests: list[tuple[int, int]]
    frames: int
    loudness: np.ndarray
    energy: float = 1.0


def plan(
    prosody: Prosody,
    library: GestureLibrary,
    settings: PlanSettings = PlanSettings(),  # noqa: B008 (frozen)
    cues: list[tuple[float, str]] | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Choose strokes for a voice.

    Parameters
    ----------
    cues : (seconds, kind or name of a stroke), obeyed exactly; other strokes keep clear of them.
    progress : called with (accents done, accents); may raise to cancel.

    Raises
    ------
    ValueError : a cue that the library does not have, or that is outside the clip.
    """
    frames, fps = len(prosody), prosody.fps
    forced = _forced(cues or [], library, frames, fps)
    times, strengths = prosody.accents.double().numpy() - LEAD * fps, prosody.strengths.double().numpy()
    spacing = np.interp(settings.energy, [0, 1, 2], [2.6, 0.62, 0.45]) * fps
    rng = np.random.default_rng(settings.seed)
    at = np.clip(times + LEAD * fps + 1, 0, frames - 1).astype(int)
    loud = prosody.loudness.double().numpy()[at]
    wanted = strengths * (0.3 + 0.7 * loud) * _unhurried(prosody, times) * (0.85 + 0.3 * rng.random(len(times)))
    chosen = _spaced(times, wanted - LEAST_WELCOME, spacing, [event.at for event in forced], fps)
    weights = 0.5 * strengths + 0.5 * loud
    strokes = _search(times[chosen], weights[chosen], library, settings, rng, progress)
    events = [Event(stroke, float(times[i]), int(i)) for i, stroke in zip(chosen, strokes, strict=True)]
    events = sorted(events + forced, key=lambda event: event.at)
    rests = _rests(prosody, events, settings)
    return Plan(events, rests, frames, _ahead(prosody), settings.energy)


def _forced(cues: list[tuple[float, str]], library: GestureLibrary, frames: int, fps: float) -> list[Event]:
    events = []
    for seconds, name in cues:
        if not 0 <= seconds * fps < frames:
            raise ValueError(f"the cue '{seconds:g} {name}' is outside the clip of {frames / fps:.1f} s")
        events.append(Event(library.find(name), seconds * fps, forced=True))
    return events


def _unhurried(prosody: Prosody, times: np.ndarray) -> np.ndarray:
    """How welcome a stroke is by its place alone: just after a long pause it would have to be prepared in the pause."""
    welcome, quiet = np.ones(len(times)), 0
    for first, end in prosody.phrases:
        if first - quiet >= LONG_PAUSE * prosody.fps:
            welcome[(times >= first - LEAD * prosody.fps - 1) & (times < first + AFTER_PAUSE * prosody.fps)] = 0.12
        quiet = end
    return welcome


def _spaced(times, weights, spacing: float, taken: list[float], fps: float) -> np.ndarray:
    """Indices of accents that lie `spacing` frames apart and away from those taken, of the greatest weight in all."""
    early = EARLIEST * fps
    free = [i for i, time in enumerate(times) if time >= early and all(abs(time - other) >= fps for other in taken)]
    best, last, before = [0.0], [], []
    for position, index in enumerate(free):
        earlier = int(np.searchsorted(times[free[:position]], times[index] - spacing, side="right"))
        with_it = best[earlier] + weights[index]
        take = with_it > best[-1]
        best.append(with_it if take else best[-1])
        last.append(take)
        before.append(earlier)
    chosen, position = [], len(free)
    while position > 0:
        if last[position - 1]:
            chosen.append(free[position - 1])
            position = before[position - 1]
        else:
            position -= 1
    return np.array(chosen[::-1], dtype=int)


def _search(times, strengths, library: GestureLibrary, settings: PlanSettings, rng, progress) -> list[Stroke]:
    """A stroke for each accent: the cheapest way through all of them, kept among the best at every accent."""
    strokes, haste = library.strokes, PREPARE_HASTE * (FPS / library.fps) ** 2
    if not len(times) or not strokes:
        return []
    kinds = np.array([hash_of(stroke.kind) for stroke in strokes])
    sizes = np.array([stroke.size for stroke in strokes])
    sizes = (sizes.argsort().argsort() + 0.5) / len(sizes)
    sides = np.array([[side in stroke.sides for side in BOTH] for stroke in strokes])
    ready = np.array([_wrists(stroke, stroke.strike) for stroke in strokes])
    leave = np.array([_wrists(stroke, stroke.leave) for stroke in strokes])
    way = np.linalg.norm(leave[:, None] - ready[None], axis=-1).max(-1)
    wanted = np.clip(strengths * (0.35 + 0.55 * settings.energy), 0, 1)
    costs = 2.0 * (sizes[None] - wanted[:, None]) ** 2 + EMBLEM * np.array([s.kind in EMBLEMS for s in strokes])
    costs += settings.variety * rng.gumbel(size=costs.shape) / 3
    # The best continuation of each last stroke, remembering what was used lately on its way.
    total, history = costs[0], np.full((len(strokes), RECENT), -1)
    history[:, 0] = kinds
    back = []
    for step in range(1, len(times)):
        if progress is not None:
            progress(step, len(times))
        gap = times[step] - times[step - 1]
        hurry = np.clip(np.sqrt(MINIMUM_JERK * way / haste) / max(gap - library.fps / 3, 1.0) - 0.8, 0, None)
        repeated = (history[:, None, :] == kinds[None, :, None]) * (1.4 / np.arange(1, RECENT + 1))
        alternate = 0.25 * (sides[:, None] & sides[None]).any(-1)
        tables = total[:, None] + hurry + repeated.sum(-1) + alternate
        came = tables.argmin(0)
        back.append(came)
        total = tables[came, np.arange(len(strokes))] + costs[step]
        history = np.concatenate([kinds[:, None], history[came][:, :-1]], axis=1)
    way_back = [int(total.argmin())]
    for came in reversed(back):
        way_back.append(int(came[way_back[-1]]))
    return [strokes[index] for index in reversed(way_back)]


def hash_of(text: str) -> int:
    """A number for a text, the same in every process."""
    return int.from_bytes(text.encode()[:7].ljust(7), "little") ^ (sum(text.encode()) << 8)


def _wrists(stroke: Stroke, frame: int) -> np.ndarray:
    """Where both wrists are (2, 2) at a frame."""
    return stroke.chains.part(frame, frame + 1).tips()[0, :, 0]


def _rests(prosody: Prosody, events: list[Event], settings: PlanSettings) -> list[tuple[int, int]]:
    """Frames (first, after the last) of the voice's pauses, as far as strokes before and after leave them."""
    fps, frames = prosody.fps, len(prosody)
    shortest = SHORT_PAUSE * fps * (1.5 - settings.rest)
    spoken = [(-1, 0), *prosody.phrases, (frames, frames + 1)]
    times = np.array([event.at for event in events])
    rests = []
    for (_, quiet), (loud, _) in zip(spoken, spoken[1:], strict=False):
        if loud - quiet < shortest:
            continue
        before, after = times[times < (quiet + loud) / 2], times[times >= (quiet + loud) / 2]
        first = quiet if not len(before) else max(quiet, round(before.max() + AFTER_STROKE * fps))
        end = loud if not len(after) else min(loud, round(after.min() - BEFORE_STROKE * fps))
        if end - first >= LEAST_REST * fps:
            rests.append((first, end))
    return rests


def _ahead(prosody: Prosody) -> np.ndarray:
    """Loudness (F,), smoothed, LEAD early."""
    loudness = prosody.loudness.double().numpy()
    kernel = np.hanning(LOUD_FRAMES + 2)[1:-1]
    lead = min(round(LEAD * prosody.fps), len(loudness))
    ahead = np.concatenate([loudness[lead:], np.zeros(lead)])
    return np.convolve(np.pad(ahead, LOUD_FRAMES // 2, mode="edge"), kernel / kernel.sum(), "valid")[: len(loudness)]
