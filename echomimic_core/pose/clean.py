"""Make raw detections into a steady pose: drop outliers, heal gaps, bring to the target frame rate, smooth."""

from dataclasses import dataclass

import numpy as np

from ..choices import LONG_GAPS
from ..config import FPS, HANDS
from ..runtime import Progress
from .hand_pose import BODY_WRISTS, HandPose, hand_confidence
from .track import Track, non_empty

# A hand that jumps off its path by more than this part of its size, and is back within so many seconds, is a false
# find: blurred frames give rise to them. Real hands need time to turn round; this is in hand sizes a second, a second.
SPIKE, SPIKE_SECONDS, SPIKE_FRAMES = 0.25, 0.25, 5
TURNING = 100.0
# A hand that is shaken has large steps before and after as well, and leaves its path again and again.
SPIKE_PER_STEP = 1.5
SHAKEN_SHARE, SHAKEN_SECONDS = 0.15, 0.5

# One-Euro filter (Casiez et al., 2012): the cutoff rises with speed, so rest is steady and gestures stay crisp.
# Cutoffs at rest in Hz, and by how many Hz one canvas height a second raises them: at the weakest and the strongest.
_CUTOFF_WEAKEST, _CUTOFF_STRONGEST = 12.0, 0.4
_RISE_WEAKEST, _RISE_STRONGEST = 60.0, 3.0
_SPEED_CUTOFF = 1.5
# Progress is told, and a cancel heard, after each so many frames.
FRAMES_TOLD = 1_000


@dataclass
class Detections:
    """What was found in F frames at `times` (F,), in seconds. Coordinates are 0..1 of the picture, score 0 is none."""

    times: np.ndarray
    hands: np.ndarray
    hand_scores: np.ndarray
    bodies: np.ndarray
    body_scores: np.ndarray
    faces: np.ndarray
    face_scores: np.ndarray
    width: int
    height: int


@dataclass(frozen=True)
class Report:
    """How well hands were found in a clip.

    Attributes
    ----------
    frames : frames looked at.
    found : share of frames, 0..1, in which the left and the right hand were found.
    longest_gap : seconds without the left and the right hand, at most.
    confidence : mean confidence of all hand points of all frames (`hand_confidence`, the HKC of the evaluation).
    """

    frames: int
    found: tuple[float, float]
    longest_gap: tuple[float, float]
    confidence: float

    def __str__(self) -> str:
        left, right = self.found
        lines = [
            f"{self.frames} frames; hands found: left {left:.0%}, right {right:.0%}; "
            f"longest gap: left {self.longest_gap[0]:.2f} s, right {self.longest_gap[1]:.2f} s; "
            f"mean confidence (HKC) {self.confidence:.3f}"
        ]
        for side, share in (("left", left), ("right", right)):
            if share == 0:
                lines.append(f"The {side} hand was never found: is it in the picture, unobstructed and sharp?")
            elif share < 0.8:
                lines.append(f"The {side} hand is missing in {1 - share:.0%} of the frames: check the preview.")
        return "\n".join(lines)


def steady(
    found: Detections, fps: float = FPS, smoothing: float = 0.3, max_gap: float = 0.5, long_gaps: str = "hold"
) -> HandPose:
    """Turn raw detections into a pose: false finds dropped, gaps healed, resampled to `fps` by time, smoothed.

    smoothing : 0 (none) to 1. max_gap, long_gaps : see `heal`.
    """
    times = found.times - found.times[0]
    frame = np.median(np.diff(times)) if len(times) > 1 else 1 / fps
    new_times = np.arange(max(int(round((times[-1] + frame) * fps)), 1)) / fps
    aspect = np.array([found.width / found.height, 1.0])

    def track(points: np.ndarray, scores: np.ndarray, gaps: str) -> tuple[np.ndarray, np.ndarray]:
        points, scores = heal(times, points, scores, max_gap, gaps)
        points, scores = resample(times, points, scores, np.minimum(new_times, times[-1]))
        smoothed = smooth(points * aspect, scores, fps, smoothing) / aspect
        return np.where((scores > 0)[..., None], smoothed, 0.0), scores

    kept = drop_spikes(found.times, found.hands * aspect, found.hand_scores)
    hands = [track(found.hands[:, hand], kept[:, hand], long_gaps) for hand in range(HANDS)]
    hand_points, hand_scores = (np.stack(values, axis=1) for values in zip(*hands, strict=True))
    bodies, body_scores = track(found.bodies, found.body_scores, "hold")
    faces, face_scores = track(found.faces, found.face_scores, "hold")
    # The hand model knows better than the body model where a wrist is.
    wrists = list(BODY_WRISTS)
    meet = (hand_scores[..., 0] > 0) & (body_scores[:, wrists] > 0)
    bodies[:, wrists] = np.where(meet[..., None], hand_points[:, :, 0], bodies[:, wrists])
    return HandPose(
        hands=hand_points, hand_scores=hand_scores, width=found.width, height=found.height, fps=float(fps)
    ).with_tracks(non_empty({"bodies": Track(bodies, body_scores), "faces": Track(faces, face_scores)}))


