"""How far a mouth is open in pictures of the shaded look, teeth and tongue included."""

import numpy as np

from echomimic_core.media.opencv import cv2
from echomimic_core.pose.hand_pose import HandPose

from .shaded.face import MOUTH_INSIDE

# What is looked at lies between nose and chin, this wide in face widths, in so many rows and columns.
STRIP, ROWS, COLUMNS = 0.12, 48, 9
# A colour this far from the inside of a mouth, in RGB, does not look like it.
INSIDE_REACH = 60.0
# Frames in which a clip's mouth looks most closed, and how different from all their colours is different enough: what
# is half covered by a blurred edge counts half.
CLOSED_FRAMES, NEW = 3, 30.0


def mouth_opening(frames: np.ndarray, pose: HandPose) -> np.ndarray:
    """(F,) of frames (F, s, s, 3) uint8: how much there is between nose and chin that a closed mouth does not show.

    The colours of skin, lips and beard are learned from the clip's own most closed frames.
    """
    strips = np.stack([strip(frame, face) for frame, face in zip(frames, pose.faces, strict=True)])
    dark = np.clip(1 - np.linalg.norm(strips - MOUTH_INSIDE, axis=-1) / INSIDE_REACH, 0, 1).sum(1)
    closed = strips[np.argsort(dark.mean(1), kind="stable")[:CLOSED_FRAMES]].reshape(-1, 3)
    openings = []
    for shown in strips.reshape(len(strips), -1, 3):
        apart = np.square(shown[:, None] - closed[None]).sum(-1).min(1)
        openings.append(np.minimum(np.sqrt(apart), NEW).mean())
    return np.array(openings)


def strip(frame: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(ROWS, COLUMNS, 3): the frame below the nose, upright whichever way the head leans."""
    width = np.linalg.norm(face[16] - face[0])
    across = (face[16] - face[0]) / width
    down = np.array([-across[1], across[0]])
    columns = np.linspace(-0.5, 0.5, COLUMNS) * STRIP * width
    rows = np.linspace(0.05, 1.0, ROWS) * np.linalg.norm(face[8] - face[33])
    points = face[33] + columns[None, :, None] * across + rows[:, None, None] * down
    places = (points * len(frame) - 0.5).astype(np.float32)
    picture = frame.astype(np.float32)
    return cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
