"""Bring voice, pose and picture together: one length, one canvas, one set of conditions."""

import numpy as np
import torch

from ..apdh.schedule import keep_groups
from ..apdh.steering import ORIGINAL, APDHOptions, box_mask, face_box, feather_mask
from ..config import PIXELS_PER_LATENT
from ..media.picture import fit_picture
from ..models.reference_unet import ReferenceFeatures
from ..pose import HandPose
from ..pose.draw import draw_maps
from ..pose.edit import change_rate, fit_length
from ..pose.framing import fit_canvas
from .clip import AudioSource, ClipConditions


def assemble(
    reference: ReferenceFeatures,
    audio: AudioSource | None,
    pose: HandPose | None,
    frames: int,
    pose_fit: str = "loop",
    apdh: APDHOptions = ORIGINAL,
    fps: float | None = None,
) -> ClipConditions:
    """Conditions of a clip of so many frames at the reference's size.

    Parameters
    ----------
    pose : of any length and canvas; it is looped, ping-ponged or held (`pose_fit`) to the clip's length and cropped or
        padded like the reference picture. None means no pose.
    fps : frame rate of the clip; a pose of another rate keeps its speed. None takes its frames one for one.

    Raises
    ------
    ValueError : the reach of audio needs face points or a mask and there is neither, or the mask has another length.
    """
    height, width = reference.height * PIXELS_PER_LATENT, reference.width * PIXELS_PER_LATENT
    pose_maps = None
    if pose is not None:
        pose = pose if fps is None else change_rate(pose, fps)
        pose = fit_canvas(fit_length(pose, frames, pose_fit), height, width, reference.fit)
        fitted, groups = keep_groups(pose, apdh.keypoints), apdh.keypoints

        def pose_maps(indices: list[int]) -> torch.Tensor:
            maps = draw_maps(fitted, np.asarray(indices), height, width, groups=groups)
            return torch.from_numpy(maps).permute(0, 3, 1, 2)

    mask = audio_mask(apdh, pose, frames, height, width, reference.fit)
    return ClipConditions(reference, audio, pose_maps, apdh, mask)


def audio_mask(
    apdh: APDHOptions, pose: HandPose | None, frames: int, height: int, width: int, fit: str = "crop"
) -> torch.Tensor | None:
    """What audio may move, (1 or frames, height, width) in 0..1; None when that is everything.

    A mask of APDH Options wins over its box and is cropped or padded (`fit`) like the picture it was painted on; the
    box holds lips or head of the pose in every frame of the clip.
    """
    if apdh.mask is not None:
        if len(apdh.mask) not in (1, frames):
            raise ValueError(
                f"the mask of APDH Options has {len(apdh.mask)} frames, but the clip has {frames}: "
                f"give one mask for all frames or {frames} of them"
            )
        mask = fit_picture(apdh.mask.float().clamp(0.0, 1.0)[..., None], height, width, fit)[..., 0]
        if not mask.any():
            raise ValueError(
                "the mask of APDH Options is black wherever the video shows something, so the voice would move "
                "nothing: paint white the part it may move (Load Image's mask is black without transparency)"
            )
        return feather_mask(mask, apdh.feather)
    if apdh.reach == "body":
        return None
    if pose is None or pose.faces is None:
        raise ValueError(
            f"audio is to reach only the {apdh.reach}, but the pose has no face points: "
            "connect a mask to APDH Options, or a pose with a face"
        )
    pose = pose.whole_canvas()
    scores = None if pose.face_scores is None else torch.from_numpy(pose.face_scores)
    box = face_box(torch.from_numpy(pose.faces), scores, apdh.reach)
    # An eighth of the picture's size is the finest that attention sees
    mask = box_mask(box, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
    return feather_mask(mask, apdh.feather)
