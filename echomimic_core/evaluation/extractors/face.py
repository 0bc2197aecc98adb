"""What the face of each frame says: mouth, identity, expression."""

from importlib.util import find_spec

import numpy as np

from .. import faces
from ..clips import sound
from ..metrics import expression, identity, sync
from .base import Batched, Distribution, Extractor


class Mouth(Extractor):
    """Whether there is a face, how far its mouth is open, and how loud the sound is, in each frame."""

    needs_face = True

    def __enter__(self):
        self.found, self.opening, self.times = [], [], []
        return self

    def frame(self, seconds, picture, face) -> None:
        self.found.append(face is not None)
        self.opening.append(face.mouth_opening if face else np.nan)
        self.times.append(seconds)

    def finish(self):
        arrays = {"found": np.array(self.found, bool), "opening": np.array(self.opening), "fps": np.array(self.fps)}
        try:
            waveform = sound(self.clip)
        except ValueError:
            return arrays
        level = expression.loudness_per_frame(waveform, sync.RATE, np.array(self.times), self.fps)
        return arrays | {"loudness": level}


class Identity(Batched):
    """ArcFace embedding of the face of each frame; frames without one are rows of zeros that `found` marks."""

    networks = ("arcface",)
    needs_face = True

    def __enter__(self):
        self.network, _ = self.settings.load("arcface")
        self.found, self.rows = [], []
        return self

    def frame(self, seconds, picture, face) -> None:
        self.found.append(face is not None)
        if face:
            self.add(faces.arcface_crop(picture, face))

    def process(self, items) -> None:
        self.rows.append(identity.embed_faces(self.network, np.stack(items), self.settings.device))

    def finish(self):
        self.flush()
        found = np.array(self.found, bool)
        rows = np.concatenate(self.rows) if self.rows else np.zeros((0, 1), np.float32)
        embeddings = np.zeros((len(found), rows.shape[1]), np.float32)
        embeddings[found] = rows
        return {"embeddings": embeddings, "found": found}


class DlibIdentity(Identity):
    """The same with dlib's descriptor."""

    networks = ("dlib",)

    def __enter__(self):
        path = self.settings.find("dlib")
        if path is None:
            raise ValueError(self.settings.missing("dlib"))
        self.embedder = identity.DlibEmbedder(path)
        self.found, self.rows = [], []
        return self

    def frame(self, seconds, picture, face) -> None:
        self.found.append(face is not None)
        if face:
            self.rows.append(self.embedder(picture, face)[None])


class Expression(Distribution):
    """Deep3DFaceRecon's expression coefficients of the faces, for E-FID."""

    networks = ("deep3d",)
    needs_face = True

    @classmethod
    def options(cls, settings):
        return (settings.edges,)

    def __enter__(self):
        self.network, _ = self.settings.load("deep3d")
        return self

    def frame(self, seconds, picture, face) -> None:
        if face:
            crop = faces.deep3d_crop_on_pixels if self.settings.edges == "public" else faces.deep3d_crop
            self.add(crop(picture, face))

    def process(self, items) -> None:
        self.take(expression.expressions(self.network, np.stack(items), self.settings.device))


class Blendshapes(Distribution):
    """MediaPipe's 52 blendshape scores of the faces, for E-FID (blendshapes)."""

    networks = ("faces",)
    needs_face = True

    @classmethod
    def lacks(cls, settings) -> str:
        if not find_spec("mediapipe"):
            return "expression scores need the mediapipe package: python -m pip install mediapipe"
        bundle = settings.find("faces")
        if bundle is None or faces.has_blendshapes(bundle):
            return ""
        return (
            f"{bundle} contains no blendshape model: get face_landmarker.task from "
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/latest/"
        )

    def __enter__(self):
        self._finder = faces.FaceFinder(self.settings.find("faces"))
        self._finder.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._finder.__exit__(*error)

    def frame(self, seconds, picture, face) -> None:
        # Expressions come from the mediapipe package, which finds the face itself.
        scored = self._finder(picture)
        if scored is not None and scored.expression is not None:
            self.take(scored.expression[None])
