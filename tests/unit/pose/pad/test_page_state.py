"""The pad without a page: what it refuses, keeps, limits and says, by node."""

import json

import numpy as np
import pytest
from pad_page import ask

from echomimic_core.pose.pad.presets import start_key
from echomimic_core.pose.pad.value import MAX_BYTES, MAX_KEYS, read, written_key

KEY = written_key(start_key(640, 480))
HAND = KEY["left"]


def value(**entries) -> str:
    return json.dumps({"version": 1, "picture": [640, 480], "keys": [KEY], **entries})


def with_hand(**entries) -> str:
    return value(keys=[{**KEY, "left": {**HAND, **entries}}])


def without(content: dict, name: str) -> dict:
    return {other: one for other, one in content.items() if other != name}


GOOD = [
    value(),
    value(keys=[KEY, {**KEY, "t": 2}], hidden=["left"], ease=1, fps=12.5, fixes=[]),
    value(fixes=[{"t": 1, "left": {}}, {"t": 2, "right": {"hand": HAND, "move": "ignored"}}]),
    value(fixes=[{"t": 1, "left": {"move": [1280, -960], "turn": 360, "scale": 0.1}}]),
    value(fixes=[{"t": 0, "body": {}}, {"t": 1, "body": {"neck": [9, -9], "elbows": [[1, 2], [3, 4]]}}]),
    value(fixes=[{"t": 1, "body": {"shoulders": [[1, 2], [3, 4]], "head": [5, 6, 10, -360]}}]),
    value(fixes=[{"t": 1, "left": {"absent": True}}, {"t": 2, "right": {"absent": False, "turn": 3}}]),
    json.dumps({"version": 1, "picture": [64, 64]}),
    with_hand(size=1280, angles=[180] * 16),
]
WRONG = {
    "wrongSize": [value(keys=[{**KEY, "neck": [0.1234567890123] * 2}] * 60)],
    "wrongJson": ["{", '{"version": NaN}', "[" * 50],
    "wrongVersion": [value(version=2), value(version=1.5)],
    "wrongFind": [value(find=True)],
    "wrongCount": ['{"version": 1, "picture": [640, 480], "keys": [' + ",".join(["{}"] * (MAX_KEYS + 1)) + "]}"],
    "wrongPart": [
        *("[]", "null", "7", "{}", value(version="1"), value(version=True), value(version=0)),
        *(value(picture=size) for size in ([640], [640, 1e9], [640, "480"], [640.5, 480], None)),
        *(value(keys=keys) for keys in ({}, [1], [KEY, KEY], [without(KEY, "neck")], [{**KEY, "more": 1}])),
        *(value(hidden=hidden) for hidden in (["both"], [["left"]], "left", None)),
        *(value(**entry) for entry in ({"find": 1}, {"fps": 0}, {"fps": None}, {"ease": 11}, {"extra": 1})),
        *(value(keys=[{**KEY, "t": t}]) for t in (-1, 601, "0")),
        *(value(keys=[{**KEY, "neck": neck}]) for neck in ([0, 1e300], ["a", 0], [0], 7)),
        *(value(keys=[{**KEY, "head": head}]) for head in ([0, 0, 0, 0], [0, 0, 50], [0, 0, 50, 361])),
        *(value(keys=[{**KEY, "left": hand}]) for hand in (None, [], without(HAND, "roll"))),
        *(with_hand(angles=[0] * 15), with_hand(angles=[181] * 16), with_hand(turn=10**40), with_hand(wrist=[True, 0])),
        *(value(fixes=fixes) for fixes in ([{"t": 1}], [{"left": {}}], [{"t": 1, "left": None}], [{"t": 1, "up": {}}])),
        *(
            value(fixes=[{"t": 1, "left": change}])
            for change in ({"scale": 0}, {"turn": "9"}, {"hand": None}, {"x": 1}, {"absent": 1}, {"absent": None})
        ),
        *(
            value(fixes=[{"t": 1, "body": body}])
            for body in (
                *(None, [], {"hips": [0, 0]}, {"neck": [0, 1e6]}, {"neck": "x"}, {"shoulders": [[0, 0]]}),
                *({"elbows": [0, 0]}, {"head": [0, 0, 0, 0]}, {"head": [0, 0, 1, 361]}, {"head": [0, 0]}),
            )
        ),
        value(fixes=[{"t": 2, "left": {}}, {"t": 1, "left": {}}]),
    ],
}
CASES = [(text, None) for text in GOOD] + [(text, name) for name, texts in WRONG.items() for text in texts]


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict:
    return ask(tmp_path_factory.mktemp("pad"), "state.mjs", {"texts": [text for text, _ in CASES]})


@pytest.fixture(scope="module")
def steps(answers) -> dict:
    return answers["steps"]


def test_page_refuses_what_python_refuses_and_says_why(answers):
    assert answers["verdicts"] == [name for _, name in CASES]
    for text, name in CASES:
        if name in (None, "wrongFind"):
            assert read(text)
        else:
            with pytest.raises(ValueError):
                read(text)


