"""Which stroke falls on which accent, when hands rest, and the motion that comes of it.

Accents are chosen so that strokes have room; strokes are chosen by a search over the whole voice with costs for how
well a stroke's size fits its accent, for the way the hands have to make, and for repetition. Then each side of the body
follows its own row of clips, joined bone by bone.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..pose import HandPose
from ..runtime import Progress
from .chains import MIDDLE_FINGER, Chains, blend, ease, posed
from .library import BOTH, GestureLibrary, Stroke
from .prosody import Prosody

LEAD = 2  # Frames by which a stroke's greatest speed comes before its accent, as with people.
RETIME = 0.15  # A stroke may be played so much faster or slower.
SHORTEST_JOIN, LONGEST_JOIN = 7, 60  # Frames.
# Largest second difference, in heights of the canvas per frame², that a join may ask of a fingertip; less on the way to
# rest, which nobody hurries to.
JOIN_HASTE, REST_HASTE = 0.010, 0.0012
MINIMUM_JERK = 5.77  # Largest second difference of `ease` over so many frames, times their square.
# Seconds: silence after which hands go to rest, what a stroke takes of it on either side, and the shortest rest.
LONG_PAUSE, AFTER_PAUSE = 0.9, 0.7  # Seconds: see `_unhurried`.
LAY_DOWN = 1.6  # Seconds of rest that are enough to lay the hands down.
LEAST_WELCOME = 0.1  # Accents of less weight get no stroke.
SHORT_PAUSE, AFTER_STROKE, BEFORE_STROKE, LEAST_REST = 0.6, 0.3, 0.6, 0.25
PULSE, PULSE_FRAMES = 0.08, 7  # Radians at full loudness; frames it is smoothed over.
HELD_LESS = 4  # Frames of a stroke's hold that a hurried successor may take.
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
    pulse : (frames,) how far forearms give way to the voice between strokes, in radians.
    """

    events: list[Event]
    rests: list[tuple[int, int]]
    frames: int
    pulse: np.ndarray


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
    times, strengths = prosody.accents.double().numpy() - LEAD, prosody.strengths.double().numpy()
    spacing = np.interp(settings.energy, [0, 1, 2], [2.6, 0.62, 0.45]) * fps
    rng = np.random.default_rng(settings.seed)
    at = np.clip(times + LEAD + 1, 0, frames - 1).astype(int)
    loud = prosody.loudness.double().numpy()[at]
    wanted = strengths * (0.3 + 0.7 * loud) * _unhurried(prosody, times) * (0.85 + 0.3 * rng.random(len(times)))
    chosen = _spaced(times, wanted - LEAST_WELCOME, spacing, [event.at for event in forced], fps)
    weights = 0.5 * strengths + 0.5 * loud
    strokes = _search(times[chosen], weights[chosen], library, settings, rng, progress)
    events = [Event(stroke, float(times[i]), int(i)) for i, stroke in zip(chosen, strokes, strict=True)]
    events = sorted(events + forced, key=lambda event: event.at)
    rests = _rests(prosody, events, settings)
    return Plan(events, rests, frames, _pulse(prosody, rests, settings))


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
            welcome[(times >= first - LEAD - 1) & (times < first + AFTER_PAUSE * prosody.fps)] = 0.12
        quiet = end
    return welcome


