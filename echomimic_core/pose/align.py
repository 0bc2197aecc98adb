"""Fit a pose to the person in the reference picture, and say in numbers how well it fits.

"Strict alignment" in EchoMimicV2 means that the same body landmarks lie at the same places in picture and pose. The
picture gets the original's framing; the pose is then moved and scaled onto the person.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..choices import FRAMINGS, RETARGET_MODES
from ..config import FRAME_SIZE
from ..media.picture import fit_scale
from ..media.scaling import shrink, warp_cubic
from .framing import MARGIN_ABOVE, MARGIN_BELOW, UPPER_BODY_POINTS, fit_canvas
from .hand_pose import HandPose, hand_root
from .measure import ARMS, NECK, NOSE, SCORE_SEEN, STEADY_WEIGHTS, Body, measure
from .proportions import looks_short
from .retarget import (
    NO_BODY,
    SHORT_ARM,
    can_retarget,
    in_picture,
    is_on_body,
    large_head_rows,
    merged_fingers,
    retarget,
)
from .track import present

# Share of the hands' extent that "show hands" brings into the picture; single frames may still leave it.
_EXTENT_PERCENTILES = (2, 98)
# A person of whom less than this is in the picture cannot frame it.
_LEAST_VISIBLE = 0.1
# Ratios beyond this say that something was found wrongly, not that a person is so built.
_PLAUSIBLE_REACH = (0.6, 1.67)
_PLAUSIBLE_HAND = (0.33, 3.0)

# What each misfit costs: a factor of two in size, or an offset of one shoulder width, divides the score by e to these.
_COST_SIZE, _COST_OFFSET, _COST_REACH, _COST_HAND, _COST_OUTSIDE = 2.0, 2.5, 0.8, 1.1, 1.5
# A score below this always comes with a reason.
GOOD_SCORE = 80.0
NOBODY = "nobody was found in the picture: use one that shows a person's upper body (the pose is not the problem)"


@dataclass(frozen=True)
class Fit:
    """How a pose fits a person: 0 to 100, and a sentence for each thing that lowers it."""

    score: float
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.score:.0f} of 100" + ("".join(f"\n- {reason}" for reason in self.reasons))


@dataclass(frozen=True)
class Alignment:
    """The outcome of `align`.

    Attributes
    ----------
    matrix : (2, 3), takes pixels of the picture to pixels of the aligned picture; it moves and scales, no more.
    person, pose : the person's pose and the aligned pose, on the canvas of the aligned picture.
    before, after : how the pose fitted the picture as given, and how the aligned pose fits the aligned picture.
    """

    matrix: np.ndarray
    person: HandPose
    pose: HandPose
    before: Fit
    after: Fit


def align(
    person: HandPose,
    pose: HandPose,
    width=FRAME_SIZE,
    height=FRAME_SIZE,
    framing="show hands",
    fit_hands=True,
    retargeting="off",
) -> Alignment:
    """Frame the person's picture as the original does, and fit the pose to the person.

    Parameters
    ----------
    person : the pose found in the reference picture (its canvas is the picture's size). With retargeting its first
        frame is what the picture shows, and further ones show how long its bones are.
    pose : the driving pose, of any canvas.
    width, height : pixels of the aligned picture.
    framing : "original" is the original's rule for the person; "show hands" is the same, but grows as far as the
        picture allows where the pose's hands would not be in it; "keep" only crops the picture to the new size.
    fit_hands : also fit wrist reach and hand size; False only moves and scales the pose as a whole.
    retargeting : one of `RETARGET_MODES`; other than "off" it fits every bone instead, where both show a body. "four
        fingers" merges ring and little finger, whether they do or not.

    Raises
    ------
    ValueError : with a sentence, for an unknown framing or mode, or a pose without frames.
    """
    if retargeting not in RETARGET_MODES:
        raise ValueError(f"retarget is {retargeting!r}, but it must be one of {', '.join(RETARGET_MODES)}")
    if framing not in FRAMINGS:
        raise ValueError(f"the framing is {framing!r}, but it must be one of {', '.join(FRAMINGS)}")
    for one, what in ((person, "the picture's pose"), (pose, "the pose")):
        if len(one) == 0:
            raise ValueError(f"{what} has no frames: connect one that has at least one")
    person = person.whole_canvas()
    unaligned = fit_canvas(pose, person.height, person.width, "crop").whole_canvas()
    before = judge(person, unaligned)
    has_bones = retargeting != "off" and can_retarget(person, pose)
    on_body = has_bones and is_on_body(person, unaligned)

    # Further frames of the picture's person only show bones: the first one is the picture.
    still = in_picture(person) if has_bones else person

    def onto(person: HandPose, pose: HandPose) -> HandPose:
        fitted = retarget(person, pose, on_body) if has_bones else _onto(person, pose, fit_hands)
        return merged_fingers(fitted) if retargeting == "four fingers" else fitted

    hands = onto(person, unaligned) if framing == "show hands" else None
    matrix, framed = _frame_matrix(still, hands, width, height, framing, has_bones)
    aligned_person = _apply(person, matrix, width, height)
    aligned = onto(aligned_person, fit_canvas(pose, height, width, "crop").whole_canvas())
    after = judge(aligned_person, aligned)
    if retargeting != "off" and not has_bones:
        after = replace(after, reasons=(*after.reasons, NO_BODY))
    elif has_bones and looks_short(person):
        after = replace(after, reasons=(*after.reasons, SHORT_ARM))
    if not person.shows_somebody().any():
        before = after = Fit(0.0, (NOBODY,))
    elif not framed:
        note = (
            "no head and shoulders were found in the picture, so it was only cropped: use a picture of the upper body"
        )
        after = Fit(min(after.score, 30.0), (note, *after.reasons))
    return Alignment(matrix, aligned_person, aligned, before, after)


def warp_picture(picture: np.ndarray, matrix: np.ndarray, width: int, height: int, fill: str = "black") -> np.ndarray:
    """The picture (H, W, 3) moved and scaled by `matrix`; beyond its edges it is "black" or repeats the "edge"."""
    scale = float(matrix[0, 0])
    if scale < 0.75:
        # Averaging first keeps fine detail from flickering into noise.
        small = shrink(picture, *(max(round(side * scale), 1) for side in picture.shape[:2]))
        exact = np.array([small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]])
        matrix = np.array([[scale / exact[0], 0, matrix[0, 2]], [0, scale / exact[1], matrix[1, 2]]])
        picture = small
    # Warping counts from the middles of pixels, our coordinates from their edges.
    matrix = matrix.copy()
    matrix[:, 2] += 0.5 * (matrix[[0, 1], [0, 1]] - 1)
    return warp_cubic(
        torch.from_numpy(np.require(picture, requirements=("C", "W"))), matrix, height, width, fill
    ).numpy()


def on_canvas(pose: HandPose, width: int, height: int) -> HandPose:
    """The pose on a canvas of the same shape but maybe other size; its coordinates stay."""
    return replace(pose.whole_canvas(), width=width, height=height)


@dataclass(frozen=True)
class _Misfit:
    """One thing that is wrong: what it costs, and the sentence for it; `plain` if it is worth saying by itself."""

    cost: float
    sentence: str
    plain: bool


def judge(person: HandPose, pose: HandPose) -> Fit:
    """How well a pose fits the person, both on the same canvas: 100 is perfect."""
    shown = present(pose.hands, pose.hand_scores)
    if not shown.any():
        return Fit(0.0, ("the pose has no hands",))
    them, ours = measure(person), measure(pose)
    misfits = [
        _size_misfit(ours.shoulders, them.shoulders, _COST_SIZE, "body is"),
        _size_misfit(ours.reach, them.reach, _COST_REACH, "arms are"),
        _size_misfit(ours.hand, them.hand, _COST_HAND, "hands are"),
        *_place_misfits(ours, them),
    ]
    outside = shown & ((pose.hands < 0) | (pose.hands > 1)).any(axis=-1)
    share = float(outside.sum() / shown.sum())
    sentence = (
        f"{share:.0%} of the hand points are outside the picture: choose another gesture, less energy, a wider "
        "video or a reference picture that shows more around the hands"
    )
    misfits.append(_Misfit(_COST_OUTSIDE * share, sentence, share > 0.1))
    if them.hand is None:
        sentence = "no hand was found in the picture, so the size of the hands could not be compared"
        misfits.append(_Misfit(0.0, sentence, True))
    misfits = [misfit for misfit in misfits if misfit is not None]
    score = 100 * float(np.exp(-sum(misfit.cost for misfit in misfits)))
    reasons = tuple(misfit.sentence for misfit in misfits if misfit.plain)
    if score < GOOD_SCORE and not reasons:
        # Many small things add up: the costliest is said, and that there are others.
        worst = max(misfits, key=lambda misfit: misfit.cost)
        reasons = (f"several small mismatches add up; the largest: {worst.sentence}",)
    return Fit(score, reasons)


def _size_misfit(ours: float | None, theirs: float | None, weight: float, what: str) -> _Misfit | None:
    if not ours or not theirs:
        return None
    ratio = ours / theirs
    larger, factor = ("larger", ratio) if ratio > 1 else ("smaller", 1 / ratio)
    factor = f"{factor:.1f}" if factor >= 1.1 else f"{factor:.2f}"
    # The first few percent are within what two people differ.
    cost = weight * max(abs(np.log2(ratio)) - 0.05, 0.0)
    return _Misfit(cost, f"the pose's {what} {factor}× {larger} than the person's", abs(np.log2(ratio)) > 0.1)


def _place_misfits(ours: Body, them: Body) -> list[_Misfit]:
    common = ours.seen & them.seen
    if common.any() and them.shoulders:
        offset = np.average((ours.steady - them.steady)[common], axis=0, weights=STEADY_WEIGHTS[common])
        away = float(np.linalg.norm(offset)) / them.shoulders
        sentence = f"the pose's body lies {_direction(offset)} the person's by {_shoulder_widths(away)}"
        return [_Misfit(_COST_OFFSET * max(away - 0.03, 0.0), sentence, away > 0.05)]
    if common.any():
        return []
    sentence = "the pose or the picture shows no body, so only the hands could be compared"
    if not (np.isfinite(ours.wrists).all() and np.isfinite(them.wrists).all() and them.hand):
        return [_Misfit(0.0, sentence, True)]
    away = float(np.linalg.norm(ours.wrists.mean(axis=0) - them.wrists.mean(axis=0))) / (4 * them.hand)
    return [_Misfit(0.2 + _COST_OFFSET * max(away - 0.1, 0.0), sentence, True)]


def _shoulder_widths(away: float) -> str:
    return f"{away:.1f} shoulder widths" if away >= 0.1 else f"{away:.2f} shoulder widths"


def _frame_matrix(
    person: HandPose, pose: HandPose | None, width: int, height: int, framing: str, by_shoulders: bool
) -> tuple[np.ndarray, bool]:
    """The matrix that frames the picture: rows by the original's rule, columns around the neck, without rounding."""
    rows = None if framing == "keep" else framed_rows(person)
    if rows is None:
        scale, dx, dy = fit_scale(person.width, person.height, width, height, "crop")
        return np.array([[scale, 0, dx], [0, scale, dy]]), framing == "keep"
    top, bottom, middle = rows
    if by_shoulders:
        top, bottom = large_head_rows(person, top, bottom)
    if pose is not None:
        top, bottom = _grow(top, bottom, middle, pose, width / height)
    scale = height / ((bottom - top) * person.height)
    offset = (width / 2 - middle * person.width * scale, -top * person.height * scale)
    return np.array([[scale, 0, offset[0]], [0, scale, offset[1]]]), True


def _grow(top: float, bottom: float, middle: float, pose: HandPose, aspect: float) -> tuple[float, float]:
    """Rows that also hold the pose's hands, if the picture has them: first downwards, then upwards."""
    shown = pose.hands[present(pose.hands, pose.hand_scores)]
    if len(shown) == 0:
        return top, bottom
    low, high = np.percentile(shown, _EXTENT_PERCENTILES, axis=0)
    margin = MARGIN_BELOW * (bottom - top)
    half_width = max(high[0] - middle, middle - low[0]) * pose.width / pose.height
    needed = max(high[1] + margin - top, 2 * half_width / aspect)
    bottom = min(max(bottom, top + needed), 1.0)
    return max(min(top, bottom - needed), 0.0), bottom


def framed_rows(person: HandPose) -> tuple[float, float, float] | None:
    """Top, bottom and middle column of the framing, 0..1 of the picture; None without head and shoulders."""
    if person.bodies is None:
        return None
    bodies = np.where(person.body_scores[..., None] >= SCORE_SEEN, person.bodies, np.nan)
    if np.isnan(bodies[:, NECK]).all() or np.isnan(bodies[:, NOSE]).all():
        return None
    if person.faces is not None and (person.face_scores > 0).any():
        top = float(person.faces[..., 1][person.face_scores > 0].min())
    else:
        # Eyebrows lie about a quarter of the way from the neck to the nose above the nose.
        nose, neck = bodies[:, NOSE, 1], bodies[:, NECK, 1]
        top = float(np.nanmin(nose - 0.25 * (neck - nose)))
    bottom = float(np.nanmax(bodies[:, UPPER_BODY_POINTS, 1]))
    grown = bottom - top
    top, bottom = max(top - grown * MARGIN_ABOVE, 0.0), min(bottom + grown * MARGIN_BELOW, 1.0)
    # A detector may guess a person beyond the picture's edge, of whom the picture has nothing to show.
    if bottom - top <= _LEAST_VISIBLE * abs(grown):
        return None
    return top, bottom, float(np.nanmean(bodies[:, NECK, 0]))


def _apply(pose: HandPose, matrix: np.ndarray, width: int, height: int) -> HandPose:
    size, new_size = np.array([pose.width, pose.height]), np.array([width, height])
    scale, offset = matrix[[0, 1], [0, 1]], matrix[:, 2]
    moved = pose.map_points(lambda points: (points * size * scale + offset) / new_size)
    return replace(moved, width=width, height=height)


def _onto(person: HandPose, pose: HandPose, fit_hands: bool) -> HandPose:
    """The pose moved and scaled onto the person, both on one canvas."""
    them, ours = measure(person), measure(pose)
    common = them.seen & ours.seen
    size = np.array([pose.width, pose.height], float)
    if common.sum() >= 2:
        scale, offset = _procrustes(ours.steady[common], them.steady[common], STEADY_WEIGHTS[common])
    else:
        both = np.isfinite(ours.wrists).all(axis=1) & np.isfinite(them.wrists).all(axis=1)
        if not both.any():
            return pose
        scale = them.hand / ours.hand if them.hand and ours.hand else 1.0
        offset = them.wrists[both].mean(axis=0) - scale * ours.wrists[both].mean(axis=0)
    pose = pose.map_points(lambda points: (points * size * scale + offset) / size)
    if not fit_hands:
        return pose
    ours = measure(pose)
    reach = _plausible(them.reach, ours.reach, _PLAUSIBLE_REACH)
    pose = _stretch_arms(pose, reach)
    # The hands are measured anew: stretching the arms moves them but leaves their size.
    return _scale_hands(pose, _plausible(them.hand, ours.hand, _PLAUSIBLE_HAND))


def _plausible(theirs: float | None, ours: float | None, limits: tuple[float, float]) -> float:
    if not theirs or not ours or not limits[0] <= theirs / ours <= limits[1]:
        return 1.0
    return theirs / ours


def _stretch_arms(pose: HandPose, factor: float) -> HandPose:
    """Elbows, wrists and with them the hands moved to `factor` times their distance from the shoulders."""
    if factor == 1.0 or pose.bodies is None:
        return pose
    bodies, hands, hand_roots = pose.bodies.copy(), pose.hands.copy(), hand_root(pose)
    for side, (shoulder, elbow, wrist) in enumerate(ARMS):
        root = pose.bodies[:, shoulder]
        rooted = pose.body_scores[:, shoulder] > 0
        shift = np.where(rooted[:, None], (hand_roots[:, side] - root) * (factor - 1), 0.0)
        shown = present(pose.hands[:, side], pose.hand_scores[:, side])
        hands[:, side] += np.where(shown[..., None], shift[:, None], 0.0)
        for joint in (elbow, wrist):
            moved = root + (pose.bodies[:, joint] - root) * factor
            there = rooted & (pose.body_scores[:, joint] > 0)
            bodies[:, joint] = np.where(there[:, None], moved, pose.bodies[:, joint])
    return replace(pose, bodies=bodies, hands=hands)


def _scale_hands(pose: HandPose, factor: float) -> HandPose:
    if factor == 1.0:
        return pose
    roots = hand_root(pose)[:, :, None]
    hands = roots + (pose.hands - roots) * factor
    return replace(pose, hands=np.where(present(pose.hands, pose.hand_scores)[..., None], hands, pose.hands))


def _procrustes(ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale and offset (no rotation) that bring our points nearest to theirs."""
    our_middle, their_middle = (np.average(points, axis=0, weights=weights) for points in (ours, theirs))
    a, b = ours - our_middle, theirs - their_middle
    scale = float((weights[:, None] * a * b).sum() / (weights[:, None] * a * a).sum())
    # Points of a mirrored or upside-down person do not scale onto each other: compare their spread then.
    if scale <= 0:
        scale = float(np.sqrt((weights[:, None] * b * b).sum() / (weights[:, None] * a * a).sum()))
    return scale, their_middle - scale * our_middle


def _direction(offset: np.ndarray) -> str:
    if abs(offset[0]) > abs(offset[1]):
        return "to the right of" if offset[0] > 0 else "to the left of"
    return "below" if offset[1] > 0 else "above"
