"""Pose folders are read safely, and our own files exactly."""

import json
import os
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
from poses import assert_same, random_pose

from echomimic_core.pose import files
from echomimic_core.pose.unpickle import UnsafePickleError, load_npy


def record(seed=0, params=(768, 768, 0, 768, 0, 768), people=1):
    rng = np.random.default_rng(seed)
    return {
        "bodies": {
            "candidate": rng.uniform(size=(18 * people, 2)),
            "subset": np.arange(18.0 * people).reshape(people, 18),
            "score": rng.uniform(size=(people, 18)),
        },
        "hands": rng.uniform(size=(2 * people, 21, 2)),
        "hands_score": rng.uniform(0.5, 1.2, size=(2 * people, 21)),
        "faces": rng.uniform(size=(people, 68, 2)),
        "faces_score": rng.uniform(size=(people, 68)),
        "num": seed,
        "draw_pose_params": list(params),
    }


def save_folder(folder, records):
    folder.mkdir(exist_ok=True)
    for index, content in enumerate(records):
        np.save(folder / f"{index}.npy", content, allow_pickle=True)
    return folder


def npy(payload: bytes) -> bytes:
    """A .npy file that holds one pickled object."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + payload


class Runs:
    """Pickles to a call of `function(*arguments)` when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_real_folders_read_as_numpy_reads_them(samples):
    folder = samples / "pose" / "01"
    pose = files.load_folder(folder)
    assert len(pose) == 336 and (pose.width, pose.height, pose.region) == (768, 768, None)
    for index in (0, 9, 10, 100, 335):
        expected = np.load(folder / f"{index}.npy", allow_pickle=True).item()
        np.testing.assert_array_equal(pose.hands[index], expected["hands"])
        np.testing.assert_array_equal(pose.hand_scores[index], expected["hands_score"])
        np.testing.assert_array_equal(pose.bodies[index], expected["bodies"]["candidate"])
        np.testing.assert_array_equal(pose.faces[index], expected["faces"][0])


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_pickle_protocol_is_read(tmp_path, protocol):
    content = record(1)
    (tmp_path / "0.npy").write_bytes(npy(pickle.dumps(np.array(content, dtype=object), protocol=protocol)))
    np.testing.assert_array_equal(files.load_folder(tmp_path).hands[0], content["hands"])


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_frame_with_nobody_has_absent_hands_and_the_others_keep_their_bodies(tmp_path, protocol):
    contents = [record(1), record(0, people=0), record(2)]
    for index, content in enumerate(contents):
        payload = pickle.dumps(np.array(content, dtype=object), protocol=protocol)
        (tmp_path / f"{index}.npy").write_bytes(npy(payload))
    pose = files.load_folder(tmp_path)
    assert pose.hand_scores[1].max() == 0 and pose.body_scores[1].max() == 0 and pose.face_scores[1].max() == 0
    np.testing.assert_array_equal(pose.bodies[2], contents[2]["bodies"]["candidate"])


def test_names_that_begin_with_a_dot_are_no_frames(tmp_path):
    save_folder(tmp_path, [record(0), record(1)])
    (tmp_path / "._0.npy").write_bytes(b"\0\5\x16\7")
    assert len(files.load_folder(tmp_path)) == 2


def test_names_of_other_digits_and_of_enormous_numbers_do_no_harm(tmp_path):
    content = record()
    save_folder(tmp_path / "a", [content])
    for name in ("²", "clip³"):
        (tmp_path / "a" / f"{name}.npy").write_bytes((tmp_path / "a" / "0.npy").read_bytes())
    assert len(files.load_folder(tmp_path / "a")) == 3
    save_folder(tmp_path / "b", [content])
    (tmp_path / "b" / "99999999999999.npy").write_bytes((tmp_path / "a" / "0.npy").read_bytes())
    with pytest.raises(ValueError, match="lacks 1.npy and 99,999,999,999,997 more: copy the missing files"):
        files.load_folder(tmp_path / "b")


