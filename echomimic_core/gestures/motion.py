"""From a plan to a pose: each side follows its own row of clips, joined bone by bone, at the pace of the voice."""

from dataclasses import dataclass

import numpy as np
import torch

from ..config import FPS
from ..pose import HandPose
from ..runtime import Progress
from .chains import Chains, blend, ease, hands_of, posed
from .library import BOTH, GestureLibrary
from .plan import MINIMUM_JERK, Event, Plan, PlanSettings, plan
from .prosody import Prosody, listen

SHORTEST_JOIN, LONGEST_JOIN = 0.3, 2.5  # Seconds.
# Largest second difference, in heights of the canvas per frame² at 24 fps, that a join may ask of a fingertip; less on
# the way to rest, which nobody hurries to.
JOIN_HASTE, REST_HASTE = 0.010, 0.0012
LAY_DOWN = 1.6  # Seconds of rest that are enough to lay the hands down.
HELD_LESS = 1 / 6  # Seconds of a stroke's hold that a hurried successor may take.
SWAY, SWAY_SECONDS = 0.08, 0.9  # Radians at full loudness and energy 1; seconds of a sway there and back.
SLOWEST, FASTEST = 0.15, 2.0  # Pace of what lies between strokes, in quiet and in loud moments.
CONTRAST = 2.0  # Power of loudness that the pace follows.
MOST_ROUNDS = 60


@dataclass(frozen=True)
class Piece:
    """A clip to follow from frame `first` on, at `start` of the clip then; None stays where it is.

    A resting one is played there and back without end, others are held at their end. `haste` is what its join may ask.
    """

    first: int
    clip: Chains | None
    start: float
    haste: float
    resting: bool = False

    def between(self, side: int, begin: int, end: int) -> Chains:
        """One side (end - begin, 1, ...) of the clip at these frames."""
        at = np.arange(begin, end) - self.first + self.start
        if self.resting:
            length = max(len(self.clip) - 1, 1)
            at = at % (2 * length)
            at = np.minimum(at, 2 * length - at)
        return self.clip.side(side).at(at)


def gestures_for(
    waveform: torch.Tensor,
    library: GestureLibrary,
    settings: PlanSettings = PlanSettings(),  # noqa: B008 (frozen)
    frames: int = 0,
    cues: list[tuple[float, str]] | None = None,
    progress: Progress | None = None,
) -> tuple[HandPose, Plan, Prosody]:
    """Hands for a voice (samples,) mono at 16 kHz: the pose, its plan, and the analysis of the voice."""
    heard = listen(waveform, frames, library.fps, progress)
    planned = plan(heard, library, settings, cues, progress)
    return move(planned, library, settings.seed, progress), planned, heard


def move(plan: Plan, library: GestureLibrary, seed: int = 0, progress: Progress | None = None) -> HandPose:
    """The pose of a plan, of its frames at the library's rate; `progress` as in `plan`, over both sides."""
    left, right = (
        _joined(_pieces(plan, library, side, seed), side, plan.frames, library.fps, progress) for side in BOTH
    )
    chains = Chains(*(np.concatenate(pair, axis=1) for pair in zip(left.parts(), right.parts(), strict=True)))
    chains = calmed(_swayed(chains.at(_clock(plan)), plan, library.fps, seed), library.haste, progress)
    return posed(chains, library.base.take(np.zeros(plan.frames, dtype=int)))


def _pieces(plan: Plan, library: GestureLibrary, side: int, seed: int) -> list[Piece]:
    """What one side follows, one after the other."""
    rng = np.random.default_rng([seed, 7])  # Both sides rest in the same pose.
    rest_of = {rest: int(rng.integers(len(library.rests))) for rest in [(-1, -1), *plan.rests]}
    if plan.rests and plan.rests[0][0] == 0:
        rest_of[-1, -1] = rest_of[plan.rests[0]]
    pieces = [Piece(0, library.rests[rest_of[-1, -1]], 0, REST_HASTE, resting=True)]
    events = [event for event in plan.events if side in event.stroke.sides]
    moments = [(_begin(event), event) for event in events] + [(first, (first, end)) for first, end in plan.rests]
    held = 0.0
    for first, what in sorted(moments, key=lambda moment: moment[0]):
        if isinstance(what, Event):
            # A stroke is finished and held a moment before the next one is prepared.
            first, stroke = max(first, round(held), 0), what.stroke
            held = what.at + stroke.leave - stroke.strike - HELD_LESS * library.fps
            pieces.append(Piece(first, stroke.chains, first - what.at + stroke.strike, JOIN_HASTE))
            if first == 0:
                pieces = pieces[-1:]  # The clip begins in the middle of this stroke.
        elif what[1] - what[0] < LAY_DOWN * library.fps and what[1] < plan.frames:
            pieces.append(Piece(first, None, 0, REST_HASTE))  # Too short to lay the hands down.
        else:
            pieces.append(Piece(first, library.rests[rest_of[what]], 0, REST_HASTE, resting=True))
    return [piece for piece in pieces if piece.first < plan.frames]


def _begin(event: Event) -> int:
    return round(event.at) - event.stroke.strike


