"""Clips corrected on the pad without a page: long ones, ones that are not seen, and values by other hands."""

import numpy as np
import pytest
from pad_page import PAGE, ask

from echomimic_core.pose.pad.value import read


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> dict:
    return ask(tmp_path_factory.mktemp("clip"), "clip.mjs")


def test_drag_in_a_long_clip_leads_where_the_pointer_is_also_between_the_frames_that_are_shown(steps):
    time, *away = steps["long"]
    assert abs(time - 300.6) < 0.03 and max(away) < 0.01


def test_correction_that_says_only_a_part_is_completed_and_stays_readable(steps):
    assert len(steps["partial"]) == 15
    for given, changed, text in steps["partial"]:
        (fix,) = read(text).fixes
        move, turn, scale = np.array(given.get("move", [0, 0])), given.get("turn", 0), given.get("scale", 1)
        made = fix.changes[0]
        assert np.allclose(made.move, move + 5 * (changed == "move"), atol=0.11), (given, changed)
        assert made.turn == turn + 10 * (changed == "turn"), (given, changed)
        assert made.scale == scale * (1.5 if changed == "scale" else 1), (given, changed)


def test_what_is_not_seen_or_not_decided_is_not_changed_by_button_or_key(steps):
    assert len(steps["kept"]) == 63
    for name, way, kept, allowed in steps["kept"]:
        assert kept != allowed, (name, way)


def test_clip_beyond_ten_minutes_is_corrected_in_its_first_and_that_is_said(steps):
    assert steps["over"] == {"note": "long", "time": 600, "locked": None, "frames": 16000, "short": None}


def test_hand_placed_anew_goes_with_its_neck_and_its_shoulder(steps):
    for moved, hand, wrist in steps["together"]:
        assert np.hypot(*moved) > 5
        assert np.allclose(hand, moved, atol=0.2) and np.allclose(wrist, moved, atol=0.2)


def test_bones_of_a_clip_are_measured_once(steps):
    first, *later = steps["looks"]
    assert first >= 49 and max(later) < 10
    # Of a clip of another size, anew.
    assert np.allclose(*steps["measured"])


def test_files_of_the_page_stay_short():
    for path in sorted(PAGE.glob("*.js")):
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) <= 400, path.name
        if path.name != "numbers.js":
            assert [line for line in lines if len(line) > 120] == [], path.name
