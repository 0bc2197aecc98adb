"""What the pad's JSON may say, and the sentence for what it may not."""

import json

import numpy as np
import pytest

from echomimic_core.pose.pad.presets import PRESETS, start_key
from echomimic_core.pose.pad.value import MAX_BYTES, MAX_KEYS, check_picture, read, written_key


@pytest.fixture
def value() -> dict:
    return {"version": 1, "picture": [640, 480], "keys": [written_key(start_key(640, 480))]}


def test_empty_text_is_no_pose_yet():
    assert read("  ") is None


def test_written_key_is_read_as_it_was(value):
    pad, key = read(json.dumps(value)), start_key(640, 480)
    assert (pad.width, pad.height, len(pad.keys)) == (640, 480, 1)
    assert np.abs(pad.keys[0].shoulders - key.shoulders).max() <= 0.05
    assert np.array_equal(pad.keys[0].hands[1].angles, PRESETS["relaxed"])


def test_whole_numbers_may_be_written_with_a_point(value):
    pad = read(changed(value | {"version": 1.0}, "picture", [640.0, 480.0]))
    assert (pad.width, pad.height) == (640, 480) and type(pad.width) is int


def changed(value: dict, path: str, new: object) -> str:
    *way, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    inner = value
    for name in way:
        inner = inner[name]
    inner[last] = new
    return json.dumps(value)


WRONG = [
    ("version", 2, "update the pack"),
    ("version", 0, "this pack reads version 1$"),
    ("version", True, "this pack reads version 1$"),
    ("version", "1", "this pack reads version 1$"),
    ("picture", [640], "list of 2"),
    ("picture", [640, 1e9], "side of picture"),
    ("picture", [640, 480.5], "side of picture"),
    ("picture", [640, float("nan")], "side of picture"),
    ("keys", {}, "keys is"),
    ("hidden", ["both"], "left and right"),
    ("hidden", [["left"]], "left and right"),
    ("find", 1, "true or false"),
    ("fps", float("nan"), "fps is"),
    ("fps", 0, "fps is"),
    ("ease", 1e400, "ease is"),
    ("extra", 1, "'extra'"),
    ("keys.0.t", -1, r"keys\[0\].t"),
    ("keys.0.neck", [0, 1e300], r"keys\[0\].neck"),
    ("keys.0.neck", ["a", 0], r"keys\[0\].neck"),
    ("keys.0.head", [0, 0, 0, 0], r"keys\[0\].head.size"),
    ("keys.0.left", None, r"keys\[0\].left"),
    ("keys.0.left.angles", [0] * 15, "list of 16"),
    ("keys.0.left.turn", 10**400, "turn"),
    ("keys.0.left.wrist", [True, 0], "wrist"),
    ("fixes", [{"t": 1}], "neither"),
    ("fixes", [{"t": 1, "left": {"scale": 0}}], r"fixes\[0\].left.scale"),
]


@pytest.mark.parametrize(("path", "new", "said"), WRONG, ids=lambda one: str(one)[:30])
def test_wrong_value_is_refused_with_its_place(value, path, new, said):
    with pytest.raises(ValueError, match=said):
        read(changed(value, path, new))


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 9000, '"' + "x" * MAX_BYTES + '"', "\ud800"])
def test_text_that_is_no_value_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="the pad"):
        read(text)


def test_key_frames_whose_times_do_not_increase_are_refused(value):
    value["keys"] *= 2
    with pytest.raises(ValueError, match="do not increase"):
        read(json.dumps(value))
    value["keys"] = [{}] * (MAX_KEYS + 1)
    with pytest.raises(ValueError, match="are the most"):
        read(json.dumps(value))


def test_picture_of_another_shape_is_refused_with_both_sizes(value):
    pad = read(json.dumps(value))
    check_picture(pad, 1280, 960)
    with pytest.raises(ValueError, match="640x480.*512x512"):
        check_picture(pad, 512, 512)
