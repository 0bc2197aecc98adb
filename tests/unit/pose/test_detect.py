"""Hands are found where they are, on the right side, through blank and blurred frames, at the pace of the video."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from echomimic_core.landmarks import networks as landmark_networks
from echomimic_core.media.video import VideoWriter, read_frames
from echomimic_core.pose import bundles as bundles_module
from echomimic_core.pose import detect, detectors, landmarks
from echomimic_core.pose.detectors import package as package_module
from echomimic_core.pose.detectors.sides import Sides

SHARED_MODELS = Path(__file__).parents[4] / "shared" / "models"
SIDE = 768
PICTURES = ("0035", "0077", "0222")


def package() -> bundles_module.Bundles:
    """MediaPipe's models: from MEDIAPIPE_BUNDLES (see mediapipe_bundle.py), or from beside the checkout."""
    pytest.importorskip("mediapipe")
    folder = Path(os.environ.get("MEDIAPIPE_BUNDLES", SHARED_MODELS))
    hand, pose, face = (folder / f"{kind}_landmarker.task" for kind in ("hand", "pose", "face"))
    if not (hand.is_file() and pose.is_file()):
        pytest.skip("no MediaPipe models: set MEDIAPIPE_BUNDLES to a folder made by mediapipe_bundle.py")
    return bundles_module.Bundles(hand, pose, face if face.is_file() else None)


@pytest.fixture(scope="module", params=["built-in", "tracking", "mediapipe"])
def detector(request) -> dict:
    """Each detector there is, as `detect.detect` takes it."""
    if request.param == "mediapipe":
        return {"source": package()}
    return {"source": landmark_networks.load_networks(), "track": request.param == "tracking"}


def picture(samples, name) -> np.ndarray:
    image = cv2.imread(str(samples / "reference" / f"{name}.png"))
    return np.ascontiguousarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., ::-1])


def motion(t: float) -> np.ndarray:
    """A pan, zoom and rotation that returns after t = 1."""
    angle = 2 * np.pi * t
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 12 * np.sin(angle), 1 + 0.15 * np.sin(2 * angle))
    matrix[:, 2] += (60 * np.sin(angle), 25 * np.cos(angle))
    return matrix


def driven(still: np.ndarray, times) -> np.ndarray:
    """Points 0..1 of the still picture as they lie at each time."""
    matrices = [motion(t) for t in times]
    return np.stack([still * SIDE @ m[:, :2].T + m[:, 2] for m in matrices]) / SIDE


def frame(image, t):
    return cv2.warpAffine(image, motion(t), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)


def errors(pose, still, times):
    return np.linalg.norm(pose.hands - driven(still.hands[0], times), axis=-1)


@pytest.mark.parametrize("name", PICTURES)
def test_both_hands_are_found_on_the_fingers(samples, detector, name):
    image = picture(samples, name)
    found = detect.detect([(0.0, image)], **detector)
    assert (found.hand_scores > 0).all()
    wrists = found.bodies[0, [7, 4]]
    assert np.linalg.norm(found.hands[0, :, 0] - wrists, axis=-1).max() < 0.08
    # The person faces us: the left hand is on the right of the picture, and thumbs point up in these pictures.
    assert found.hands[0, 0, :, 0].min() > 0.5 > found.hands[0, 1, :, 0].max()
    # Points inside of the hand lie on skin.
    pixels = np.round(found.hands[0][:, [0, 1, 2, 5, 6, 9, 10, 13, 14, 17, 18]] * SIDE - 0.5).astype(int)
    _, red, blue = np.moveaxis(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[pixels[..., 1], pixels[..., 0]], -1, 0)
    assert ((red > 133) & (red < 180) & (blue > 77) & (blue < 135)).mean() > 0.85


@pytest.mark.parametrize("name", PICTURES)
def test_a_mirrored_picture_exchanges_the_hands(samples, detector, name):
    image = picture(samples, name)
    found, mirrored = (detect.detect([(0.0, np.ascontiguousarray(p))], **detector) for p in (image, image[:, ::-1]))
    np.testing.assert_allclose(mirrored.hands[0, ::-1] * [-1, 1] + [1, 0], found.hands[0], atol=0.03)


