"""DWPose (TorchScript) as a source of hand keypoints with a confidence of their own.

Source: Yang et al. 2023, "Effective whole-body pose estimation with two-stages distillation" (arXiv 2307.15880).
"""

import numpy as np
import torch

# Network input (width, height), its batch of the published file, and the bins a pixel is divided into.
SIZE = (288, 384)
BATCH = 5
BINS_PER_PIXEL = 2
BOX_PADDING = 1.25
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
# Of the 133 whole-body points: the left hand, then the right hand.
HAND_POINTS = slice(91, 133)


def box_matrix(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """2 x 3 matrix from the picture to the network's input, in whose middle the person's box is."""
    scale = min(SIZE[0] / ((right - left) * BOX_PADDING), SIZE[1] / ((bottom - top) * BOX_PADDING))
    shift = [SIZE[0] / 2 - scale * (left + right) / 2, SIZE[1] / 2 - scale * (top + bottom) / 2]
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


@torch.inference_mode()
def hands(
    network, pictures: list[np.ndarray], device: str = "cpu", boxes: list | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Hand keypoints (N, 2, 21, 2) in pixels and scores (N, 2, 21) of up to 5 RGB pictures.

    The score of a point is the smaller of the two maxima of its x and y distributions; it may exceed 1.

    Parameters
    ----------
    boxes : (left, top, right, bottom) of the person in each picture, as the original's person detector gives them;
        without boxes, or where one is None, the whole picture is the box, which a semi-body frame is anyway.
    """
    from ..media.opencv import cv2

    boxes = boxes or [None] * len(pictures)
    boxes = [box or (0, 0, *picture.shape[1::-1]) for box, picture in zip(boxes, pictures, strict=True)]
    matrices = np.stack([box_matrix(*box) for box in boxes])
    pairs = zip(pictures, matrices, strict=True)
    crops = np.stack([cv2.warpAffine(picture, matrix, SIZE, flags=cv2.INTER_LINEAR) for picture, matrix in pairs])
    x = (torch.from_numpy(crops).to(device).float() - torch.tensor(MEAN, device=device)) / torch.tensor(
        STD, device=device
    )
    x = torch.cat([x, x.new_zeros(max(BATCH - len(x), 0), *x.shape[1:])]).permute(0, 3, 1, 2)
    across, down = (out[: len(pictures), HAND_POINTS].float().cpu().numpy() for out in network(x))
    points = np.stack([across.argmax(2), down.argmax(2)], axis=-1) / BINS_PER_PIXEL
    scores = np.minimum(across.max(2), down.max(2)).clip(min=0)
    points = (points - matrices[:, None, :, 2]) / matrices[:, None, :1, 0]
    return points.reshape(-1, 2, 21, 2), scores.reshape(-1, 2, 21)
