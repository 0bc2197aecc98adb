"""What is taken from the frames of one clip for each metric, held in little memory however long the clip.

An extractor is made for a clip, sees `frame(seconds, picture, face)` in order, and gives arrays at `finish()`.
"""

from .base import Extractor
from .face import Blendshapes, DlibIdentity, Expression, Identity, Mouth
from .hands import DWPoseHands, Hands
from .lips import Sync
from .pictures import Inception, Steadiness, Video

EXTRACTORS: dict[str, type[Extractor]] = {
    "inception": Inception,
    "i3d": Video,
    "steadiness": Steadiness,
    "mouth": Mouth,
    "arcface": Identity,
    "dlib": DlibIdentity,
    "deep3d": Expression,
    "blendshapes": Blendshapes,
    "hands": Hands,
    "dwpose": DWPoseHands,
    "syncnet": Sync,
}

# Those that share a pass where there are processes enough for several passes over one clip.
GROUPS = (
    ("hands", "dwpose"),
    ("inception", "i3d", "steadiness"),
    ("mouth", "arcface", "dlib", "deep3d", "blendshapes", "syncnet"),
)
