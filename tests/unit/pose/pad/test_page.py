"""The page's copy of the hand draws what Python makes, to half a pixel, and its numbers are those of the core."""

import json

import numpy as np
import pytest
from pad_page import PAGE, ask

from echomimic_core.pose import gestures
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.hand_skeleton import LIMITS
from echomimic_core.pose.pad import page, points
from echomimic_core.pose.pad.mend import bent_elbow, mended
from echomimic_core.pose.pad.presets import start_key
from echomimic_core.pose.pad.value import ANGLES, SIDES, read, written_key

WIDTH, HEIGHT = 900, 1200
PIXEL = 0.5
# Of the clips to correct, the one that is too long for the pad to show all of it.
LONG = 8


def test_numbers_of_the_page_are_those_of_the_core():
    written = (PAGE / "numbers.js").read_text("utf-8")
    assert written == page.numbers(), "run python -m echomimic_core.pose.pad.page web/pose_pad/numbers.js"


def random_hand(rng: np.random.Generator) -> dict:
    least, most = np.array([LIMITS[name] for name, count in ANGLES for _ in range(count)]).T
    return {
        "wrist": (rng.uniform(-0.2, 1.2, 2) * (WIDTH, HEIGHT)).round(1).tolist(),
        "size": round(rng.uniform(20, 500), 1),
        **{name: round(rng.uniform(-180, 180), 1) for name in ("turn", "roll")},
        "tilt": round(rng.uniform(-80, 80), 1),
        # A little beyond the limits, which both sides hold.
        "angles": [round(angle) for angle in rng.uniform(least - 9, most + 9)],
    }


def random_key(rng: np.random.Generator, time: float) -> dict:
    key = written_key(start_key(WIDTH, HEIGHT))
    for name in ("neck", "shoulders", "elbows"):
        key[name] = (np.array(key[name]) + rng.normal(0, 60, np.shape(key[name]))).round(1).tolist()
    key["head"] = [*np.add(key["head"][:2], rng.normal(0, 60, 2)), rng.uniform(20, 90), rng.uniform(-170, 170)]
    return {**key, "t": time, **{side: random_hand(rng) for side in SIDES}}


def value(**entries) -> dict:
    return {"version": 1, "picture": [WIDTH, HEIGHT], "fps": 24, "hidden": [], "keys": [], "fixes": [], **entries}


def arms(rng: np.random.Generator) -> np.ndarray:
    """Shoulder, elbow, wrist, and where the wrist goes (n, 4, 2): some straight, some pointing at the viewer."""
    bones = rng.normal(size=(300, 3, 2)) * 300 * rng.uniform(0.01, 1, (300, 3, 1))
    bones[::3, 1] = 0.7 * bones[::3, 0]
    return 400 + np.concatenate([np.zeros((300, 1, 2)), np.cumsum(bones, axis=1)], axis=1)


def clip_to_mend(case: int) -> HandPose:
    """A clip of the library, one of random key frames, or a long one that stands still: the pad shows every other."""
    if case < 2:
        return gestures.clip("explaining", 72)
    if case == LONG:
        return gestures.clip("explaining", 72).take(np.zeros(900, int))
    rng = np.random.default_rng(case)
    keys = [random_key(rng, time) for time in (0.0, 0.9, 2.6)]
    # Far up and left of the canvas points count as not seen.
    for hand in (key[side] for key in keys for side in SIDES):
        hand["wrist"] = np.maximum(hand["wrist"], 400).tolist()
    return points.pose(read(json.dumps(value(keys=keys, fps=(24, 25, 30)[case % 3]))))


def random_fix(rng: np.random.Generator, time: float) -> dict:
    """Corrects some of both hands and the body, each in one of the ways that there are, whole or in part."""

    def by(count: int) -> list:
        return rng.normal(0, 60, (count, 2)).round(1).tolist()

    hands = [{"move": by(1)[0], "turn": round(rng.uniform(-180, 180)), "scale": 1.3}]
    # Beside a hand that replaces it, or that is gone, the rest counts for nothing.
    hands += [
        {"hand": random_hand(rng), "turn": 40},
        {"absent": True, "move": [50, 0]},
        {"move": by(1)[0]},
        {"turn": 9},
    ]
    body = {"neck": by(1)[0], "shoulders": by(2), "elbows": by(2), "head": [*by(1)[0], 1.2, -20]}
    made = {side: hands[rng.integers(len(hands))] for side in SIDES if rng.random() < 0.8}
    shown = {part: change for part, change in body.items() if rng.random() < 0.7}
    return {"t": time, **made, "body": shown}


