"""Train a VAE of TAESD's architecture on the drawn world: python -m drawn_world.train_vae WORLD OUT.safetensors.

The network is trained narrow, which costs a fraction, and saved 64 channels wide with zeros, as ComfyUI's loader wants
it: both compute the same. `narrow_vae` cuts it down again for training.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from echomimic_core.config import LATENT_SCALE
from echomimic_core.files.checkpoints import write_tensors
from echomimic_core.training.data.shards import SEMI_BODY, Clip, read_manifest
from echomimic_core.training.loss.perceptual import MultiScaleGradientSSIM

logger = logging.getLogger(__name__)

WIDTH = 32
TAESD_WIDTH = 64
CROP, BATCH = 64, 16
LEARNING_RATE = 1.5e-3
# Latents are disturbed so much while the decoder learns: it then forgives a denoiser its errors.
LATENT_NOISE = 0.1
# Half of the crops lie around the mouth or a hand: where the little things are.
DETAIL_SHARE = 0.5


def build(width: int = WIDTH) -> nn.Module:
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(encoder_block_out_channels=(width,) * 4, decoder_block_out_channels=(width,) * 4)


@torch.no_grad()
def start_with_colours(vae: nn.Module) -> None:
    """Let three channels carry the picture's colours through from the start, as latents 4 (colour - 0.5).

    What is learned is then only what lies between the blurred picture and the sharp one; from chance, colours take
    longest. The last convolution of every residual block begins small.
    """
    colours = range(3)
    for block in (m for m in vae.modules() if type(m).__name__ == "AutoencoderTinyBlock"):
        block.conv[4].weight.mul_(0.1), block.conv[4].bias.zero_()
    encoder = [m for m in vae.encoder.layers if isinstance(m, nn.Conv2d)]
    decoder = [m for m in vae.decoder.layers if isinstance(m, nn.Conv2d)]
    small, keep, halve = torch.zeros(3, 3), torch.zeros(3, 3), torch.zeros(3, 3)
    keep[1, 1] = 1.0
    halve[1:, 1:] = 0.25
    smooth = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16
    plan = [(encoder[0], keep, 1.0, 0.0), *((m, halve, 1.0, 0.0) for m in encoder[1:-1])]
    plan += [(encoder[-1], keep, 4.0, -2.0), (decoder[0], keep, 1 / 3.5, 0.5)]
    plan += [*((m, smooth, 1.0, 0.0) for m in decoder[1:-1]), (decoder[-1], keep, 1.0, 0.0)]
    for convolution, kernel, gain, bias in plan:
        for colour in colours:
            convolution.weight[colour] = small
            convolution.weight[colour, colour] = gain * kernel
            if convolution.bias is not None:
                convolution.bias[colour] = bias


def random_crops(clips: list[Clip], rng: np.random.Generator, count: int) -> torch.Tensor:
    """Pieces (count, 3, CROP, CROP) in 0..1 of random frames, many around a mouth or a hand; two of each frame."""
    pieces = []
    while len(pieces) < count:
        clip = clips[rng.integers(len(clips))]
        index = int(rng.integers(len(clip)))
        frame, size = clip.frames([index])[0], clip.info.size
        for _ in range(2):
            corner = rng.integers(0, size - CROP + 1, 2)
            if rng.random() < DETAIL_SHARE and clip.info.kind == SEMI_BODY:
                pose = clip.pose().take(np.array([index]))
                point = (pose.faces[0, 48:].mean(0), *pose.hands[0].mean(1))[rng.integers(3)]
                corner = (point * size - CROP / 2 + rng.integers(-8, 9, 2)).clip(0, size - CROP).astype(int)
            left, top = corner
            pieces.append(frame[top : top + CROP, left : left + CROP])
    return torch.from_numpy(np.stack(pieces[:count])).permute(0, 3, 1, 2) / 255


def loss(vae: nn.Module, pictures: torch.Tensor, structure: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a batch in 0..1, and its PSNR in dB."""
    with torch.autocast(pictures.device.type, torch.bfloat16):
        latents = vae.encode(pictures * 2 - 1).latents
        made = vae.decode(latents + LATENT_NOISE * torch.randn_like(latents)).sample
    latents, made = latents.float(), made.float() / 2 + 0.5
    # About unit latents, as a denoiser expects; decoders clamp at 3
    spread = latents.mean((0, 2, 3)).square().mean() + (latents.std((0, 2, 3)) - 1).square().mean()
    # Colours of whole cells count by themselves: an edge is soon learned, a hue is not
    cells = (F.avg_pool2d(made, 8) - F.avg_pool2d(pictures, 8)).abs().mean()
    error = (made - pictures).abs().mean() + cells + 2 * F.mse_loss(made, pictures)
    error = error + 0.2 * structure(made, pictures).mean()
    return error + 0.02 * spread, -10 * (made.detach() - pictures).square().mean((1, 2, 3)).log10().mean()


def train(world: Path, steps: int, seed: int = 0, device: str = "cpu") -> nn.Module:
    """Train on every clip of the folders for so many steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    clips = read_manifest(world)
    vae = build()
    start_with_colours(vae)
    vae = vae.to(device, memory_format=torch.channels_last).train()
    structure = MultiScaleGradientSSIM()
    optimizer = torch.optim.AdamW(vae.parameters(), LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.05)
    for step in range(steps):
        pictures = random_crops(clips, rng, BATCH).to(device, memory_format=torch.channels_last)
        total, psnr = loss(vae, pictures, structure)
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99 or step == steps - 1:
            logger.info("step %d of %d: loss %.4f, %.1f dB", step + 1, steps, total.item(), psnr.item())
    return vae.eval().to("cpu", memory_format=torch.contiguous_format)


def widen(vae: nn.Module, width: int = TAESD_WIDTH) -> dict[str, torch.Tensor]:
    """TAESD's state dict in ComfyUI's names, float16; channels beyond the trained ones are zero."""
    state = {"vae_scale": torch.tensor(LATENT_SCALE), "vae_shift": torch.tensor(0.0)}
    target = build(width).state_dict()
    for name, tensor in vae.state_dict().items():
        whole = torch.zeros_like(target[name])
        whole[tuple(slice(n) for n in tensor.shape)] = tensor
        part, _, index, rest = name.split(".", 3)
        # ComfyUI's decoder begins with a clamp that diffusers has outside of its list
        state[f"taesd_{part}.{int(index) + (part == 'decoder')}.{rest}"] = whole.half()
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    vae = train(given.world, given.steps, device=given.device)
    # The narrow one for training, the wide one for ComfyUI
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(given.out.with_name(f"{given.out.stem}_narrow.safetensors"), vae.state_dict())
    write_tensors(given.out, widen(vae))


if __name__ == "__main__":
    main()
