"""Faces in frames by MediaPipe's face mesh: points, expression scores, mouth opening, and the crops networks want."""

import zipfile
from dataclasses import dataclass
from math import floor
from pathlib import Path

import numpy as np

from .. import landmarks
from ..pose.detectors.package import as_image, open_landmarker

# Points of the face mesh. "Left" and "right" are those of the picture.
EYE_CORNERS = ((33, 133), (362, 263))
NOSE_TIP = 1
NOSE_BASE = 2
MOUTH_CORNERS = (61, 291)
INNER_LIPS = (13, 14)
FOREHEAD, CHIN = 10, 152
MESH_POINTS = 468

BLENDSHAPES = 52
BLENDSHAPE_MODEL = "face_blendshapes.tflite"

# Where a face may be found again when the whole picture shows none, in sizes of the last box.
SEARCH = 2.5

# ArcFace's places of eyes, nose tip and mouth corners in a 112 x 112 crop (Deng et al. 2019, arXiv 1801.07698).
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
ARCFACE_SIZE = 112

# The same five points of Deep3DFaceRecon's mean face (x right, y up, z to the viewer), and the size it is cropped to.
DEEP3D_POINTS = np.array(
    [
        [-0.31149, 0.29036, 0.13378],
        [0.30980, 0.28972, 0.13180],
        [0.00325, -0.04618, 0.55244],
        [-0.25217, -0.38134, 0.22406],
        [0.24847, -0.38128, 0.22236],
    ]
)
DEEP3D_SIZE = 224
DEEP3D_SCALE = 102.0

# SyncNet's crop: from the top of the face to 0.8 face heights below its middle, as wide as high, grey outside.
SYNC_SCALE = 0.4
SYNC_SIZE = 224
SYNC_GREY = 110

NO_FACE = "no face is found in any frame"


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes
    ----------
    mesh : (468 or 478, 2) points in pixels, the last ten of 478 being the irises.
    expression : (52,) blendshape scores in 0..1, or None.
    """

    mesh: np.ndarray
    expression: np.ndarray | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the face, forehead to chin."""
        outline = self.mesh[:MESH_POINTS]
        return (*outline.min(0), *outline.max(0))

    @property
    def five_points(self) -> np.ndarray:
        """(5, 2): eyes (left one in the picture first), nose tip, mouth corners."""
        eyes = [self.mesh[list(corners)].mean(0) for corners in EYE_CORNERS]
        return np.stack([*eyes, self.mesh[NOSE_TIP], *self.mesh[list(MOUTH_CORNERS)]])

    @property
    def mouth_opening(self) -> float:
        """Distance of the inner lips over the height of the face: 0 closed, about 0.25 wide open."""
        upper, lower = self.mesh[list(INNER_LIPS)]
        height = np.linalg.norm(self.mesh[FOREHEAD] - self.mesh[CHIN])
        return float(np.linalg.norm(lower - upper) / max(height, 1e-6))


def has_blendshapes(bundle: Path) -> bool:
    """Whether a face landmarker bundle holds the model that scores expressions."""
    return zipfile.is_zipfile(bundle) and BLENDSHAPE_MODEL in zipfile.ZipFile(bundle).namelist()


class FaceFinder:
    """Finds the main face in one picture after another; use it in a `with` block.

    Parameters
    ----------
    bundle : MediaPipe's face landmarker, for expression scores by the mediapipe package; None takes the built-in
        networks, which know the points alone.

    Raises
    ------
    ValueError : the package is not installed, or the bundle cannot be used.
    """

    def __init__(self, bundle: Path | None = None):
        self.bundle = bundle
        self._last: Face | None = None

    def __enter__(self) -> "FaceFinder":
        if self.bundle is None:
            self._networks = landmarks.load_networks(("face_detector", "face"))
            return self
        scores = has_blendshapes(self.bundle)
        self._landmarker = open_landmarker("face", self.bundle, num_faces=1, output_face_blendshapes=scores)
        return self

    def __exit__(self, *error) -> None:
        if self.bundle is not None:
            self._landmarker.close()

    def __call__(self, picture: np.ndarray) -> Face | None:
        """The face in a picture (H, W, 3) uint8 RGB, or None. Small faces are looked for where the last one was."""
        face = self._detect(picture, 0, 0)
        if face is None and self._last is not None:
            left, top, right, bottom = self._last.box
            radius = SEARCH / 2 * max(right - left, bottom - top)
            x, y = (left + right) / 2, (top + bottom) / 2
            x0, y0 = max(int(x - radius), 0), max(int(y - radius), 0)
            part = picture[y0 : int(y + radius), x0 : int(x + radius)]
            face = self._detect(part, x0, y0) if min(part.shape[:2]) > 8 else None
        self._last = face or self._last
        return face

    def _detect(self, picture: np.ndarray, x0: int, y0: int) -> Face | None:
        if self.bundle is None:
            faces = landmarks.find_faces(picture[None], self._networks)[0]
            return Face(faces[0].points + (x0, y0)) if faces else None
        found = self._landmarker.detect(as_image(picture))
        if not found.face_landmarks:
            return None
        size = np.array(picture.shape[1::-1])
        mesh = np.array([(point.x, point.y) for point in found.face_landmarks[0]]) * size + (x0, y0)
        expression = None
        if found.face_blendshapes:
            expression = np.array([shape.score for shape in found.face_blendshapes[0]], np.float32)
        return Face(mesh, expression)


