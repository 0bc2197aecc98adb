"""Our U-Net with the original's weights: python -m benchmarks.beside.ours DEVICE DTYPE."""

import sys

import torch

from benchmarks.beside.window import GUIDANCE, TIMESTEP, block_names, fill, inputs, serve
from echomimic_core.config import AUDIO_DIM, AUDIO_STATES, CONTEXT_FRAMES, RELEASED
from echomimic_core.models.denoising_unet import DenoisingUNet
from echomimic_core.models.reference_unet import ReferenceFeatures
from echomimic_core.sampling.clip import ClipConditions
from echomimic_core.sampling.denoiser import ClipDenoiser, Halves


class Heard:
    """Audio tokens (frames, 50, 384) that no two frames share, where a clip has its sound."""

    strength = 1.0

    def __init__(self, tokens: torch.Tensor):
        self.features = tokens.reshape(-1, AUDIO_STATES, AUDIO_DIM)
        self._frames, self._each = len(tokens), len(self.features) // len(tokens)

    def __len__(self) -> int:
        return self._frames

    def positions(self, frames: list[int]) -> torch.Tensor:
        return torch.tensor(frames)[:, None] * self._each + torch.arange(self._each)


class Posed(torch.nn.Module):
    """Features that are given in the place of the encoder's: both sides compute them once a clip."""

    features: torch.Tensor | None = None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.features


def main(device: str, dtype: str) -> None:
    kind = getattr(torch, dtype)
    with torch.device("meta"):
        unet = DenoisingUNet(RELEASED, dtype=kind)
    unet = fill(unet.to_empty(device=device), device, kind)
    names = {module: name for name, module in unet.named_modules()}
    order = [names[block] for block in unet.transformer_blocks()]
    if order != block_names():
        raise ValueError(f"the blocks are {order}, but those of the original are {block_names()}")

    def prepare(pixels: int):
        given, posed, cells = inputs(pixels, device, kind), Posed(), pixels // 8
        posed.features = given["pose"]
        denoiser = ClipDenoiser(unet, posed)
        maps = torch.zeros(CONTEXT_FRAMES, 3, pixels, pixels, dtype=torch.uint8)
        reference = ReferenceFeatures([given["tokens"][name] for name in order], cells, cells)
        conditions = ClipConditions(reference, Heard(given["audio"]), lambda wanted: maps[wanted])
        clip = denoiser.prepare(conditions, torch.device(device), kind)

        def run() -> torch.Tensor:
            halves = Halves(clip, True, GUIDANCE)
            return denoiser.predict(given["latents"], float(TIMESTEP), [list(range(CONTEXT_FRAMES))], halves)[0]

        return run

    serve("ours", device, prepare)


if __name__ == "__main__":
    main(*sys.argv[1:])