def test_key_dragged_along_the_time_line_stays_near_the_clip(steps):
    assert steps["draggedTo"] == 4 and steps["afterUndo"] == [2, 4]


def test_undo_takes_the_playhead_back_into_the_clip(steps):
    assert steps["playhead"] == [0, 4]


def test_value_that_cannot_be_shown_is_kept_until_the_artist_starts_again(steps):
    assert steps["locked"] == {"saved": [], "note": "locked", "points": None}
    again = steps["again"]
    assert again["last"] == "" and again["value"]["picture"] == [300, 900] and again["note"] is None
    assert steps["lockedAgain"]["last"].startswith('{"version": 7') and steps["lockedAgain"]["note"] == "locked"


def test_untouched_figure_is_kept_as_nothing_and_stands_on_each_new_picture(steps):
    assert steps["untouched"] == [[], [600, 900], None, True, "", [900, 600], None]


def test_hand_placed_anew_shows_the_side_that_the_clip_shows(steps):
    assert len(steps["redrawn"]) == 12
    assert all(made == (180 if given > 90 else 0) for given, made in steps["redrawn"])


def test_elbow_on_one_frame_goes_with_the_wrist_until_the_artist_has_placed_it(steps):
    assert steps["elbows"] == [True, True, True, False, True, False, False]


def test_shoulder_in_a_clip_stretches_no_bone_and_takes_the_arm_along(steps):
    shoulder = steps["shoulder"]
    assert np.allclose(shoulder["after"][1:], shoulder["before"][1:])
    assert shoulder["after"][0] <= shoulder["before"][0] + 1e-6
    assert shoulder["lone"] == [[700, 500], True]


def test_arm_in_a_clip_keeps_its_length_unless_the_wrist_is_dragged_with_alt(steps):
    (fore, elbow), (longer, still) = steps["stretched"]
    assert fore < 1.5 and elbow > 1
    assert abs(longer - 3) < 0.01 and still == 0


def test_handles_of_a_hand_stay_in_view_and_a_drag_leads_where_the_pointer_is(steps):
    assert len(steps["handles"]) == 48
    for inside, off, size in steps["handles"]:
        assert inside and off < 1e-6 and abs(size - 180) < 1e-6


def test_everything_that_a_clip_shows_is_corrected_by_a_drag_to_where_the_pointer_is(steps):
    for handle, away, untouched, eased in steps["corrected"]:
        assert away < 0.5 and untouched and eased, handle


def test_hand_is_left_out_from_one_correction_to_the_next_until_one_between_says_otherwise(steps):
    assert steps["gone"] == [True, False, False, False, True, True, 3]


def test_time_line_counts_frames_at_the_rate_of_the_clip(steps):
    for fps, (last, frames, of_keys, time) in zip((24, 25, 30), steps["rates"], strict=True):
        assert (round(last, 6), frames) == (70, 71)
        assert of_keys == 2 * fps + 1 and abs(time - round(1.01 * fps)) < 1e-6


def test_corner_of_the_figure_scales_every_key_frame_about_the_neck(steps):
    *keys, valid = steps["scaled"]
    assert np.allclose([key[:2] for key in keys], 0.8, atol=0.01) and all(key[2] for key in keys) and valid


def test_clip_that_has_not_been_seen_has_no_length_and_its_corrections_stay(steps):
    assert steps["unseen"] == [0, None, 6, 6, 8, 201]


def test_one_mark_too_many_changes_nothing_and_is_said(steps):
    assert steps["crowded"] == {"same": True, "note": "crowdedFixes", "seen": True}


def test_added_key_frame_is_said_until_the_playhead_moves_or_the_next_change(steps):
    assert steps["added"] == ["added", 2, None, "added", None]


def test_found_figure_is_scaled_and_leaves_alone_what_was_not_found_but_placed(steps):
    key, own, found = (steps["placed"][name] for name in ("key", "own", "found"))
    assert np.abs(np.subtract(key["neck"], found["neck"])).max() < 0.1
    assert np.abs(np.subtract(key["right"]["wrist"], own["right"]["wrist"])).max() < 0.1
    # Nobody placed the left hand or the head: they go where the found body has them.
    assert np.abs(np.subtract(key["left"]["wrist"], found["left"]["wrist"])).max() < 0.1
    assert np.abs(np.subtract(key["head"], found["head"])).max() < 0.1
    assert np.allclose(steps["placedHands"]["body"], steps["placedHands"]["before"], atol=0.1)


def test_picture_of_another_shape_moves_nothing_before_the_artist_says_so(steps):
    assert steps["misfit"] == {"saved": [], "note": "misfit", "withFind": "misfit thenFind"}
    assert steps["refit"] == {"picture": [600, 800], "note": None}


def test_value_over_its_size_is_taken_back_and_said(steps):
    full = steps["full"]
    assert full["note"] == "full" and full["size"] <= MAX_BYTES and 20 < full["keys"] < 60


def test_missing_picture_and_running_search_are_said(steps):
    assert steps["notes"] == ["noPicture", "busy"]