def warp(picture: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """The picture under a 2 x 3 matrix (picture to crop), as (size, size, 3); shrinking averages first."""
    from ..media.opencv import cv2

    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.5:
        small = cv2.resize(picture, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        # Pixel centres, not corners, are what warpAffine counts from.
        ratio = np.array(picture.shape[1::-1]) / small.shape[1::-1]
        matrix = np.column_stack([matrix[:, :2] * ratio, matrix[:, 2] + matrix[:, :2] @ (ratio / 2 - 0.5)])
        picture = small
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """2 x 3 matrix of scale, rotation and shift that takes points (N, 2) to others best (least squares)."""
    x, y = source.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, dx, dy = np.linalg.lstsq(rows, np.concatenate(target.T), rcond=None)[0]
    return np.array([[a, -b, dx], [b, a, dy]])


def arcface_crop(picture: np.ndarray, face: Face) -> np.ndarray:
    """The face turned and scaled to ArcFace's five places: (112, 112, 3)."""
    return warp(picture, similarity(face.five_points, ARCFACE_POINTS), ARCFACE_SIZE)


def deep3d_crop(picture: np.ndarray, face: Face) -> np.ndarray:
    """The face scaled and centred as Deep3DFaceRecon prepares it: (224, 224, 3).

    An affine camera is fitted to the five points; its mean scale and its image of the mean face's origin count.
    """
    scale, middle = _deep3d_camera(face)
    shift = DEEP3D_SIZE / 2 - scale * middle
    return warp(picture, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), DEEP3D_SIZE)


def deep3d_crop_on_pixels(picture: np.ndarray, face: Face) -> np.ndarray:
    """The same as Deep3DFaceRecon's public code cuts it: the whole picture is resized, then cut at whole pixels.

    Black outside the picture. Its points count rows from the bottom, from 0, which sets the crop one row lower.
    """
    from PIL import Image

    scale, (x, y) = _deep3d_camera(face)
    height, width = picture.shape[:2]
    size = int(width * scale), int(height * scale)
    left = int(size[0] / 2 - DEEP3D_SIZE / 2 + (x - width / 2) * scale)
    top = int(size[1] / 2 - DEEP3D_SIZE / 2 + (y + 1 - height / 2) * scale)
    resized = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + DEEP3D_SIZE, top + DEEP3D_SIZE)))


def _deep3d_camera(face: Face) -> tuple[float, np.ndarray]:
    """Scale to Deep3DFaceRecon's size, and where in the picture (x, y) the middle of its crop is."""
    model = np.column_stack([DEEP3D_POINTS * (1, -1, 1), np.ones(5)])
    camera = np.linalg.lstsq(model, face.five_points, rcond=None)[0]
    return DEEP3D_SCALE / np.linalg.norm(camera[:3], axis=0).mean(), camera[3]


def sync_crop(picture: np.ndarray, x: float, y: float, half: float) -> np.ndarray:
    """SyncNet's crop around a face box with middle (x, y) and half its longer side: (224, 224, 3)."""
    from ..media.opencv import cv2

    top, bottom = floor(y - half), floor(y + half * (1 + 2 * SYNC_SCALE))
    left, right = floor(x - half * (1 + SYNC_SCALE)), floor(x + half * (1 + SYNC_SCALE))
    height, width = picture.shape[:2]
    bottom, right = max(bottom, top + 1), max(right, left + 1)
    border = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    part = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if part.size == 0:
        return np.full((SYNC_SIZE, SYNC_SIZE, 3), SYNC_GREY, np.uint8)
    part = cv2.copyMakeBorder(part, *border, cv2.BORDER_CONSTANT, value=(SYNC_GREY,) * 3)
    return cv2.resize(part, (SYNC_SIZE, SYNC_SIZE))


def sync_whole(picture: np.ndarray) -> np.ndarray:
    """A frame that is a face crop already, at SyncNet's size."""
    from ..media.opencv import cv2

    return cv2.resize(picture, (SYNC_SIZE, SYNC_SIZE), interpolation=cv2.INTER_AREA)
