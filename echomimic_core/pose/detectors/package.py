"""The mediapipe package as a detector: the one place where it is opened."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runtime import is_out_of_memory
from ..bundles import BUNDLE_FOLDER, BUNDLE_LINKS, Bundles
from .frame import Frame, make_frame
from .sides import Sides, hand_areas, head_area

MIN_CONFIDENCE = 0.4
# Side of the squares that are cut out around wrists and heads.
CROP_PIXELS = 320


@dataclass
class _Hand:
    points: np.ndarray
    score: float
    side: int

    @property
    def size(self) -> float:
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))


def open_landmarker(kind: str, path: Path, video: bool = False, **options):
    """A landmarker of the package for "hand", "pose" or "face"; close it when done.

    Raises
    ------
    ValueError : the package is not installed, or the bundle cannot be used.
    """
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise ValueError(
            "this needs the Python package mediapipe, which is not installed: choose the built-in detector, or install "
            "mediapipe into ComfyUI's Python"
        ) from error
    mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
    try:
        # Read here: MediaPipe's own reading fails on paths with letters beyond ASCII on some systems.
        base = BaseOptions(model_asset_buffer=Path(path).read_bytes())
        name = kind.capitalize()
        settings = getattr(vision, f"{name}LandmarkerOptions")(base_options=base, running_mode=mode, **options)
        return getattr(vision, f"{name}Landmarker").create_from_options(settings)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"the model {path} cannot be used by MediaPipe ({_first_line(error)}): download it again from "
            f"{BUNDLE_LINKS[kind]} into {BUNDLE_FOLDER}"
        ) from error


def as_image(picture: np.ndarray):
    """A picture (H, W, 3) uint8 as the package takes it."""
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))


class PackageDetector:
    """MediaPipe's landmarkers for one clip; use it in a `with` block, which closes them.

    Pictures are looked at one by one (image mode): video mode smooths the body with a lag, and lets hands drift; on
    pictures moved by known pans, zooms and rotations its body was off by 0.9 % of the width (median), that of image
    mode by 0.5 %. Only the search in the whole picture, for hands that are not at the wrists, follows them through the
    video (video mode).
    """

    batch = 1

    def __init__(self, bundles: Bundles):
        self._bundles = bundles
        self._stack = ExitStack()
        self._sides = Sides()
        self._clock = -1

    def __enter__(self):
        with self._stack:
            self._crop_hands = self._open("hand", False)
            self._all_hands = self._open("hand", True)
            self._pose = self._open("pose", False)
            self._face = self._open("face", False) if self._bundles.face else None
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()

    def _open(self, kind: str, video: bool):
        options = {}
        if kind == "hand":
            confidences = ("min_hand_detection_confidence", "min_hand_presence_confidence", "min_tracking_confidence")
            options = dict.fromkeys(confidences, MIN_CONFIDENCE) | {"num_hands": 2}
        return self._stack.enter_context(open_landmarker(kind, getattr(self._bundles, kind), video, **options))

    def __call__(self, pictures, times: list[float]) -> list[Frame]:
        """Finds of pictures (frames, height, width, 3) uint8 at growing times in seconds."""
        return [self._one(np.ascontiguousarray(picture), time) for picture, time in zip(pictures, times, strict=True)]

    def _one(self, picture: np.ndarray, time: float) -> Frame:
        points, scores = self._find_body(picture)
        hands = self._find_hands(picture, points, scores, time)
        self._sides.remember(hands, time)
        return make_frame(hands, points, scores, None if points is None else self._find_face(picture, points))

    def _find_body(self, picture: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        found = self._pose.detect(as_image(picture)).pose_landmarks
        if not found:
            return None, None
        points = _pixels(found[0], picture.shape[1], picture.shape[0])
        return points, np.array([min(point.visibility or 0.0, point.presence or 0.0) for point in found[0]])

    def _find_face(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray | None:
        if self._face is None:
            return None
        crop, to_picture = _crop(picture, *head_area(points))
        found = self._face.detect(as_image(crop)).face_landmarks
        return to_picture(_pixels(found[0], CROP_PIXELS, CROP_PIXELS)) if found else None

    def _find_hands(self, picture, points, scores, time) -> list[_Hand | None]:
        finds: list[_Hand] = []
        if points is not None:
            for middle, radius in hand_areas(points, *picture.shape[:2]):
                crop, to_picture = _crop(picture, middle, radius)
                finds += _hands(self._crop_hands.detect(as_image(crop)), CROP_PIXELS, CROP_PIXELS, to_picture)
        sides = self._sides.choose(finds, points, scores, time)
        if None in sides:
            # A hand may be far from where the body model puts the wrist, or the body may not be in the picture at all.
            self._clock = max(self._clock + 1, int(time * 1000))
            found = self._all_hands.detect_for_video(as_image(picture), self._clock)
            finds += _hands(found, picture.shape[1], picture.shape[0], lambda whole: whole)
            sides = self._sides.choose(finds, points, scores, time)
        return sides


def _hands(result, width: int, height: int, to_picture) -> list[_Hand]:
    finds = []
    for points, handedness in zip(result.hand_landmarks, result.handedness, strict=True):
        side = 0 if handedness[0].category_name == "Left" else 1
        finds.append(_Hand(to_picture(_pixels(points, width, height)), float(handedness[0].score), side))
    return finds


def _pixels(points, width: int, height: int) -> np.ndarray:
    return np.array([(point.x * width, point.y * height) for point in points])


def _crop(picture: np.ndarray, middle: np.ndarray, radius: float):
    """A square around `middle` scaled to CROP_PIXELS, and the function that takes its points back to the picture."""
    from ...media.opencv import cv2

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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
