"""Where hands leave the picture."""

import numpy as np

from .hand_pose import HandPose
from .track import present

EDGES = ("left", "right", "top", "bottom")


def leaving(pose: HandPose) -> list[str]:
    """A sentence for each hand that leaves the picture: in how many frames, and at which edge most of all.

    A hand has left where at least one of its points lies beyond an edge; points that were not found count nowhere.
    """
    pose = pose.whole_canvas()
    there = present(pose.hands, pose.hand_scores)
    x, y = pose.hands[..., 0], pose.hands[..., 1]
    beyond = np.stack([there & outside for outside in (x < 0, x > 1, y < 0, y > 1)])
    sentences = []
    for hand, side in enumerate(("left", "right")):
        frames = beyond[:, :, hand].any(axis=-1)
        count = int(frames.any(axis=0).sum())
        if count:
            edge = EDGES[int(frames.sum(axis=1).argmax())]
            sentences.append(
                f"The {side} hand leaves the picture in {count} of {len(pose)} frames, mostly at the {edge}."
            )
    return sentences
