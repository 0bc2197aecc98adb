"""The keypoint network of L_pose: heat maps of the 21 hand points, differentiable, small, trained on rendered hands.

`python -m echomimic_core.training.keypoints OUT.safetensors` trains one. Any TorchScript network that takes pictures
(n, 3, H, W) in 0..1 to maps (n, k, h, w) can take its place (`loss.keypoints`).
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...config import HAND_POINTS
from ...files.checkpoints import write_tensors
from ...networks.torchscript import load_script
from ...runtime import Progress
from .rendered_hands import render

logger = logging.getLogger(__name__)

FORMAT = "echomimicv2-hand-keypoints"
SHIPPED = Path(__file__).with_name("hand_keypoints.safetensors")
# Pictures are looked at with their longer side at most so long: a hand is 40 to 110 pixels then.
WORKING_SIZE = 384
STRIDE = 4
SPOT_SIGMA = 1.2
TRAINING_SIZE = 160


class HandKeypointNet(nn.Module):
    """Hourglass of convolutions: pictures (n, 3, H, W) in 0..1 -> heat maps (n, 21, h, w), h and w a quarter."""

    def __init__(self, width: int = 16, points: int = HAND_POINTS):
        super().__init__()
        self.stem = nn.Sequential(_conv(3, width, 2), _conv(width, width), _conv(width, 2 * width, 2))
        self.down1 = nn.Sequential(_conv(2 * width, 2 * width), _conv(2 * width, 2 * width))
        self.down2 = nn.Sequential(_conv(2 * width, 3 * width, 2), _conv(3 * width, 3 * width))
        self.down3 = nn.Sequential(
            _conv(3 * width, 4 * width, 2), _conv(4 * width, 4 * width), _conv(4 * width, 4 * width)
        )
        self.up2 = _conv(7 * width, 3 * width)
        self.up1 = _conv(5 * width, 3 * width)
        self.head = nn.Conv2d(3 * width, points, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        longer = max(pictures.shape[-2:])
        if longer > WORKING_SIZE:
            size = [max(1, round(side * WORKING_SIZE / longer)) for side in pictures.shape[-2:]]
            pictures = F.interpolate(pictures, size=size, mode="bilinear", antialias=True, align_corners=False)
        first = self.down1(self.stem(pictures * 2 - 1))
        second = self.down2(first)
        hidden = _grow(self.down3(second), second)
        hidden = _grow(self.up2(torch.cat([hidden, second], 1)), first)
        return torch.sigmoid(self.head(self.up1(torch.cat([hidden, first], 1))))


def _conv(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1), nn.GroupNorm(8, out), nn.SiLU())


def _grow(hidden: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(hidden, size=like.shape[-2:], mode="bilinear", align_corners=False)


def heat_maps(points: np.ndarray, size: int) -> np.ndarray:
    """Target maps (21, size / 4, size / 4): the largest of the hands' spots, points (hands, 21, 2) in pixels."""
    grid = (np.arange(size // STRIDE) + 0.5) * STRIDE
    dx = (grid[None, None] - points[..., 0, None]) / STRIDE
    dy = (grid[None, None] - points[..., 1, None]) / STRIDE
    spots = np.exp(-(dy[..., :, None] ** 2 + dx[..., None, :] ** 2) / (2 * SPOT_SIGMA**2))
    return spots.max(0).astype(np.float32)


def rendered_batch(rng: np.random.Generator, batch: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (batch, 3, size, size) and their maps (batch, 21, size / 4, size / 4); one in eight shows no hand."""
    pictures, maps = [], []
    for _ in range(batch):
        hands = int(rng.choice(3, p=(0.125, 0.5, 0.375)))
        picture, points = render(rng, size, hands)
        pictures.append(picture)
        maps.append(heat_maps(points, size) if hands else np.zeros((HAND_POINTS, size // STRIDE, size // STRIDE)))
    return (
        torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack(maps).astype(np.float32)),
    )


def train(steps: int = 2000, batch: int = 8, seed: int = 0, progress: Progress | None = None) -> HandKeypointNet:
    """Train the network on rendered hands; seeded."""
    torch.manual_seed(seed)
    network, rng = HandKeypointNet(), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        if progress is not None:
            progress(step, steps)
        pictures, maps = rendered_batch(rng, batch, TRAINING_SIZE)
        # Spots are rare: without the weight an empty map would be a good answer
        loss = ((network(pictures) - maps).square() * (1 + 20 * maps)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.requires_grad_(False).eval()


def save(network: HandKeypointNet, path: str | Path) -> None:
    """Write the network in float16; an existing file is not overwritten."""
    if Path(path).exists():
        raise ValueError(f"{path} exists and is not overwritten: choose another name or remove it")
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    write_tensors(path, tensors, {"format": FORMAT})


def build_keypoints(weights: str | Path | None) -> nn.Module | None:
    """The frozen network of L_pose from a file, by default the one that comes with the pack; None where it is absent.

    A file is one that `save` made, or a TorchScript network of any kind from pictures to maps.

    Raises
    ------
    ValueError : the file is missing or is another network.
    """
    from ...files.checkpoints import TensorFile
    from ...networks.local import is_torchscript

    if weights is None and not SHIPPED.exists():
        logger.warning(
            "L_pose is off: there is no keypoint network. Make one with python -m echomimic_core.training.keypoints "
            "OUT.safetensors and name it in loss.keypoints"
        )
        return None
    if weights is not None and Path(weights).is_file() and is_torchscript(Path(weights)):
        logger.info("L_pose: maps by %s", weights)
        return load_script(Path(weights), 1, "a network from pictures (n, 3, H, W) to keypoint maps (n, k, h, w)")
    file = TensorFile(weights or SHIPPED)
    network = HandKeypointNet()
    found = file.state_dict()
    if {n: t.shape for n, t in found.items()} != {n: t.shape for n, t in network.state_dict().items()}:
        raise ValueError(
            f"{file.path} is not a keypoint network of this pack: leave loss.keypoints empty, train one by "
            "python -m echomimic_core.training.keypoints, or give another as TorchScript"
        )
    network.load_state_dict({name: tensor.float() for name, tensor in found.items()})
    return network.requires_grad_(False).eval()


def main() -> None:
    from tqdm import tqdm

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="where to write the network (.safetensors)")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise SystemExit(f"{arguments.out} exists and is not overwritten: choose another name or remove it")
    if not arguments.out.resolve().parent.is_dir():
        raise SystemExit(f"there is no folder {arguments.out.resolve().parent}: create it first")
    bar = tqdm(total=arguments.steps, desc="rendered hands", unit="step")
    network = train(arguments.steps, arguments.batch, arguments.seed, lambda done, total: bar.update(done - bar.n))
    save(network, arguments.out)


if __name__ == "__main__":
    main()