def test_frames_come_in_natural_order(tmp_path):
    records = [record(index) for index in range(12)]
    pose = files.load_folder(save_folder(tmp_path, records))
    for index, content in enumerate(records):
        np.testing.assert_array_equal(pose.hands[index], content["hands"])


def test_of_several_people_the_surest_is_taken(tmp_path):
    content = record(3, people=3)
    content["bodies"]["score"][1] += 1
    pose = files.load_folder(save_folder(tmp_path, [content]))
    np.testing.assert_array_equal(pose.bodies[0], content["bodies"]["candidate"][18:36])
    # All left hands are stored before all right hands.
    np.testing.assert_array_equal(pose.hands[0], content["hands"][[1, 4]])
    np.testing.assert_array_equal(pose.faces[0], content["faces"][1])


def test_regions_are_kept_and_differing_ones_brought_together(tmp_path):
    narrow, wide = (768, 600, 0, 768, 84, 684), (768, 768, 0, 768, 0, 768)
    pose = files.load_folder(save_folder(tmp_path / "same", [record(0, narrow), record(1, narrow)]))
    assert pose.region == (0, 768, 84, 684) and pose.width == 768
    contents = [record(0, narrow), record(1, wide)]
    pose = files.load_folder(save_folder(tmp_path / "other", contents))
    assert pose.region is None
    np.testing.assert_allclose(pose.hands[0, ..., 0], (84 + 600 * contents[0]["hands"][..., 0]) / 768)
    np.testing.assert_array_equal(pose.hands[1], contents[1]["hands"])


MALICE = {
    "shell": lambda mark: Runs(os.system, f"touch {mark}"),
    "eval": lambda mark: Runs(eval, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: Runs(open, str(mark), "w"),
    "numpy": lambda mark: Runs(np.save, str(mark), 1),
    "file method": lambda mark: Runs(np.ndarray.tofile, np.zeros(3), str(mark)),
    "nested": lambda mark: {"hands": [np.zeros(2), Runs(os.mkdir, str(mark))]},
    "import": lambda mark: Runs(__import__, "antigravity"),
    "huge": lambda mark: Runs(np.ndarray, (10**9,)),
}


@pytest.mark.parametrize("name", MALICE)
@pytest.mark.parametrize("protocol", (0, 2, 4))
def test_malicious_pickles_run_nothing_and_say_so(tmp_path, name, protocol):
    mark = tmp_path / "ran"
    folder = tmp_path / "poses"
    folder.mkdir()
    (folder / "0.npy").write_bytes(npy(pickle.dumps(MALICE[name](mark), protocol=protocol)))
    with pytest.raises(ValueError, match="0.npy was not opened: .*Do not use this file"):
        files.load_folder(folder)
    assert not list(tmp_path.glob("ran*"))


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80\x04r\xff\xff\xff\x7fN.",  # A memo index of two thousand million
        b"\x80\x04\x82\x01.",  # An extension code
        b"\x80\x02cos\nsystem\n.",  # A bare function
        b"Pid\n.",  # A persistent id
        b"\x80\x02cnumpy\ndtype\nX\x04\x00\x00\x00V999\x85R.",  # A type of another kind
        b"\x80\x02}c__builtin__\nsetattr\n}b.",
    ],
)
def test_crafted_instructions_are_refused(tmp_path, payload):
    path = tmp_path / "0.npy"
    path.write_bytes(npy(payload))
    with pytest.raises(UnsafePickleError):
        load_npy(path)