def _spaced(times, weights, spacing: float, taken: list[float], fps: float) -> np.ndarray:
    """Indices of accents that lie `spacing` frames apart and away from those taken, of the greatest weight in all."""
    free = [i for i, time in enumerate(times) if time >= 0 and all(abs(time - other) >= fps for other in taken)]
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
    strokes = library.strokes
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
    costs = (
        2.0 * (sizes[None] - wanted[:, None]) ** 2 + settings.variety * rng.gumbel(size=(len(times), len(strokes))) / 3
    )
    # The best continuation of each last stroke, remembering what was used lately on its way.
    total, history = costs[0], np.full((len(strokes), RECENT), -1)
    history[:, 0] = kinds
    back = []
    for step in range(1, len(times)):
        if progress is not None:
            progress(step, len(times))
        gap = times[step] - times[step - 1]
        hurry = np.clip(np.sqrt(MINIMUM_JERK * way / JOIN_HASTE) / max(gap - 8.0, 1.0) - 0.8, 0, None)
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
    chains = stroke.chains
    bones = chains.lengths[frame, :, :2, None] * np.stack(
        [np.cos(chains.angles[frame, :, :2]), np.sin(chains.angles[frame, :, :2])], axis=-1
    )
    return chains.roots[frame] + bones.sum(1)


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


