"""Views of clips: mirrored, cropped and of other shapes, with pixels and keypoints moving together."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import training_clips as clips
from training_clips import CountedClip

from echomimic_core.pose.draw import draw_maps
from echomimic_core.training.data.dataset import ClipDataset, far_frame
from echomimic_core.training.data.shards import HEADSHOT, ClipInfo, read_manifest
from echomimic_core.training.data.squares import LEFT_HAND, RIGHT_HAND, squares_of
from echomimic_core.training.data.view import View, cropped, whole_view
from echomimic_core.training.settings import Settings, parse

LENGTH, SHOWN = 40, 4
BLANK = [{"name": "blank", "steps": 1, "keypoints": []}]
LANDSCAPE, SQUARE, PORTRAIT = (128, 64), (64, 64), (64, 128)


def dataset(found, phases=BLANK, **data):
    content = {"data": {"size": 64, "frames": SHOWN, **data}, "train": {"stage": 2}, "apdh": {"phases": phases}}
    return ClipDataset(parse(Settings, content), found)


def shown(sample):
    return sample["frames"][:, 0, 0, 0].tolist()


def marked(pose, size):
    """A frame (size, size, 3) whose only light is where the pose has its left wrist."""
    frame = np.zeros((1, size, size, 3), np.uint8)
    x, y = (pose.hands[0, 0, 0] * size).astype(int)
    frame[0, y - 1 : y + 2, x - 1 : x + 2] = 255
    return frame


def light(frame):
    """Where the light of a frame is, in 0..1 of it."""
    rows, columns = np.nonzero(frame[..., 0] > 60)
    return np.array([(columns.mean() + 0.5) / frame.shape[1], (rows.mean() + 0.5) / frame.shape[0]])


VIEWS = {
    "mirrored": View(128, 128, 0, 0, 128, 128, flipped=True),
    "cropped": View(128, 128, 30, 40, 80, 80),
    "cropped and mirrored": View(96, 96, 30, 40, 80, 80, flipped=True),
    "portrait": View(64, 128, 20, 0, 64, 128),
}


@pytest.mark.parametrize("name", VIEWS)
def test_pixels_and_keypoints_move_together(name):
    view, pose = VIEWS[name], clips.make_pose(np.full(1, 0.42))
    moved = view.pose(pose)
    made = view.frames(marked(pose, 128))
    assert made.shape[1:3] == (view.height, view.width) == (moved.height, moved.width)
    hand = RIGHT_HAND if view.flipped else LEFT_HAND
    assert (moved.hand_scores[0, hand] > 0).all() and not moved.hand_scores[0, 1 - hand].any()
    assert np.allclose(moved.hands[0, hand, 0], light(made[0]), atol=1.5 / min(view.width, view.height))


def test_in_a_mirror_sides_of_body_and_face_are_exchanged():
    pose = clips.make_pose(np.full(1, 0.4))
    pose.bodies[0, 4], pose.bodies[0, 7] = (0.2, 0.9), (0.9, 0.6)  # Right and left wrist
    pose.faces[0, 36], pose.faces[0, 45] = (0.35, 0.2), (0.61, 0.25)  # Outer corners of right and left eye
    mirrored = View(128, 128, 0, 0, 128, 128, flipped=True).pose(pose)
    assert np.allclose(mirrored.bodies[0, 7], (0.8, 0.9)) and np.allclose(mirrored.bodies[0, 4], (0.1, 0.6))
    assert np.allclose(mirrored.faces[0, 45], (0.65, 0.2)) and np.allclose(mirrored.faces[0, 36], (0.39, 0.25))


@pytest.mark.parametrize("kind", ["semi-body", HEADSHOT])
def test_a_mirrored_sample_is_mirrored_in_everything(kind):
    phase = [{"name": "lips", "steps": 1, "audio": "lips"}]
    size, found = 128, clips.make_clip(*clips.talking(12), kind=kind)
    plain, mirrored = (dataset([Read(found)], phase, size=size, flips=share)[(0, 0)] for share in (0.0, 1.0))
    assert mirrored["frames"].shape == plain["frames"].shape
    for sample, side in ((plain, LEFT_HAND), (mirrored, RIGHT_HAND)):
        assert (sample["squares"][:, side, 2] > 0).all() == (kind != HEADSHOT)
        assert not sample["squares"][:, 1 - side, 2].any()
    if kind != HEADSHOT:
        # The same draws follow, but for the one of the mirror: find the sample's own frames in the clip
        frames = torch.from_numpy(Read(found).frames(range(12))).permute(0, 3, 1, 2).flip(-1)
        starts = [s for s in range(12 - SHOWN + 1) if torch.equal(frames[s : s + SHOWN], mirrored["frames"])]
        assert len(starts) == 1
        pose = View(size, size, 0, 0, size, size, flipped=True).pose(found.pose)
        expected = draw_maps(pose, range(starts[0], starts[0] + SHOWN), size, size, ("hands", "body", "face", "lips"))
        assert (mirrored["pose_maps"].permute(0, 2, 3, 1).numpy() == expected).all()


class Read:
    """A clip as it is before it is written, read as from its shard."""

    def __init__(self, data):
        from echomimic_core.training.data.shards import decode_jpeg

        self.info, self.folder, self._data = data.info, Path("read"), data
        self._frames = np.stack([decode_jpeg(np.frombuffer(jpeg, np.uint8)) for jpeg in data.jpegs])

    def __len__(self):
        return self.info.frames

    def frames(self, indices):
        return self._frames[list(indices)]

    def pose(self):
        return self._data.pose

    def audio(self):
        return self._data.audio.astype(np.float32)


def test_samples_are_mirrored_and_cropped_as_often_and_as_far_as_asked():
    data = dataset([CountedClip(LENGTH)], flips=0.5, crops=0.3)
    views = [data.view(data.clips[0], [0, 1], np.random.default_rng(i)) for i in range(100)]
    assert np.mean([view.flipped for view in views]) == pytest.approx(0.5, abs=0.15)
    sides = [view.part_width for view in views]
    assert min(sides) >= 0.7 * 64 - 1 and min(sides) < 48 and max(sides) > 60
    assert len({(view.left, view.top) for view in views}) > 10
    still = dataset([CountedClip(LENGTH)])
    assert still.view(still.clips[0], [0], np.random.default_rng(0)) == View(64, 64, 0, 0, 64, 64)


def test_a_crop_keeps_the_face():
    pose = clips.make_pose(np.full(2, 0.5))
    for seed in range(50):
        view = cropped(View(128, 128, 0, 0, 128, 128), pose, 0.5, np.random.default_rng(seed))
        face = view.pose(pose).faces
        assert face.min() > -0.02 and face.max() < 1.02
        assert 0 <= view.left <= 128 - view.part_width and 0 <= view.top <= 128 - view.part_height


def test_a_headshot_is_placed_and_not_cropped():
    data = dataset([CountedClip(LENGTH, kind=HEADSHOT)], crops=0.5)
    views = {data.view(data.clips[0], [0], np.random.default_rng(i)) for i in range(5)}
    assert views == {View(64, 64, 0, 0, 64, 64)}


@pytest.mark.parametrize("distance", [1, 10, 25, 100])
def test_the_reference_is_as_far_from_the_frames_shown_as_asked_or_as_the_clip_allows(distance):
    references = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        start = int(rng.integers(0, LENGTH - SHOWN + 1))
        reference = far_frame(LENGTH, start, SHOWN, distance, rng)
        away = max(start - reference, reference - (start + SHOWN - 1))
        assert away >= min(distance, max(start, LENGTH - SHOWN - start))
        references.add(reference)
    assert min(references) < 3 and max(references) > LENGTH - 4
    sample = dataset([CountedClip(LENGTH)], reference_distance=15)[(0, 0)]
    frames, reference = shown(sample), int(sample["reference"][0, 0, 0])
    assert max(frames[0] - reference, reference - frames[-1]) >= 15


def test_folders_are_taken_by_their_weights_and_clips_in_them_by_their_length():
    found = [
        CountedClip(10, folder="a"),
        CountedClip(30, first=50, folder="a"),
        CountedClip(400, first=100, folder="b"),
    ]
    weighed = dataset(found, folders=["a/", "b"], folder_weights=[3.0, 1.0])
    assert np.allclose(weighed.weights, [0.75 / 4, 0.75 * 3 / 4, 0.25])
    assert np.allclose(dataset(found, folders=["a", "b"]).weights, np.array([10, 30, 400]) / 440)


def test_a_clip_belongs_to_the_bucket_of_its_shape():
    shapes = {(640, 360): LANDSCAPE, (512, 512): SQUARE, (360, 640): PORTRAIT, (500, 400): SQUARE}
    for shape, bucket in shapes.items():
        data = dataset([CountedClip(8, shape=shape)], buckets=[LANDSCAPE, SQUARE, PORTRAIT])
        assert data.buckets == [bucket]
        view = whole_view(shape, bucket)
        assert (view.width, view.height) == bucket
        assert view.part_width / view.part_height == pytest.approx(bucket[0] / bucket[1], rel=0.01)
        assert view.left * 2 + view.part_width == pytest.approx(shape[0], abs=1)
        assert view.top * 2 + view.part_height == pytest.approx(shape[1], abs=1)
        assert shape[0] == view.part_width or shape[1] == view.part_height


def test_all_samples_of_a_step_share_a_bucket_and_over_the_steps_each_has_its_share():
    found = [CountedClip(72, shape=LANDSCAPE), CountedClip(8, first=100, shape=PORTRAIT)]
    data = dataset(found, buckets=[LANDSCAPE, SQUARE, PORTRAIT])
    counts = Counter()
    for step in range(50):
        samples = [data[(step, index)] for index in range(2)]
        (shape,) = {tuple(sample["frames"].shape[-2:]) for sample in samples}
        assert all((shown(sample)[0] >= 100) == (shape == PORTRAIT[::-1]) for sample in samples)
        counts[shape] += 1
    assert counts[LANDSCAPE[::-1]] / 50 == pytest.approx(0.9, abs=0.09) and len(counts) == 2


def has_shape(sample, width, height):
    pixels, cells = ("frames", "reference", "pose_maps", "pixel_mask"), ("audio_mask", "loss_mask", "noise")
    assert {tuple(sample[name].shape[-2:]) for name in pixels} == {(height, width)}
    return {tuple(sample[name].shape[-2:]) for name in cells} == {(height // 8, width // 8)}


@pytest.mark.parametrize("shape", [LANDSCAPE, PORTRAIT])
def test_a_sample_of_a_bucket_has_its_shape_in_everything(shape):
    phase = [{"name": "lips", "steps": 1, "keypoints": [], "audio": "lips"}]
    data = dataset([CountedClip(LENGTH, shape=shape)], phase, buckets=[LANDSCAPE, SQUARE, PORTRAIT])
    sample = data[(0, 0)]
    assert has_shape(sample, *shape) and 0 < (sample["audio_mask"] > 0).float().mean() < 0.5


@pytest.mark.parametrize("shape", [(384, 192), (192, 256)])
def test_a_headshot_is_placed_in_a_bucket_of_any_shape(shape):
    phase = [{"name": "body", "steps": 1, "keypoints": [], "audio": "body"}]
    data = dataset([CountedClip(LENGTH, size=128, kind=HEADSHOT)], phase, buckets=[shape])
    sample = data[(0, 0)]
    counted = sample["pixel_mask"][0] > 0
    middle = counted.nonzero().float().mean(0) / torch.tensor(shape[::-1])
    assert has_shape(sample, *shape) and (sample["loss_mask"] > 0).any()
    assert abs(middle[1] - 0.5) < 0.1 and middle[0] < 0.4


def test_squares_are_as_wide_as_they_are_high_in_frames_of_any_shape():
    pose = clips.make_pose(np.full(1, 0.5))
    wide = View(256, 128, 0, 0, 256, 128).pose(dataclasses.replace(pose, width=256, height=128))
    x, y, side, _ = squares_of(wide, ("hands",))[0, LEFT_HAND] * 256
    hand = wide.hands[0, 0] * (256, 128)
    assert abs(x - hand[:, 0].mean()) < side / 2 and abs(y - hand[:, 1].mean()) < side / 2
    assert side > np.ptp(hand, axis=0).max()


def test_shards_hold_clips_of_any_shape_and_lists_of_before_are_read(tmp_path):
    clip = clips.make_clip(*clips.talking(6))
    clip.info = dataclasses.replace(clip.info, width=160, height=128)
    folder = clips.write_clips(tmp_path / "clips", [clip])
    (found,) = read_manifest(folder)
    assert found.info.frame == (160, 128) and (found.pose().width, found.pose().height) == (160, 128)
    square = ClipInfo("a.safetensors", "000", "semi-body", 6, 128, "drawn", 0.0)
    assert square.frame == (128, 128) and not {"width", "height"} & square.listed().keys()