def test_a_released_file_cut_anywhere_is_a_sentence(tmp_path):
    save_folder(tmp_path, [record()])
    whole = (tmp_path / "0.npy").read_bytes()
    for end in (0, 5, 20, 100, 300, len(whole) // 2, len(whole) - 1):
        (tmp_path / "0.npy").write_bytes(whole[:end])
        with pytest.raises(ValueError, match="0.npy"):
            files.load_folder(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda r: r.pop("hands"), "no 'hands'"),
        (lambda r: r.update(hands=np.zeros((2, 20, 2))), "shape"),
        (lambda r: r.update(hands_score=np.zeros((4, 21))), "2 hands and 4 rows"),
        (lambda r: r.update(hands=[["a"]]), "array of numbers"),
        (lambda r: r.update(draw_pose_params=[768, 768]), "six whole numbers"),
        (lambda r: r.update(draw_pose_params=[768, 768, 0, 700, 0, 768]), "do not fit"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(tmp_path, change, message):
    content = record()
    change(content)
    with pytest.raises(ValueError, match=message) as said:
        files.load_folder(save_folder(tmp_path, [content]))
    assert str(tmp_path) in str(said.value)


@pytest.mark.parametrize(("value", "seen"), [(0.5, True), (-1.0, False), (np.nan, False)])
def test_a_pose_knows_whether_it_shows_hands(value, seen):
    pose = random_pose(3)
    hidden = replace(pose, hands=np.full_like(pose.hands, value))
    assert hidden.shows_hands() is seen
    assert not replace(pose, hand_scores=np.zeros_like(pose.hand_scores)).shows_hands()


def test_missing_empty_and_gapped_folders_are_sentences(tmp_path):
    with pytest.raises(ValueError, match="there is no pose folder"):
        files.load_folder(tmp_path / "nothing")
    with pytest.raises(ValueError, match="contains no .npy file"):
        files.load_folder(tmp_path)
    save_folder(tmp_path, [record(index) for index in range(5)])
    (tmp_path / "2.npy").unlink()
    with pytest.raises(ValueError, match="lacks 2.npy"):
        files.load_folder(tmp_path)
    (tmp_path / "0.npy").write_text("not numpy")
    (tmp_path / "2.npy").write_bytes((tmp_path / "1.npy").read_bytes())
    with pytest.raises(ValueError, match="not a .npy file"):
        files.load_folder(tmp_path)
    np.save(tmp_path / "0.npy", np.zeros((3, 3)))
    with pytest.raises(ValueError, match="contains an array instead of keypoints: choose another"):
        files.load_folder(tmp_path)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
@pytest.mark.parametrize("whole", (True, False))
def test_saved_poses_come_back_exactly(tmp_path, suffix, whole):
    fields = {"width": 640, "height": 480, "region": (10, 470, 0, 600), "fps": 23.976} if whole else {}
    pose = random_pose(5, body=whole, face=whole, **fields)
    path = files.save(pose, tmp_path / f"clip{suffix}")
    assert_same(pose, files.load(path))


def test_nothing_is_overwritten(tmp_path):
    path = files.save(random_pose(1), tmp_path / "a.json")
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        files.save(random_pose(2), path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change, message",
    [
        ({"format": "other"}, "not a pose file"),
        ({"version": 2}, "version 2"),
        ({"hands": None}, "no 'hands'"),
        ({"hands": [[1]]}, "'hands'"),
        ({"hand_scores": [[["x"] * 21] * 2]}, "not an array of numbers"),
        ({"faces": None}, "only one of 'faces'"),
        ({"width": 0}, "canvas"),
        ({"fps": -1}, "frame rate"),
        ({"region": [5, 1, 0, 3]}, "region"),
        ({"hands": np.full((1, 2, 21, 2), np.nan).tolist()}, "not numbers"),
    ],
)
def test_what_is_wrong_with_a_pose_file_is_said(tmp_path, change, message):
    path = files.save(random_pose(1), tmp_path / "a.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        files.load(path)


@pytest.mark.parametrize("name", ("a.json", "a.safetensors"))
def test_damaged_and_foreign_files_are_sentences(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(ValueError, match="there is no pose file"):
        files.load(path)
    path.write_bytes(b"\x00\x01 nothing")
    with pytest.raises(ValueError, match="damaged or not a pose file"):
        files.load(path)
    with pytest.raises(ValueError, match=".json or .safetensors"):
        files.save(random_pose(1), tmp_path / "a.npz")


def test_a_pose_of_integers_and_one_frame_is_kept(tmp_path):
    pose = replace(random_pose(1), hands=np.ones((1, 2, 21, 2), np.int64))
    assert files.load(files.save(pose, tmp_path / "a.safetensors")).hands.dtype == np.float64
