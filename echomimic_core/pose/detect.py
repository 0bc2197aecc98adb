"""Find hands, body and face in pictures with MediaPipe: streamed, any number of frames."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import BODY_POINTS, FACE_POINTS, FPS, HAND_POINTS, HANDS
from ..runtime import Progress
from . import landmarks
from .bundles import BUNDLE_FOLDER, BUNDLE_LINKS, Bundles
from .clean import Detections, Report, make_report, steady
from .hand_pose import HandPose

MIN_CONFIDENCE = 0.4

# Hands are looked for in a square around each wrist, where they are large and nothing else is. Its half side, and how
# far its middle lies from the wrist towards the knuckles, in body scales (about the distance of the shoulders).
CROP_RADIUS = 0.55
CROP_TOWARDS_KNUCKLES = 0.6
CROP_PIXELS = 320
HEAD_CROP_RADIUS = 0.65

# Two finds are the same hand if their points are nearer to each other than this part of the hand's size.
SAME_HAND = 0.3
# A find further from every wrist than this, in body scales, is nobody's hand.
MAX_WRIST_DISTANCE = 0.5
# Handedness is often wrong, so it only decides between places that are about equally near.
HANDEDNESS_WEIGHT = 0.06
MOTION_WEIGHT = 0.3
MEMORY_SECONDS = 0.5
MIN_WRIST_SCORE = 0.2


@dataclass
class _Hand:
    points: np.ndarray
    score: float
    side: int

    @property
    def size(self) -> float:
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))


def hand_pose(
    frames: Iterable[tuple[float, np.ndarray]],
    bundles: Bundles,
    fps: float = FPS,
    smoothing: float = 0.3,
    max_gap: float = 0.5,
    long_gaps: str = "hold",
    total: int = 0,
    progress: Progress | None = None,
) -> tuple[HandPose, Report]:
    """Find the pose of a clip, heal and smooth it, and bring it to `fps` by time.

    Parameters are those of `detect` and `steady`.
    """
    found = detect(frames, bundles, total, progress)
    return steady(found, fps, smoothing, max_gap, long_gaps), make_report(found.times, found.hand_scores)


def between(
    frames: Iterable[tuple[float, np.ndarray]], start: float = 0.0, duration: float = 0.0
) -> Iterator[tuple[float, np.ndarray]]:
    """The frames from `start` seconds after the first one on, for `duration` seconds; 0 takes all that follow.

    Frames before `start` are read and dropped: that is exact to the frame in every container, which seeking is not.
    """
    first = None
    for time, picture in frames:
        first = time if first is None else first
        # A millisecond of grace, since containers round their timestamps.
        if duration and time - first >= start + duration - 1e-3:
            return
        if time - first >= start - 1e-3:
            yield time, picture


def count_between(seconds: float, fps: float, start: float = 0.0, duration: float = 0.0) -> int:
    """How many frames `between` takes of a clip of `seconds` at `fps` frames a second, for the progress."""
    left = max(seconds - start, 0.0)
    return math.ceil((min(left, duration) if duration else left) * fps - 1e-2)


def detect(
    frames: Iterable[tuple[float, np.ndarray]], bundles: Bundles, total: int = 0, progress: Progress | None = None
) -> Detections:
    """Find hands, body and face in each frame.

    Parameters
    ----------
    frames : (time in seconds, (H, W, 3) uint8 RGB) in growing time; all of one size. Only one is held at a time.
    total : number of frames if known, for the progress.

    Raises
    ------
    ValueError : no frames, frames of different sizes, or mediapipe or a bundle cannot be used.
    """
    times, rows, size = [], [], None
    with Detector(bundles) as detector:
        for index, (time, picture) in enumerate(frames):
            if progress:
                progress(index, max(total, index + 1))
            size = size or picture.shape[:2]
            if picture.shape[:2] != size:
                raise ValueError(
                    f"frame {index} is {picture.shape[1]}x{picture.shape[0]}, the first {size[1]}x{size[0]}: bring all "
                    "frames to one size, or take a part of the video (start and duration) in which it does not change"
                )
            times.append(float(time))
            rows.append(detector(picture, float(time)))
    if not rows:
        raise ValueError("there are no frames to look for hands in: the video is empty, or ends before start")
    if progress:
        progress(len(rows), len(rows))
    height, width = size
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    for points in columns[::2]:
        points /= (width, height)
    return Detections(np.array(times), *columns, width=width, height=height)


class Detector:
    """MediaPipe's landmarkers for one clip; use it in a `with` block, which closes them.

    Pictures are looked at one by one (image mode): video mode smooths the body with a lag, and lets hands drift; on
    pictures moved by known pans, zooms and rotations its body was off by 0.9 % of the width (median), that of image
    mode by 0.5 %. Only the search in the whole picture, for hands that are not at the wrists, follows them through the
    video (video mode).
    """

    def __init__(self, bundles: Bundles):
        self._bundles = bundles
        self._stack = ExitStack()
        self._last: list[_Hand | None] = [None, None]
        self._last_time = [-np.inf, -np.inf]
        self._clock = -1

    def __enter__(self) -> Detector:
        self._crop_hands = self._open("hand", "Hand", video=False, num_hands=2)
        self._all_hands = self._open("hand", "Hand", video=True, num_hands=2)
        self._pose = self._open("pose", "Pose", video=False)
        self._face = self._open("face", "Face", video=False) if self._bundles.face else None
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()

    def _open(self, kind: str, name: str, video: bool, **options):
        try:
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError as error:
            raise ValueError(
                "finding hands needs the Python package mediapipe, which is not installed: install it into ComfyUI's "
                "Python, or connect POSE_KEYPOINT from another pack's detector to Pose From Keypoints"
            ) from error
        path = getattr(self._bundles, kind)
        if kind == "hand":
            options |= {
                "min_hand_detection_confidence": MIN_CONFIDENCE,
                "min_hand_presence_confidence": MIN_CONFIDENCE,
                "min_tracking_confidence": MIN_CONFIDENCE,
            }
        mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
        try:
            # Read here: MediaPipe's own reading fails on paths with letters beyond ASCII on some systems.
            base = BaseOptions(model_asset_buffer=Path(path).read_bytes())
            settings = getattr(vision, f"{name}LandmarkerOptions")(base_options=base, running_mode=mode, **options)
            return self._stack.enter_context(getattr(vision, f"{name}Landmarker").create_from_options(settings))
        except Exception as error:
            self._stack.close()
            raise ValueError(
                f"the model {path} cannot be used by MediaPipe ({_first_line(error)}): download it again from "
                f"{BUNDLE_LINKS[kind]} into {BUNDLE_FOLDER}"
            ) from error

    def __call__(self, picture: np.ndarray, time: float) -> tuple[np.ndarray, ...]:
        """Hands, hand scores, body, body scores, face, face scores of a picture, in pixels."""
        picture = np.ascontiguousarray(picture)
        points, scores = self._find_body(picture)
        hands = self._find_hands(picture, points, scores, time)
        hand_points = np.zeros((HANDS, HAND_POINTS, 2))
        hand_scores = np.zeros((HANDS, HAND_POINTS))
        for side, hand in enumerate(hands):
            if hand is not None:
                hand_points[side], hand_scores[side] = hand.points, hand.score
                self._last[side], self._last_time[side] = hand, time
        if points is None:
            body, body_scores = np.zeros((BODY_POINTS, 2)), np.zeros(BODY_POINTS)
            face, face_scores = np.zeros((FACE_POINTS, 2)), np.zeros(FACE_POINTS)
        else:
            body, body_scores = landmarks.openpose_body(points, scores)
            face, face_scores = self._find_face(picture, points, scores)
        return hand_points, hand_scores, body, body_scores, face, face_scores

    def _find_body(self, picture: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        found = self._pose.detect(_image(picture)).pose_landmarks
        if not found:
            return None, None
        points = _pixels(found[0], picture.shape[1], picture.shape[0])
        return points, np.array([min(point.visibility or 0.0, point.presence or 0.0) for point in found[0]])

    def _find_face(self, picture: np.ndarray, points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._face is not None:
            crop, to_picture = _crop(picture, points[landmarks.NOSE], HEAD_CROP_RADIUS * _body_scale(points))
            found = self._face.detect(_image(crop)).face_landmarks
            if found:
                mesh = to_picture(_pixels(found[0], CROP_PIXELS, CROP_PIXELS))
                return landmarks.face_from_mesh(mesh), np.full(FACE_POINTS, max(scores[landmarks.NOSE], 1e-3))
        return landmarks.face_from_head(points, scores)

    def _find_hands(self, picture, points, scores, time) -> list[_Hand | None]:
        finds: list[_Hand] = []
        if points is not None:
            radius = CROP_RADIUS * _body_scale(points)
            for wrist, knuckles in (
                (landmarks.LEFT_WRIST, landmarks.LEFT_KNUCKLES),
                (landmarks.RIGHT_WRIST, landmarks.RIGHT_KNUCKLES),
            ):
                towards = points[list(knuckles)].mean(axis=0) - points[wrist]
                middle = points[wrist] + CROP_TOWARDS_KNUCKLES * towards
                if not _overlaps(picture, middle, radius):
                    continue
                crop, to_picture = _crop(picture, middle, radius)
                finds += _hands(self._crop_hands.detect(_image(crop)), CROP_PIXELS, CROP_PIXELS, to_picture)
        sides = self._choose(finds, points, scores, time)
        if None in sides:
            # A hand may be far from where the body model puts the wrist, or the body may not be in the picture at all.
            self._clock = max(self._clock + 1, int(time * 1000))
            found = self._all_hands.detect_for_video(_image(picture), self._clock)
            finds += _hands(found, picture.shape[1], picture.shape[0], lambda whole: whole)
            sides = self._choose(finds, points, scores, time)
        return sides

    def _choose(self, finds: list[_Hand], points, scores, time: float) -> list[_Hand | None]:
        """The left and the right hand among the finds: those nearest to the body's wrists, and to the last frame's."""
        finds = _distinct(finds)
        if not finds:
            return [None, None]
        scale = _body_scale(points) if points is not None else max(2 * hand.size for hand in finds)
        cost = np.zeros((len(finds), HANDS))
        for side, wrist in enumerate((landmarks.LEFT_WRIST, landmarks.RIGHT_WRIST)):
            remembered = self._last[side] if time - self._last_time[side] <= MEMORY_SECONDS else None
            sees_wrist = points is not None and scores[wrist] >= MIN_WRIST_SCORE
            for index, hand in enumerate(finds):
                if sees_wrist:
                    distance = float(np.linalg.norm(hand.points[0] - points[wrist])) / scale
                    cost[index, side] = distance if distance <= MAX_WRIST_DISTANCE else np.inf
                elif points is not None and remembered is None:
                    # The body is there but this wrist is out of sight: no hand of the other side may take its place.
                    cost[index, side] = MAX_WRIST_DISTANCE
                if remembered is not None:
                    moved = float(np.linalg.norm(hand.points - remembered.points, axis=1).mean()) / scale
                    cost[index, side] += MOTION_WEIGHT * min(moved, 1.0)
                weight = HANDEDNESS_WEIGHT if points is not None else MAX_WRIST_DISTANCE
                cost[index, side] += weight * hand.score * (hand.side != side)
        return _cheapest(finds, cost)


def _cheapest(finds: list[_Hand], cost: np.ndarray) -> list[_Hand | None]:
    """Left and right hand such that the sum of costs is least; leaving a side empty costs more than any good find."""
    best, chosen = np.inf, [None, None]
    options = [None, *range(len(finds))]
    for left, right in itertools.product(options, options):
        if left is not None and left == right:
            continue
        total = sum(
            2 * MAX_WRIST_DISTANCE if index is None else cost[index, side] for side, index in enumerate((left, right))
        )
        if total < best:
            best, chosen = total, [left, right]
    return [None if index is None else finds[index] for index in chosen]


def _distinct(finds: list[_Hand]) -> list[_Hand]:
    """The finds without repetitions of one hand, of which the surest stays."""
    kept: list[_Hand] = []
    for hand in sorted(finds, key=lambda find: -find.score):
        gaps = [np.linalg.norm(hand.points - other.points, axis=1).mean() for other in kept]
        if all(gap > SAME_HAND * max(hand.size, other.size) for gap, other in zip(gaps, kept, strict=True)):
            kept.append(hand)
    return kept


def _hands(result, width: int, height: int, to_picture) -> list[_Hand]:
    finds = []
    for points, handedness in zip(result.hand_landmarks, result.handedness, strict=True):
        side = 0 if handedness[0].category_name == "Left" else 1
        finds.append(_Hand(to_picture(_pixels(points, width, height)), float(handedness[0].score), side))
    return finds


def _pixels(points, width: int, height: int) -> np.ndarray:
    return np.array([(point.x * width, point.y * height) for point in points])


def _body_scale(points: np.ndarray) -> float:
    """About the distance of the shoulders in pixels, also when the person is turned to the side."""
    shoulders = points[[landmarks.LEFT_SHOULDER, landmarks.RIGHT_SHOULDER]]
    head = np.linalg.norm(points[landmarks.NOSE] - shoulders.mean(axis=0))
    return float(max(np.linalg.norm(shoulders[0] - shoulders[1]), 1.1 * head, 16.0))


def _overlaps(picture: np.ndarray, middle: np.ndarray, radius: float) -> bool:
    """Whether a good part of a square lies on the picture."""
    size = np.array(picture.shape[1::-1])
    inside = np.clip(np.minimum(middle + radius, size) - np.maximum(middle - radius, 0), 0, None)
    return float(inside.prod()) > 0.15 * (2 * radius) ** 2


def _crop(picture: np.ndarray, middle: np.ndarray, radius: float):
    """A square around `middle` scaled to CROP_PIXELS, and the function that takes its points back to the picture."""
    from ..media.opencv import cv2

    scale = CROP_PIXELS / (2 * radius)
    offset = CROP_PIXELS / 2 - np.asarray(middle) * scale
    # Averaging when the square shrinks a lot keeps fingers from breaking up.
    if scale < 0.5:
        shrink = 2 * scale
        small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        exact = np.array(small.shape[1::-1]) / picture.shape[1::-1]
        matrix = np.array([[scale / exact[0], 0, offset[0]], [0, scale / exact[1], offset[1]]])
        picture = small
    else:
        matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    crop = cv2.warpAffine(picture, matrix, (CROP_PIXELS, CROP_PIXELS), flags=cv2.INTER_LINEAR)
    return crop, lambda points: (points - offset) / scale


def _image(picture: np.ndarray):
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