@pytest.mark.parametrize(
    "name", [PICTURES[0], *(pytest.param(name, marks=pytest.mark.release) for name in PICTURES[1:])]
)
def test_known_motion_is_followed_through_blank_and_blurred_frames(samples, detector, name):
    image = picture(samples, name)
    still = detect.detect([(0.0, image)], **detector)
    rng = np.random.default_rng(0)
    count = 48
    times = np.arange(count) / count

    def frames():
        for index, t in enumerate(times):
            moved = frame(image, t)
            if index in (8, 9, 10, 30):
                moved = np.zeros_like(moved)
            elif index in (18, 19, 40):
                moved = cv2.GaussianBlur(moved, (0, 0), 12)
            elif index == 24:
                moved = rng.integers(0, 255, moved.shape, np.uint8)
            yield index / 24, moved

    pose, report = detect.hand_pose(frames(), **detector)
    assert len(pose) == count and (pose.hand_scores > 0).all()
    assert min(report.found) > 0.8 and max(report.longest_gap) < 0.3
    wrong = errors(pose, still, times)
    assert np.median(wrong) < 0.003
    assert wrong.max() < 0.03  # No hand is ever the other one
    body = np.linalg.norm(pose.bodies - driven(still.bodies[0], times), axis=-1)[:, [0, 1, 2, 3, 5, 6]]
    assert np.median(body) < 0.01


@pytest.mark.parametrize("name, side, way", (("0077", 0, 420), ("0035", 1, -420)))
def test_a_hand_that_leaves_the_picture_and_comes_back_is_the_same_hand(samples, detector, name, side, way):
    image = picture(samples, name)
    still = detect.detect([(0.0, image)], **detector)
    shifts = way * np.sin(np.pi * np.linspace(0, 1, 28))

    def frames():
        for index, shift in enumerate(shifts):
            yield index / 24, cv2.warpAffine(image, np.float32([[1, 0, shift], [0, 1, 0]]), (SIDE, SIDE))

    found = detect.detect(frames(), **detector)
    true = still.hands[0] + np.stack([shifts / SIDE, 0 * shifts], axis=-1)[:, None, None]
    seen = found.hand_scores.max(axis=-1) > 0
    inside = ((true > 0) & (true < 1)).all(axis=(2, 3))
    gone = ((true < 0) | (true > 1)).any(axis=-1).all(axis=-1)
    assert gone[:, side].sum() > 10 and inside[:, 1 - side].all() and inside[[0, -1]].all()
    assert seen[inside].all()
    # Beyond the edge nothing is seen, and the other hand is not taken for it.
    assert seen[gone].sum() <= 2
    wrong = np.linalg.norm(found.hands - true, axis=-1).mean(axis=-1)[seen & ~gone]
    assert np.median(wrong) < 0.004 and wrong.max() < 0.06
    pose = detect.steady(found, smoothing=0, max_gap=0.1, long_gaps="empty")
    assert (pose.hand_scores[gone[:, side], side] == 0).all(axis=-1).sum() > 8
    assert detect.make_report(found.times, found.hand_scores).longest_gap[side] > 8 / 24


def test_a_video_of_another_rate_is_followed_by_time(samples, detector, tmp_path):
    image = picture(samples, "0035")
    still = detect.detect([(0.0, image)], **detector)
    with VideoWriter(tmp_path / "drive.mp4", 30.0, SIDE, SIDE) as writer:
        for index in range(30):
            writer.write(frame(image, index / 60)[None])
    pose, report = detect.hand_pose(read_frames(tmp_path / "drive.mp4"), fps=24.0, **detector)
    assert report.frames == 30 and len(pose) == 24 and pose.fps == 24
    assert np.median(errors(pose, still, np.arange(24) / 24 / 2)) < 0.003


