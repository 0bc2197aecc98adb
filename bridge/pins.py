"""From the sampler's inputs `pin` and `latent` to what the clip keeps of its latents."""

import torch

from ..echomimic_core.pose.edit import fit_length
from ..echomimic_core.pose.framing import fit_canvas
from ..echomimic_core.scene.crop import Crop
from ..echomimic_core.scene.pin import CELL, Pin, at_cells, mask_of_crop
from .values import mask as as_mask


def posed(pose, pose_fit: str, apdh):
    """What `make_pin` has to know of the hands: (pose, pose_fit), or None where the clip has none."""
    return None if pose is None or (apdh is not None and "hands" not in apdh.keypoints) else (pose, pose_fit)


def make_pin(reference, pin, latent, denoise: float, frames: int, hands=None) -> Pin | None:
    """What a clip of `frames` frames keeps or starts from; None where nothing is asked for.

    Parameters
    ----------
    reference : `ReferenceFeatures`; its latents are kept unless there are others.
    pin : a MASK, white where the clip changes, a `Crop`, or None.
    latent : LATENT of a background clip, one frame or many, or None.
    denoise : below 1 the clip starts from the latents.
    hands : see `posed`; where they come, a crop's own mask lets the clip change.

    Raises
    ------
    ValueError : latents of another size, or denoise below 1 without latents.
    """
    if pin is None and denoise >= 1.0:
        return None
    height, width = reference.height, reference.width
    if latent is None:
        latents = reference.latents
    else:
        latents = latent["samples"]
        if latents.ndim != 4 or latents.shape[1:] != (reference.channels, height, width):
            raise ValueError(
                f"latent is {tuple(latents.shape)}, but this reference needs (frames, {reference.channels}, {height}, "
                f"{width}): set size in Crop Person, and width and height in Reference Encode, to the same"
            )
    if latents is None:
        raise ValueError("this reference has no latents to hold: encode it again with Reference Encode")
    return Pin(latents.float().cpu(), None if pin is None else _mask(reference, pin, frames, hands))


def _mask(reference, pin, frames: int, hands) -> torch.Tensor:
    height, width = reference.height, reference.width
    if not isinstance(pin, Crop):
        return at_cells(as_mask(pin, "pin"), height, width, reference.fit)
    pose = None
    if hands is not None:
        pose, pose_fit = hands
        pose = fit_canvas(fit_length(pose, frames, pose_fit), height * CELL, width * CELL, reference.fit)
    return mask_of_crop(pin, pose, height, width)
