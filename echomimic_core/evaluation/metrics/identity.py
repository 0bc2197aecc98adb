"""CSIM: does the person stay the person of the reference picture?"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..clips import Clip
from ..faces import EYE_CORNERS, NO_FACE, NOSE_BASE, Face
from .metric import Metric, Store, paper


@torch.inference_mode()
def embed_faces(network, crops: np.ndarray, device: str = "cpu") -> np.ndarray:
    """ArcFace embeddings (N, dim) of aligned crops (N, 112, 112, 3) uint8 RGB."""
    x = torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2).float()
    return network(x / 127.5 - 1).float().cpu().numpy()


def csim(reference: np.ndarray, embeddings: np.ndarray, found: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cosine of the reference face and the face of each frame; a frame without a face counts as 0.

    Source: Zakharov et al. 2019 (arXiv 1905.08233), with ArcFace (arXiv 1801.07698).

    Parameters
    ----------
    reference : (dim,). embeddings : (F, dim). found : (F,) bool.

    Returns
    -------
    The mean, and the cosine of each frame (F,).
    """
    norms = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(reference)
    cosine = np.where(found, embeddings @ reference / np.maximum(norms, 1e-12), 0.0)
    return float(cosine.mean()), cosine


class DlibEmbedder:
    """dlib's 128-d face descriptor on faces that MediaPipe found.

    Raises
    ------
    ValueError : dlib is not installed, or the file is not its network.
    """

    def __init__(self, path: Path):
        try:
            import dlib
        except ImportError as error:
            raise ValueError("CSIM (dlib) needs dlib: python -m pip install dlib") from error
        try:
            self._network = dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise ValueError(f"{path} is not dlib's face recognition network: {error}") from error
        self._dlib = dlib

    def __call__(self, picture: np.ndarray, face: Face) -> np.ndarray:
        """(128,) descriptor of a face in an RGB picture."""
        dlib = self._dlib
        left, top, right, bottom = (int(value) for value in face.box)
        # dlib's five points: corners of the eye on the right of the picture, outer first, of the left one, nose base.
        (outer_left, inner_left), (inner_right, outer_right) = EYE_CORNERS
        indices = (outer_right, inner_right, outer_left, inner_left, NOSE_BASE)
        points = [dlib.point(int(x), int(y)) for x, y in face.mesh[list(indices)]]
        shape = dlib.full_object_detection(dlib.rectangle(left, top, right, bottom), points)
        picture = np.ascontiguousarray(picture)
        return np.array(self._network.compute_face_descriptor(picture, shape), np.float32)


def _identity(extractor: str) -> Callable[[Store, Clip], tuple[float, np.ndarray]]:
    def score(store: Store, clip: Clip) -> tuple[float, np.ndarray]:
        portrait = store.arrays("portrait", clip, extractor)
        if not portrait["found"][:1].any():
            raise ValueError(f"no face is found in the reference picture of {clip.name}")
        found = store.arrays("generated", clip, extractor)
        if not found["found"].any():
            # Its frames count as 0, as the lost frames of any other clip do.
            store.remark(clip, NO_FACE)
            return 0.0, np.zeros(len(found["found"]))
        return csim(portrait["embeddings"][0], found["embeddings"], found["found"])

    return score


_CSIM = (
    "Cosine of the {} face embeddings of the reference picture (else the first frame of the reference clip) and of "
    "each frame, averaged; a frame without a face counts as 0."
)

METRICS = (
    Metric(
        "csim",
        "CSIM",
        "arcface",
        "clip",
        "higher",
        _CSIM.format("ArcFace"),
        "Zakharov et al. 2019 (arXiv 1905.08233), with ArcFace (arXiv 1801.07698)",
        "above 0.5",
        paper=paper(0.387, 0.526, 0.558),
        unlike_paper="not comparable: the paper names no face network, and each has a scale of its own",
        score=lambda store, clip: _identity("arcface")(store, clip)[0],
        curve=lambda store, clip: {"identity": _identity("arcface")(store, clip)[1]},
    ),
    Metric(
        "csim-dlib",
        "CSIM (dlib)",
        "dlib",
        "clip",
        "higher",
        _CSIM.format("dlib") + " Not comparable with ArcFace's: strangers have about 0.85.",
        "dlib's face recognition ResNet",
        "above 0.95",
        alternative_to="csim",
        score=lambda store, clip: _identity("dlib")(store, clip)[0],
        curve=lambda store, clip: {"identity (dlib)": _identity("dlib")(store, clip)[1]},
    ),
)