def test_an_estimated_face_lies_on_the_found_one(samples):
    image = picture(samples, "0035")
    found, estimated = detect.detect([(0.0, image)]), None
    with detectors.open_detector() as detector:
        detector._in_places = lambda kind, pictures, places, wanted: [[] for _ in places]
        estimated = detector(image[None], [0.0])[0]
    size = np.ptp(found.faces[0], axis=0).max()
    apart = np.linalg.norm(found.faces[0] - estimated.face / SIDE, axis=-1)
    assert np.median(apart) < 0.1 * size and apart.max() < 0.3 * size
    assert estimated.face_scores.max() <= landmarks.ESTIMATED_FACE_SCORE < found.face_scores.min()


def test_frames_found_together_are_those_found_alone(samples):
    pictures = np.stack([frame(picture(samples, "0077"), index / 24) for index in range(5)])
    times = [index / 24 for index in range(5)]
    with detectors.open_detector() as together, detectors.open_detector() as alone:
        for many, index in zip(together(pictures, times), range(5), strict=True):
            one = alone(pictures[index : index + 1], [times[index]])[0]
            for a, b in zip(many, one, strict=True):
                np.testing.assert_allclose(a, b, atol=0.05)


def test_cancelling_stops_before_the_next_frame(samples, detector):
    image, seen = picture(samples, "0035"), []

    def frames():
        for index in range(10):
            seen.append(index)
            yield index / 24, image

    def cancel(done, total):
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        detect.detect(frames(), total=10, progress=cancel, **detector)
    assert seen == [0, 1, 2]


def test_a_part_of_the_frames_is_taken_by_time():
    frames = [(5 + index / 24, index) for index in range(48)]
    assert [f for _, f in detect.between(frames, 0.5, 0.25)] == list(range(12, 18))
    assert [f for _, f in detect.between(frames)] == list(range(48))


@pytest.mark.parametrize("start, duration", ((0, 0), (0.5, 0), (0.5, 0.25), (1.5, 10), (3, 1)))
@pytest.mark.parametrize("fps", (24.0, 30000 / 1001))
def test_the_progress_knows_how_many_frames_a_part_has(start, duration, fps):
    frames = [(index / fps, index) for index in range(48)]
    taken = len(list(detect.between(frames, start, duration)))
    assert abs(detect.count_between(48 / fps, fps, start, duration) - taken) <= (duration > 0 or start > 0)
    assert detect.count_between(48 / fps, fps) == 48


def test_of_several_models_the_quick_one_is_taken(tmp_path):
    names = ["pose_landmarker_lite", "pose_landmarker_heavy", "pose_landmarker", "pose_landmarker_full"]
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "missing"]
    assert bundles_module.find_bundle("pose", folders) is None
    for index, name in enumerate(names):
        file = tmp_path / ("a/deep" if index % 2 else "b") / f"{name}.task"
        file.touch()
        assert bundles_module.find_bundle("pose", folders) == file
    assert bundles_module.find_bundle("hand", folders) is None


def test_no_frames_and_changing_sizes_are_sentences(detector):
    with pytest.raises(ValueError, match="no frames to detect hands in"):
        detect.detect([], **detector)
    frames = [(0.0, np.zeros((64, 64, 3), np.uint8)), (0.1, np.zeros((64, 32, 3), np.uint8))]
    with pytest.raises(ValueError, match="frame 1 is 32x64, the first 64x64: resize all frames to one size"):
        detect.detect(frames, **detector)


def test_a_picture_without_people_gives_no_points(detector):
    found = detect.detect([(0.0, np.full((200, 300, 3), 128, np.uint8))], **detector)
    assert not found.hand_scores.any() and not found.body_scores.any()
    assert detect.steady(found).bodies is None


def test_a_damaged_model_is_named_with_its_link(tmp_path):
    pytest.importorskip("mediapipe")
    broken = tmp_path / "hand_landmarker.task"
    broken.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="hand_landmarker.task cannot be used .*storage.googleapis.com"):
        detect.detect([(0.0, np.zeros((64, 64, 3), np.uint8))], bundles_module.Bundles(broken, broken))


