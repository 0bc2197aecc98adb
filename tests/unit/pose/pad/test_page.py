"""The page's copy of the hand draws what Python makes, to half a pixel, and its numbers are those of the core."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.pose import gestures
from echomimic_core.pose.hand_skeleton import LIMITS
from echomimic_core.pose.pad import page, points
from echomimic_core.pose.pad.mend import bent_elbow, mended
from echomimic_core.pose.pad.presets import start_key
from echomimic_core.pose.pad.value import ANGLES, SIDES, read, written_key

REPO = Path(__file__).resolve().parents[4]
PAGE = REPO / "web" / "pose_pad"
WIDTH, HEIGHT = 900, 1200
PIXEL = 0.5


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


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What was asked, and what the page answers."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    rng = np.random.default_rng(19)
    hands = [(random_hand(rng), index % 2) for index in range(1000)]
    times = [[0.0], [0.0, 1.0], [0.25, 0.5, 1.75], [0.0, 0.04, 0.9, 2.6]]
    values = [value(keys=[random_key(rng, time) for time in some]) for some in times for _ in range(4)]
    ground = page.ground(gestures.clip("explaining", 72))
    fixes = [
        {"t": 0.5, "left": {"move": [90, -120], "turn": 40, "scale": 1.3}},
        {"t": 0.8, "left": {"hand": random_hand(rng)}, "right": {"move": [-300, 20]}},
        {"t": 2.5, "left": {"turn": -90}, "right": {"hand": random_hand(rng)}},
    ]
    square = {"picture": [768, 768]}
    mendings = [{"ground": ground, "value": value(fixes=fixes, ease=ease, **square)} for ease in (0.2, 1.0)]
    asked = {"hands": hands, "values": values, "mended": mendings, "arms": arms(rng).tolist()}
    folder = tmp_path_factory.mktemp("page")
    for path in PAGE.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "asked.json").write_text(json.dumps(asked))
    command = ["node", str(Path(__file__).with_name("compare.mjs")), str(folder), str(folder / "asked.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return asked, json.loads(done.stdout)


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
    for one, frames in zip(asked["mended"], answered["mended"], strict=True):
        pose = mended(gestures.clip("explaining", 72), read(json.dumps(one["value"])))
        assert np.abs(np.array([frame["hands"] for frame in frames]) - pose.hands * 768).max() < PIXEL
        arms = [2, 3, 4, 5, 6, 7]
        bodies = np.array([[frame["body"][point] for point in arms] for frame in frames])
        assert np.abs(bodies - pose.bodies[:, arms] * 768).max() < PIXEL