def make_report(times: np.ndarray, scores: np.ndarray) -> Report:
    """Report on raw detections: scores (F, 2, 21) at `times` (F,) in seconds, 0 where no hand was found."""
    found = scores.max(axis=-1) > 0
    frame = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    gaps = []
    for hand in range(2):
        seen = np.flatnonzero(found[:, hand])
        edges = np.concatenate([[-1], seen, [len(times)]])
        gaps.append(float((np.diff(edges) - 1).max() * frame) if len(times) else 0.0)
    shares = tuple(float(share) for share in found.mean(axis=0))
    return Report(len(times), shares, tuple(gaps), hand_confidence(scores))


def drop_spikes(times: np.ndarray, points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Scores (F, 2, 21) with those set to 0 where a hand leaves its path for a moment and comes back: a false find.

    times : (F,) in seconds. points : (F, 2, 21, 2) in units that are equal along x and y.
    """
    scores = scores.copy()
    for hand in range(HANDS):
        found = np.flatnonzero(scores[:, hand].max(axis=-1) > 0)
        false = np.zeros(len(found), bool)
        for length in range(1, SPIKE_FRAMES + 1):
            seen = np.flatnonzero(~false)
            if len(seen) < length + 2:
                break
            false[seen] = _spikes(times[found[seen]], points[found[seen], hand], length)
        begin, end = (np.searchsorted(times[found], times[found] + side * SHAKEN_SECONDS) for side in (-1, 1))
        total = np.concatenate([[0], np.cumsum(false)])
        shaken = total[end] - total[begin] > SHAKEN_SHARE * (end - begin)
        scores[found[false & ~shaken], hand] = 0
    return scores


def _spikes(times: np.ndarray, points: np.ndarray, length: int) -> np.ndarray:
    """Which of the finds (n, 21, 2) of one hand belong to a run of `length` finds off the path of their neighbours."""
    count = len(points) - length - 1
    before, after = np.arange(count)[:, None], np.arange(count)[:, None] + length + 1
    runs = before + np.arange(1, length + 1)

    def apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[first] - points[second], axis=-1).mean(axis=-1)

    # Half the detour: a hand that only moves unevenly is still on the way from one neighbour to the other.
    away = (apart(before, runs) + apart(runs, after) - apart(before, after)) / 2
    size = np.linalg.norm(np.ptp(points, axis=1), axis=-1)
    size = np.minimum(size[before], size[after])
    turning = TURNING / 2 * (times[runs] - times[before]) * (times[after] - times[runs])
    steps = np.maximum(apart(np.maximum(before - 1, 0), before), apart(after, np.minimum(after + 1, len(points) - 1)))
    limit = np.maximum(np.maximum(SPIKE, turning) * size, SPIKE_PER_STEP * steps)
    false = (away > limit).all(axis=1) & (times[after] - times[before] <= SPIKE_SECONDS)[:, 0]
    return np.isin(np.arange(len(points)), runs[false])


def heal(
    times: np.ndarray, points: np.ndarray, scores: np.ndarray, max_gap: float, long_gaps: str
) -> tuple[np.ndarray, np.ndarray]:
    """Fill frames without detection in a track.

    points, scores : (F, n, 2) and (F, n); a frame whose scores are all 0 is a gap.
    max_gap : gaps of at most so many seconds between two detections are interpolated.
    long_gaps : "hold" keeps the nearest detection in all other gaps, "empty" leaves them without points.
    """
    if long_gaps not in LONG_GAPS:
        raise ValueError(f"long gaps are {long_gaps!r}, but must be 'hold' or 'empty'")
    seen = np.flatnonzero(scores.max(axis=-1) > 0)
    if len(seen) == 0 or len(seen) == len(times):
        return points, scores
    after = np.searchsorted(seen, np.arange(len(times)))
    nxt = seen[np.minimum(after, len(seen) - 1)]
    prv = np.where(nxt == np.arange(len(times)), nxt, seen[np.maximum(after - 1, 0)])
    inside = (prv <= np.arange(len(times))) & (nxt >= np.arange(len(times)))
    span = times[nxt] - times[prv]
    # Without the frame's own width two detections one frame apart would count as a gap of that length.
    frame = np.median(np.diff(times)) if len(times) > 1 else 0.0
    short = inside & (span - frame <= max_gap + 1e-9)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(span > 0, (times - times[prv]) / span, 0.0)
    nearest = np.where(inside & (weight > 0.5), nxt, np.where(prv <= np.arange(len(times)), prv, nxt))
    weight = weight[:, None]
    mixed_points = points[prv] + (points[nxt] - points[prv]) * weight[..., None]
    mixed_scores = scores[prv] + (scores[nxt] - scores[prv]) * weight
    if long_gaps == "hold":
        kept_points, kept_scores = points[nearest], scores[nearest]
    else:
        kept_points, kept_scores = points, scores
    fill = short[:, None]
    return np.where(fill[..., None], mixed_points, kept_points), np.where(fill, mixed_scores, kept_scores)


def resample(
    times: np.ndarray, points: np.ndarray, scores: np.ndarray, new_times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bring a track (F, n, 2) with scores (F, n) from `times` to `new_times` by linear interpolation in time.

    Next to a gap (scores 0) the nearer frame decides whether there is a point.
    """
    if len(times) == 1:
        return np.repeat(points, len(new_times), axis=0), np.repeat(scores, len(new_times), axis=0)
    right = np.clip(np.searchsorted(times, new_times, side="right"), 1, len(times) - 1)
    left = right - 1
    weight = np.clip((new_times - times[left]) / (times[right] - times[left]), 0, 1)[:, None]
    has_left, has_right = scores[left] > 0, scores[right] > 0
    one = has_left != has_right
    nearer = np.where(weight > 0.5, has_right, has_left)
    # Where only one neighbour has the point, it is taken from there.
    at = np.where(one, has_right.astype(float), weight)
    mixed = points[left] + (points[right] - points[left]) * at[..., None]
    mixed_scores = (scores[left] + (scores[right] - scores[left]) * at) * nearer
    return np.where((mixed_scores > 0)[..., None], mixed, 0.0), mixed_scores


def smooth(
    points: np.ndarray, scores: np.ndarray, fps: float, strength: float, progress: Progress | None = None
) -> np.ndarray:
    """Smooth tracks (F, ..., 2) by a One-Euro filter run forwards and backwards, so that nothing lags.

    points : in canvas heights, along x as along y. scores : (F, ...), 0 starts again.
    strength : 0 changes nothing, 1 is the strongest.
    progress : called with (frames done, all) now and then; what it raises ends the work.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"the smoothing strength is {strength}, but must be between 0 and 1")
    if strength == 0 or len(points) < 3:
        return points
    cutoff = _CUTOFF_WEAKEST * (_CUTOFF_STRONGEST / _CUTOFF_WEAKEST) ** strength
    rise = _RISE_WEAKEST * (_RISE_STRONGEST / _RISE_WEAKEST) ** strength
    tracks, there = points.reshape(len(points), -1, 2), scores.reshape(len(points), -1) > 0
    filtered = np.empty_like(tracks, shape=(len(tracks), 2 * tracks.shape[1], 2))
    _one_euro(tracks, there, filtered, fps, cutoff, rise, progress)
    forwards, backwards = np.split(filtered, 2, axis=1)
    smoothed = np.empty_like(tracks)
    for part in _parts(len(tracks)):
        means = (forwards[part] + backwards[::-1][part]) / 2
        smoothed[part] = np.where(there[part][..., None], means, tracks[part])
        if progress:
            progress(len(tracks), len(tracks))
    return smoothed.reshape(points.shape)


def _parts(frames: int) -> list[slice]:
    """So many frames cut into parts, after each of which a cancel takes effect."""
    return [slice(begin, min(begin + FRAMES_TOLD, frames)) for begin in range(0, frames, FRAMES_TOLD)]


def _one_euro(
    tracks: np.ndarray,
    there: np.ndarray,
    out: np.ndarray,
    fps: float,
    cutoff: float,
    rise: float,
    progress: Progress | None,
) -> None:
    """Tracks (F, n, 2) filtered forwards and, in parallel, backwards from their end, into `out` (F, 2 n, 2).

    there : (F, n), where they exist; a gap starts again.
    """
    period = fps / (2 * np.pi)
    speed_weight = 1 / (1 + period / _SPEED_CUTOFF)
    last = np.concatenate([tracks[0], tracks[-1]])
    speed, going_on = np.zeros_like(last), np.zeros((len(last), 1))
    for part in _parts(len(tracks)):
        points = np.concatenate([tracks[part], tracks[::-1][part]], axis=1)
        exists = np.concatenate([there[part], there[::-1][part]], axis=1)[..., None].astype(float)
        for frame, point, is_there in zip(range(part.start, part.stop), points, exists, strict=True):
            step = point - last
            speed = (speed + speed_weight * (step * fps - speed)) * going_on
            pace = np.sqrt(np.einsum("ij,ij->i", speed, speed))[:, None]
            alpha = 1 / (1 + period / (cutoff + rise * pace))
            # Where the track begins, the point itself is taken.
            last = out[frame] = last + (1 + (alpha - 1) * going_on) * step
            going_on = is_there
        if progress:
            progress(part.stop, len(tracks))
