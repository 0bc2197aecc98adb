"""L_pose: keypoint maps of what the frozen landmark networks see in the generated frame and in the true one.

Hands, body and face are cut out of both frames where the data set says they are, differentiably, and the networks of
`landmarks` read their points. A map is a Gaussian around each point, times the presence of the thing; the mean squared
error of two such maps over the plane has a closed form, so none is drawn.
"""

import logging
from pathlib import Path

import torch
from torch import nn

from ...landmarks import load_networks
from ...landmarks.look import Look, look_at_bodies, look_at_faces, look_at_hands
from ...networks.torchscript import load_script
from ..data.squares import BODY, FACE, LEFT_HAND, RIGHT_HAND

logger = logging.getLogger(__name__)

# Of the Gaussians, in sides of the square: 5 % of it is a tenth of a hand.
SIGMA = 0.05
# What the network itself does not find in the true frame is no target.
SURE = 0.5


class KeypointLoss(nn.Module):
    """Mean error of the keypoint maps over the hands, bodies and faces looked at: 0 for equal frames, 1 for what is
    gone, up to 2 for what is somewhere else."""

    # It is a mean over things, whatever part of the picture counts.
    per_area = False

    def __init__(self):
        super().__init__()
        self.networks = load_networks(("hand", "body", "face"))

    def forward(self, generated: torch.Tensor, true: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
        """Error () of generated frames (n, 3, s, s) in 0..1 against the true ones.

        squares : (n, 4, 4), `data.squares` of the true frames; what has no square is left out.
        """
        errors, counted = generated.sum() * 0, 0
        for look_at, name, kinds in (
            (look_at_hands, "hand", (LEFT_HAND, RIGHT_HAND)),
            (look_at_bodies, "body", (BODY,)),
            (look_at_faces, "face", (FACE,)),
        ):
            chosen = squares[:, list(kinds)]
            owners = (chosen[..., 2] > 0).nonzero()[:, 0]
            if not len(owners):
                continue
            places = chosen[chosen[..., 2] > 0] * chosen.new_tensor([generated.shape[-1]] * 3 + [1])
            with torch.no_grad():
                target = look_at(self.networks[name], true[owners], places)
            seen = look_at(self.networks[name], generated[owners], places)
            sure = target.presence > SURE
            errors = errors + torch.where(sure, map_error(seen, target), 0.0).sum()
            counted += int(sure.sum())
        return errors / max(counted, 1)


def map_error(seen: Look, target: Look) -> torch.Tensor:
    """Squared difference (n,) of two sets of keypoint maps, integrated over the plane, in parts of the target's own."""
    apart = (seen.points - target.points).square().sum(-1)
    shared = torch.exp(-apart / (4 * SIGMA**2)).mean(-1)
    ratio = seen.presence / target.presence
    return ratio**2 + 1 - 2 * ratio * shared


class MapError(nn.Module):
    """The same for someone else's network from pictures (n, 3, H, W) to keypoint maps (n, k, h, w)."""

    per_area = True

    def __init__(self, maps: nn.Module):
        super().__init__()
        self.maps = maps

    def forward(self, generated: torch.Tensor, true: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
        return (self.maps(generated) - self.maps(true).detach()).square().mean()


def build_keypoints(path: str | Path | None) -> nn.Module:
    """The frozen L_pose: by the pack's landmark networks, or by the TorchScript network of a file.

    Raises
    ------
    ValueError : the file is missing or is another network.
    """
    if path is None:
        return KeypointLoss()
    logger.info("L_pose: maps by %s", path)
    return MapError(load_script(Path(path), 1, "a network from pictures (n, 3, H, W) to keypoint maps (n, k, h, w)"))