def mending(rng: np.random.Generator, case: int) -> dict:
    """The clip as the page gets it, a value that corrects it, and the times of all its frames."""
    fixes = [random_fix(rng, time) for time in (0.0, 0.5, 0.8, 1.4, 2.1, 2.5)]
    pose = clip_to_mend(case)
    picture = [pose.width, pose.height]
    shown = page.ground(pose)
    assert (len(shown["times"]) < len(pose)) == (case == LONG)
    mended_by = value(fixes=fixes, ease=(0.2, 1.0)[case % 2], picture=picture)
    return {"ground": shown, "value": mended_by, "times": (np.arange(len(pose)) / pose.fps).tolist()}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What was asked, and what the page answers."""
    rng = np.random.default_rng(19)
    hands = [(random_hand(rng), index % 2) for index in range(1000)]
    times = [[0.0], [0.0, 1.0], [0.25, 0.5, 1.75], [0.0, 0.04, 0.9, 2.6]]
    values = [value(keys=[random_key(rng, time) for time in some]) for some in times for _ in range(4)]
    mendings = [mending(rng, case) for case in range(9)]
    asked = {"hands": hands, "values": values, "mended": mendings, "arms": arms(rng).tolist()}
    return asked, ask(tmp_path_factory.mktemp("page"), "compare.mjs", asked)


def test_page_draws_a_thousand_random_hands_where_python_does(both):
    asked, answered = both
    keys = [written_key(start_key(WIDTH, HEIGHT)) | {SIDES[side]: hand} for hand, side in asked["hands"]]
    read_keys = [read(json.dumps(value(keys=[key]))).keys[0] for key in keys]
    for side in (0, 1):
        mine = [key.hands[side] for key, (_, of) in zip(read_keys, asked["hands"], strict=True) if of == side]
        theirs = [hand for hand, (_, of) in zip(answered["hands"], asked["hands"], strict=True) if of == side]
        assert np.abs(points.hand_in_picture(points.stacked(mine), side) - np.array(theirs)).max() < PIXEL


def test_page_draws_clips_of_key_frames_where_python_does(both):
    asked, answered = both
    for one, clip in zip(asked["values"], answered["clips"], strict=True):
        pose = points.pose(read(json.dumps(one)))
        assert len(clip) == len(pose)
        size = (WIDTH, HEIGHT)
        shown = np.flatnonzero(pose.body_scores[0])
        bodies = np.array([[frame["body"][point] for point in shown] for frame in clip])
        assert np.abs(bodies - pose.bodies[:, shown] * size).max() < PIXEL
        assert np.abs(np.array([frame["face"] for frame in clip]) - pose.faces * size).max() < PIXEL
        assert np.abs(np.array([frame["hands"] for frame in clip]) - pose.hands * size).max() < PIXEL


def test_page_bends_elbows_where_python_does(both):
    asked, answered = both
    bent = bent_elbow(*np.moveaxis(np.array(asked["arms"]), 1, 0))
    assert np.abs(bent - np.array(answered["elbows"])).max() < 1e-3


def test_page_draws_corrections_where_python_does(both):
    asked, answered = both
    for case, (one, frames) in enumerate(zip(asked["mended"], answered["mended"], strict=True)):
        pose = mended(clip_to_mend(case), read(json.dumps(one["value"])))
        for name, part in (("hands", "hands"), ("bodies", "body")):
            track = pose.tracks[name]
            shown = _points([frame[part] for frame in frames], track.points.shape)
            assert np.array_equal(np.isfinite(shown).all(axis=-1), track.present())
            assert np.nanmax(np.abs(shown - track.points * (pose.width, pose.height))) < PIXEL


def _points(frames: list, shape: tuple) -> np.ndarray:
    """Points of the page, NaN for null."""
    nowhere = [np.nan, np.nan]
    flat = [point or nowhere for frame in frames for part in frame for point in (part if len(shape) == 4 else [part])]
    return np.array(flat, float).reshape(shape)
