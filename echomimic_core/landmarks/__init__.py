"""Hands, bodies and faces in pictures: MediaPipe's published networks in torch, on any device, many frames at once.

    networks = load_networks()
    for hands in find_hands(frames, networks):
        ...

The points are those of the MediaPipe package to a fraction of a pixel. `find_*` look in each picture again;
a `Tracker` follows a video from frame to frame, which is faster. Places are in pixels of the pictures.
"""

import numpy as np
import torch

from .bodies import Body, person_masks
from .faces import Face
from .hands import LEFT, RIGHT, Hand
from .networks import NETWORKS, Networks, load_networks, shared_networks
from .search import BODIES, FACES, HANDS, MASKED_BODIES, Kind, Tracker, Wanted, find_in_areas, find_in_pictures

__all__ = [
    "BODIES",
    "FACES",
    "HANDS",
    "LEFT",
    "NETWORKS",
    "RIGHT",
    "Body",
    "Face",
    "MASKED_BODIES",
    "Hand",
    "Kind",
    "Networks",
    "Tracker",
    "Wanted",
    "as_pictures",
    "find_bodies",
    "find_faces",
    "find_hands",
    "find_in_areas",
    "load_networks",
    "person_masks",
    "shared_networks",
]

# So many pictures are looked at together: enough to fill a device, and memory does not grow with the clip.
BATCH = 8


def find_hands(pictures, networks: Networks | None = None, limit: int = 2, confidence: float = 0.5) -> list[list[Hand]]:
    """Hands in whole pictures.

    Parameters
    ----------
    pictures : (frames, height, width, 3) uint8, tensor or array.
    limit : most hands of a picture.
    confidence : of the detector and in the hand's presence, from 0 to 1.

    Returns
    -------
    A list of hands for each picture, surest first.
    """
    return _find(HANDS, pictures, networks, limit, confidence)


def find_bodies(
    pictures, networks: Networks | None = None, limit: int = 1, confidence: float = 0.5, masks: bool = False
) -> list[list[Body]]:
    """People in whole pictures, as `find_hands`; with `masks`, `person_masks` tells where each of them is."""
    return _find(MASKED_BODIES if masks else BODIES, pictures, networks, limit, confidence)


def find_faces(pictures, networks: Networks | None = None, limit: int = 1, confidence: float = 0.5) -> list[list[Face]]:
    """Faces in whole pictures, as `find_hands`. Small faces are found better in an area around the head."""
    return _find(FACES, pictures, networks, limit, confidence)


def as_pictures(pictures, networks: Networks) -> torch.Tensor:
    """Pictures (frames, height, width, 3) or (height, width, 3) as uint8 on the networks' device.

    Raises
    ------
    ValueError : another shape or type.
    """
    if not isinstance(pictures, torch.Tensor):
        pictures = torch.from_numpy(np.require(pictures, requirements=("C", "W")))
    pictures = pictures if pictures.ndim == 4 else pictures[None]
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != torch.uint8:
        raise ValueError(f"pictures are (frames, height, width, 3) uint8, not {tuple(pictures.shape)} {pictures.dtype}")
    return pictures.to(networks.where())


@torch.inference_mode()
def _find(kind: Kind, pictures, networks: Networks | None, limit: int, confidence: float) -> list[list]:
    networks = networks or shared_networks()
    wanted, found = Wanted(limit, confidence, confidence), []
    for start in range(0, len(pictures), BATCH):
        found += find_in_pictures(kind, as_pictures(pictures[start : start + BATCH], networks), networks, wanted)
    return found