def test_without_mediapipe_there_is_a_sentence(monkeypatch):
    for name in ("mediapipe", "mediapipe.tasks", "mediapipe.tasks.python"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="mediapipe, which is not installed: choose the built-in detector"):
        detect.detect([(0.0, np.zeros((64, 64, 3), np.uint8))], bundles_module.Bundles(Path("a"), Path("b")))


class TestSides:
    """Who gets which hand, without any model."""

    @staticmethod
    def body():
        points = np.full((33, 2), 300.0)
        points[[11, 12]] = (400, 200), (200, 200)
        points[[15, 16]] = (420, 400), (180, 400)
        return points, np.ones(33)

    @staticmethod
    def hand(x, y, side=0, score=0.9):
        rng = np.random.default_rng(int(x))
        return package_module._Hand(np.array([x, y]) + np.vstack([[0, 0], rng.uniform(-40, 40, (20, 2))]), score, side)

    def choose(self, hands, sides=None, time=0.0, body=None):
        return (sides or Sides()).choose(hands, *(body or self.body()), time)

    @pytest.mark.parametrize("sides", ((0, 1), (1, 0), (0, 0), (1, 1)))
    def test_the_nearest_wrist_decides_whatever_the_handedness(self, sides):
        left, right = self.hand(425, 405, sides[0]), self.hand(185, 395, sides[1])
        assert self.choose([right, left]) == [left, right]

    def test_a_single_hand_goes_to_its_wrist(self):
        right = self.hand(185, 395, side=0)
        assert self.choose([right]) == [None, right]

    def test_a_hand_far_from_both_wrists_is_nobodys(self):
        assert self.choose([self.hand(600, 50)]) == [None, None]

    def test_one_hand_found_twice_counts_once(self):
        first, again = self.hand(425, 405), self.hand(425, 408, score=0.7)
        assert self.choose([again, first]) == [first, None]

    def test_where_both_wrists_meet_the_last_frame_decides(self):
        points, scores = self.body()
        points[[15, 16]] = (302, 400), (298, 400)
        sides = Sides()
        left, right = self.hand(330, 400), self.hand(270, 400)
        sides.last, sides.last_time = [right, left], [0.0, 0.0]
        assert self.choose([left, right], sides, 0.1, (points, scores)) == [right, left]

    @pytest.mark.parametrize("seed", range(4))
    def test_hands_that_cross_keep_their_sides(self, seed):
        """The left hand goes to the right one's place and back; where they meet the body's wrists cannot be trusted."""
        rng, sides = np.random.default_rng(seed), Sides()
        for index, t in enumerate(np.sin(np.linspace(0, np.pi, 40))):
            points, scores = self.body()
            left, right = np.array([420 - 260 * t, 400]), np.array([180 + 260 * t, 430])
            points[[15, 16]] = left, right
            if np.abs(left - right)[0] < 60:
                points[[15, 16]] = (left + right) / 2
                scores[[15, 16]] = 0.1
            hands = [self.fan(place, flip, int(rng.integers(2))) for place, flip in ((left, 1), (right, -1))]
            order = rng.permutation(2)
            chosen = self.choose([hands[i] for i in order], sides, index / 24, (points, scores))
            assert chosen == hands, index
            sides.last, sides.last_time = chosen, [index / 24] * 2

    @staticmethod
    def fan(wrist, flip, side):
        """A hand of five straight fingers, thumb first."""
        angles = np.deg2rad(np.linspace(-60, 40, 5)) * flip
        way = np.stack([np.sin(angles), -np.cos(angles)], axis=-1)
        fingers = way[:, None] * np.array([30, 50, 65, 80])[:, None]
        return package_module._Hand(wrist + np.vstack([[0, 0], fingers.reshape(-1, 2)]), 0.9, side)

    def test_without_a_body_handedness_and_memory_decide(self):
        left, right = self.hand(100, 100, side=0), self.hand(500, 100, side=1)
        assert self.choose([right, left], body=(None, None)) == [left, right]