def _pulse(prosody: Prosody, rests: list[tuple[int, int]], settings: PlanSettings) -> np.ndarray:
    """Small movements with the voice's loudness, a little ahead of it; none where the hands rest."""
    loudness = prosody.loudness.double().numpy()
    kernel = np.hanning(PULSE_FRAMES + 2)[1:-1]
    ahead = np.concatenate([loudness[LEAD:], np.zeros(min(LEAD, len(loudness)))])[: len(loudness)]
    awake = np.ones(len(loudness))
    for first, end in rests:
        awake[first:end] = 0.0
    smooth = np.convolve(np.pad(ahead * awake, PULSE_FRAMES // 2, mode="edge"), kernel / kernel.sum(), "valid")
    return PULSE * settings.energy * smooth[: len(loudness)]


def pulsed(chains: Chains, plan: Plan) -> Chains:
    """Chains whose forearms give way to the voice: downwards and outwards, each side its own way."""
    turn = np.zeros(chains.angles.shape[:2])
    turn[:, 0], turn[:, 1] = plan.pulse, -plan.pulse
    angles = chains.angles.copy()
    angles[:, :, 0] += 0.35 * turn
    angles[:, :, 1:] += turn[..., None]
    return Chains(chains.roots, angles, chains.lengths)


def move(plan: Plan, library: GestureLibrary, seed: int = 0, progress: Progress | None = None) -> HandPose:
    """The pose of a plan, of its frames at the library's rate; `progress` as in `plan`, over both sides."""
    left, right = (_side(plan, library, side, seed, progress) for side in BOTH)
    both = (np.concatenate(pair, axis=1) for pair in zip(left.parts(), right.parts(), strict=True))
    chains = pulsed(Chains(*both), plan)
    return posed(chains, library.base.take(np.zeros(plan.frames, dtype=int)))


def _side(plan: Plan, library: GestureLibrary, side: int, seed: int, progress: Progress | None) -> Chains:
    """The chains of one side (F, 1, ...)."""
    rng = np.random.default_rng([seed, 7])  # Both sides rest in the same pose.
    rest_of = {rest: int(rng.integers(len(library.rests))) for rest in [(-1, -1), *plan.rests]}
    if plan.rests and plan.rests[0][0] == 0:
        rest_of[-1, -1] = rest_of[plan.rests[0]]
    pieces = [(0, _resting(library, rest_of[-1, -1], 0, plan.frames), REST_HASTE)]
    events = [event for event in plan.events if side in event.stroke.sides]
    moments = [(_begin(event), event) for event in events] + [(first, (first, end)) for first, end in plan.rests]
    held = 0.0
    for first, what in sorted(moments, key=lambda moment: moment[0]):
        if isinstance(what, Event):
            # A stroke is finished and held a moment before the next one is prepared.
            first, held = max(first, round(held)), what.at + what.stroke.leave - what.stroke.strike - HELD_LESS
            source = what.stroke.chains
            frames = (np.arange(plan.frames) - what.at) + what.stroke.strike
        elif what[1] - what[0] < LAY_DOWN * library.fps and what[1] < plan.frames:
            source, frames = None, None  # Too short to lay the hands down: they stay where they are.
        else:
            source, frames = _resting(library, rest_of[what], what[0], plan.frames)
        pieces.append((max(first, 0), (source, frames), JOIN_HASTE if isinstance(what, Event) else REST_HASTE))
    return _joined(pieces, side, plan.frames, progress)


def _begin(event: Event) -> int:
    return round(event.at) - event.stroke.strike


def _resting(library: GestureLibrary, which: int, first: int, frames: int) -> tuple[Chains, np.ndarray]:
    """A rest pose, played there and back without end."""
    rest = library.rests[which]
    length = max(len(rest) - 1, 1)
    phase = (np.arange(frames) - first) % (2 * length)
    return rest, np.minimum(phase, 2 * length - phase).astype(float)


def _joined(pieces: list, side: int, frames: int, progress: Progress | None) -> Chains:
    """Follow each piece, (first frame, (clip, its frame at every frame)), until the next one is blended in."""
    _, (source, at), _ = pieces[0]
    row = _one_side(source.at(at), side)
    for number, (first, (source, at), haste) in enumerate(pieces[1:], 1):
        if progress is not None:
            progress(number, len(pieces))
        if first >= frames:
            continue
        if source is None:
            still = part(row, first, first + 1)
            source, at = Chains(*(np.repeat(values, 2, axis=1) for values in still.parts())), np.zeros(frames)
        nearest = _one_side(source.at(at[first : first + 1]), side)
        way = float(np.linalg.norm(_tips(nearest) - _tips(row_at(row, first)), axis=-1).max())
        length = int(np.clip(np.sqrt(MINIMUM_JERK * way / haste), SHORTEST_JOIN, LONGEST_JOIN))
        begin = first
        end = min(begin + length, frames)
        following = _one_side(source.at(at[begin:]), side)
        joined = blend(part(row, begin, end), part(following, 0, end - begin), ease(length)[: end - begin])
        # The turn that the blend chose holds for the rest of the clip.
        turn = np.round((joined.angles[-1:] - following.angles[end - begin - 1 : end - begin]) / (2 * np.pi))
        rest = part(following, end - begin, len(following))
        rest = Chains(rest.roots, rest.angles + 2 * np.pi * turn, rest.lengths)
        pieces_in_time = zip(part(row, 0, begin).parts(), joined.parts(), rest.parts(), strict=True)
        row = Chains(*(np.concatenate(values) for values in pieces_in_time))
    return row


def part(chains: Chains, first: int, end: int) -> Chains:
    return Chains(*(values[first:end] for values in chains.parts()))


def row_at(chains: Chains, frame: int) -> Chains:
    return part(chains, frame, frame + 1)


def _one_side(chains: Chains, side: int) -> Chains:
    return Chains(*(values[:, side : side + 1] for values in chains.parts()))


def _tips(chains: Chains) -> np.ndarray:
    """Where wrist and tip of the middle finger of the one side are (2, 2) in the first frame."""
    angles, lengths = chains.angles[0, 0], chains.lengths[0, 0, :, None]
    bones = lengths * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    wrist = chains.roots[0, 0] + bones[:2].sum(0)
    return np.stack([wrist, wrist + bones[MIDDLE_FINGER].sum(0)])


def gestures_for(
    waveform: torch.Tensor,
    library: GestureLibrary,
    settings: PlanSettings = PlanSettings(),  # noqa: B008 (frozen)
    frames: int = 0,
    cues: list[tuple[float, str]] | None = None,
    progress: Progress | None = None,
) -> tuple[HandPose, Plan, Prosody]:
    """Hands for a voice (samples,) mono at 16 kHz: the pose, its plan, and the analysis of the voice."""
    from .prosody import listen

    heard = listen(waveform, frames, library.fps, progress)
    planned = plan(heard, library, settings, cues, progress)
    return move(planned, library, settings.seed, progress), planned, heard