def _joined(pieces: list[Piece], side: int, frames: int, fps: float, progress: Progress | None) -> Chains:
    """Follow each piece until the next one is blended in; (F, 1, ...) of one side."""
    shortest, longest = SHORTEST_JOIN * fps, LONGEST_JOIN * fps
    row = pieces[0].between(side, 0, frames)
    for number, piece in enumerate(pieces[1:], 1):
        if progress is not None:
            progress(number, len(pieces))
        # The next piece is blended in from its first frame on, at most for so long.
        begin, end = piece.first, frames
        if number + 1 < len(pieces):
            end = min(max(pieces[number + 1].first, begin) + round(longest), frames)
        here = row.part(begin, begin + 1)
        stay = piece.clip is None
        following = here.at(np.zeros(end - begin)) if stay else piece.between(side, begin, end)
        way = float(np.linalg.norm(following.part(0, 1).tips() - here.tips(), axis=-1).max())
        length = int(np.clip(np.sqrt(MINIMUM_JERK * way / piece.haste) * fps / FPS, shortest, longest))
        until = min(length, end - begin)
        joined = blend(row.part(begin, begin + until), following.part(0, until), ease(length)[:until])
        # The turn that the blend chose holds for the rest of the piece.
        turn = 2 * np.pi * np.round((joined.angles[-1:] - following.angles[until - 1 : until]) / (2 * np.pi))
        for values, new in zip(row.parts(), joined.parts(), strict=True):
            values[begin : begin + until] = new
        following.angles[...] += turn
        for values, new in zip(row.parts(), following.parts(), strict=True):
            values[begin + until : end] = new[until:]
    return row


def _clock(plan: Plan) -> np.ndarray:
    """Frame (F,) of the plan that is shown at each frame: between strokes, motion hurries and waits with the voice.

    The strokes keep their moments and their pace.
    """
    frames = plan.frames
    pace = np.ones(frames)
    first = 0
    for event in [*plan.events, None]:
        end = frames if event is None else round(event.at - (event.stroke.apex - event.stroke.strike)) - 2
        if end - first >= 6:
            pace[first:end] = _even(plan.loudness[first:end])
        if event is not None:
            first = max(round(event.at + event.stroke.apex - event.stroke.strike) + 1, first)
    pace = np.convolve(np.pad(pace, 2, mode="edge"), np.hanning(7)[1:-1] / 3, "valid")
    return np.concatenate([[0.0], np.cumsum(pace)[:-1]])


def _even(weights: np.ndarray) -> np.ndarray:
    """Paces in SLOWEST..FASTEST that are 1 in the mean, in proportion to weights (n,) where these limits let them."""
    weights = np.maximum(weights, 1e-4) ** CONTRAST
    low, high = -10.0, 60.0  # Powers of e.
    for _ in range(50):
        middle = (low + high) / 2
        slow = np.clip(np.exp(middle) * weights, SLOWEST, FASTEST).mean() < 1
        low, high = (middle, high) if slow else (low, middle)
    return np.clip(np.exp(high) * weights, SLOWEST, FASTEST)


def _swayed(chains: Chains, plan: Plan, fps: float, seed: int) -> Chains:
    """Chains whose forearms sway while there is a voice, the faster the louder it is; each side in its own time."""
    angles = chains.angles.copy()
    phases = np.random.default_rng([seed, 9]).uniform(0, 2 * np.pi, 2)
    for side, sign in enumerate((1, -1)):
        phase = phases[side] + np.cumsum(plan.loudness) * 2 * np.pi / (SWAY_SECONDS * (1 + 0.13 * side) * fps)
        turn = sign * SWAY * plan.energy * np.sin(phase)
        angles[:, side, 0] += 0.35 * turn
        angles[:, side, 1:] += turn[:, None]
    return Chains(chains.roots, angles, chains.lengths)


def calmed(chains: Chains, limit: float, progress: Progress | None = None) -> Chains:
    """Chains rounded off wherever a point of a hand would change its speed by more than `limit` per frame."""
    parts = [values.copy() for values in chains.parts()]
    for done in range(MOST_ROUNDS):
        if progress is not None:
            progress(done, MOST_ROUNDS)
        hasty = _second(Chains(*parts)) > 0.98 * limit
        if not hasty.any():
            break
        share = np.pad(hasty, ((1, 1), (0, 0))).astype(float)
        for _ in range(2):
            share = np.maximum(share, 0.75 * np.maximum(_moved(share, 1), _moved(share, -1)))
        for values in parts:
            weight = share.reshape(*share.shape, *[1] * (values.ndim - 2))
            values += weight * (_moved(values, 1) + _moved(values, -1) - 2 * values) / 4
    return Chains(*parts)


def softened(chains: Chains) -> Chains:
    """Chains smoothed over three frames."""
    return Chains(*((_moved(values, 1) + 2 * values + _moved(values, -1)) / 4 for values in chains.parts()))


def _second(chains: Chains) -> np.ndarray:
    """Largest second difference (F - 2, 2) of each side's points."""
    return np.abs(np.diff(hands_of(chains), 2, axis=0)).max((2, 3))


def _moved(values: np.ndarray, frames: int) -> np.ndarray:
    """Values one frame later (1) or earlier (-1), the first or last one twice."""
    return np.concatenate([values[:1], values[:-1]] if frames > 0 else [values[1:], values[-1:]])
