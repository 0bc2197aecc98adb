"""The small model's latents: python -m drawn_world.train_latents WORLD OUT.safetensors.

The encoder is the principal components of 8 x 8 blocks of the world's frames, which needs no training; a decoder of
TAESD's architecture learns to turn them back. A stopped run goes on when started again: its state lies next to OUT, its
progress in OUT.progress.jsonl. `--measure HELD_OUT` says how many of the true hands survive.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from echomimic_core.config import LATENT_SCALE, SMALL
from echomimic_core.files.checkpoints import write_tensors
from echomimic_core.files.durable import Draft
from echomimic_core.networks.block_vae import BlockVAE, weights_of
from echomimic_core.networks.frozen_vae import load_vae
from echomimic_core.training.data.shards import SEMI_BODY, Clip, read_manifest
from echomimic_core.training.loss.perceptual import MultiScaleGradientSSIM

from .found import find_true_hands

BLOCK, WIDTH = 8, 32
CROP, BATCH = 64, 8
LEARNING_RATE, WARMUP = 2e-3, 100
# Latents are disturbed so much while the decoder learns, in parts of their spread: it then forgives a denoiser.
NOISE = 0.1
# So many crops lie around a hand, the mouth or an eye: where the little things are.
DETAIL_SHARE = 0.7
# Frames for the components; blocks of details count so often more.
FRAMES, DETAIL_WEIGHT = 160, 3
# The spread of the latents inside the VAE: TAESD clamps at 3.
SPREAD = 0.5


def random_frame(clips: list[Clip], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A frame (s, s, 3) uint8 of a whole person, and the points (4, 2) of its details: hands, mouth, an eye."""
    clip = clips[rng.integers(len(clips))]
    index = int(rng.integers(len(clip)))
    pose = clip.pose().take(np.array([index]))
    eye = pose.faces[0, 36:42] if rng.random() < 0.5 else pose.faces[0, 42:48]
    return clip.frames([index])[0], np.stack([*pose.hands[0].mean(1), pose.faces[0, 48:].mean(0), eye.mean(0)])


def corner_of(point: np.ndarray, size: int, jitter: np.ndarray | int = 0) -> np.ndarray:
    """Left and top of a crop around a point, at the edges of blocks."""
    return (point * size - CROP / 2 + jitter).clip(0, size - CROP).astype(int) // BLOCK * BLOCK


def blocks_of(pictures: torch.Tensor) -> torch.Tensor:
    """(n, 3, H, W) as rows (m, 192) of blocks."""
    return F.unfold(pictures, BLOCK, stride=BLOCK).transpose(1, 2).flatten(0, 1)


def components(clips: list[Clip], rng: np.random.Generator, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (channels, 3, 8, 8) and bias (channels,) of the encoder: unit spread where it is largest."""
    whole, details = [], []
    for _ in range(FRAMES):
        frame, points = random_frame(clips, rng)
        picture = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
        whole.append(blocks_of(picture[None]))
        for left, top in (corner_of(point, frame.shape[0]) for point in points):
            details.append(blocks_of(picture[None, :, top : top + CROP, left : left + CROP]))
    whole, details = torch.cat(whole).double(), torch.cat(details).double()
    weights = torch.cat([torch.ones(len(whole)), torch.full((len(details),), float(DETAIL_WEIGHT))]).double()
    rows = torch.cat([whole, details])
    mean = (rows * weights[:, None]).sum(0) / weights.sum()
    covariance = ((rows - mean) * weights[:, None]).T @ (rows - mean) / weights.sum()
    basis = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :channels]
    # The sign of a component is anybody's choice: its sum is positive
    basis = basis * torch.where(basis.sum(0) < 0, -1.0, 1.0)
    spread = torch.maximum(((whole - mean) @ basis).std(0), ((details - mean) @ basis).std(0))
    weight = SPREAD * (basis / spread).T
    return weight.reshape(channels, 3, BLOCK, BLOCK).float(), (-weight @ mean).float()


def start(clips: list[Clip], channels: int, seed: int) -> BlockVAE:
    """The VAE with its encoder, and a decoder that begins with each block's mean colour."""
    torch.manual_seed(seed)
    # What the latents are scaled by elsewhere makes their spread 1
    vae = BlockVAE(channels, WIDTH, SPREAD * LATENT_SCALE)
    weight, bias = components(clips, np.random.default_rng(seed), channels)
    vae.block_encoder.weight.data, vae.block_encoder.bias.data = weight, bias
    vae.block_encoder.requires_grad_(False)
    # The mean colour of a block, by the latents: least squares of what the encoder does, which has orthogonal rows
    back = torch.linalg.pinv(weight.flatten(1).double()).float()
    colours = back.reshape(3, BLOCK * BLOCK, channels).mean(1)
    offset = -(colours @ bias)
    start_with_colours(vae.decoder, colours, offset)
    return vae


@torch.no_grad()
def start_with_colours(decoder: nn.Module, colours: torch.Tensor, offset: torch.Tensor) -> None:
    """Let three channels carry `colours` (3, channels) of the latents through, so that only sharpness is learned."""
    for block in (m for m in decoder.modules() if type(m).__name__ == "AutoencoderTinyBlock"):
        block.conv[4].weight.mul_(0.1), block.conv[4].bias.zero_()
    convolutions = [m for m in decoder.layers if isinstance(m, nn.Conv2d)]
    first, *others, last = convolutions
    first.weight[:3], first.bias[:3] = 0, offset
    first.weight[:3, :, 1, 1] = colours
    smooth = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16
    keep = torch.zeros(3, 3)
    keep[1, 1] = 1.0
    for convolution, kernel in (*((m, smooth) for m in others), (last, keep)):
        for colour in range(3):
            convolution.weight[colour] = 0
            convolution.weight[colour, colour] = kernel
            if convolution.bias is not None:
                convolution.bias[colour] = 0


def random_crops(clips: list[Clip], rng: np.random.Generator) -> torch.Tensor:
    """(BATCH, 3, CROP, CROP) in 0..1 of random frames, two of each."""
    pieces = []
    while len(pieces) < BATCH:
        frame, points = random_frame(clips, rng)
        size = frame.shape[0]
        for _ in range(2):
            detail = rng.random() < DETAIL_SHARE
            left, top = corner_of(points[rng.integers(4)] if detail else rng.random(2), size, rng.integers(-16, 17, 2))
            pieces.append(frame[top : top + CROP, left : left + CROP])
    return torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2) / 255


def loss(vae: BlockVAE, pictures: torch.Tensor, structure: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a batch in 0..1, and its PSNR in dB."""
    latents = vae.encode(pictures * 2 - 1).latents
    latents = latents + SPREAD * NOISE * torch.rand(len(latents), 1, 1, 1) * torch.randn_like(latents)
    made = vae.decode(latents.contiguous(memory_format=torch.channels_last)).sample / 2 + 0.5
    error = (made - pictures).abs().mean() + 2 * F.mse_loss(made, pictures) + 0.2 * structure(made, pictures).mean()
    return error, -10 * (made.detach() - pictures).square().mean().log10()


def rate(step: int, steps: int) -> float:
    # A plain number: it is kept in the state, which is read without numpy's classes.
    return LEARNING_RATE * min(1, (step + 1) / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-6


def train(world: Path, out: Path, steps: int, every: int, channels: int = SMALL.latent_channels, seed: int = 0) -> None:
    """Train on every whole person of the world; OUT is written every so many steps."""
    clips = [clip for clip in read_manifest(world) if clip.info.kind == SEMI_BODY]
    state_file, log = out.with_suffix(".state"), out.with_suffix(".progress.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        vae, step = BlockVAE(channels, WIDTH, SPREAD * LATENT_SCALE), state["step"]
        vae.load_state_dict(state["vae"])
        vae.block_encoder.requires_grad_(False)
    else:
        vae, step, state = start(clips, channels, seed), 0, None
    vae.decoder.to(memory_format=torch.channels_last)
    structure = MultiScaleGradientSSIM()
    optimizer = torch.optim.AdamW(vae.decoder.parameters(), LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    if state is not None:
        optimizer.load_state_dict(state["optimizer"])
    found = []
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        rng = np.random.default_rng([seed, step])
        torch.manual_seed(seed * 1_000_003 + step)
        total, psnr = loss(vae, random_crops(clips, rng), structure)
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(vae.decoder.parameters(), 1.0)
        optimizer.step()
        step += 1
        found.append((total.item(), psnr.item()))
        if step % every == 0 or step == steps:
            with Draft(state_file) as made:
                torch.save({"step": step, "vae": vae.state_dict(), "optimizer": optimizer.state_dict()}, made.part)
            write_tensors(out, weights_of(vae))
            means = np.mean(found, axis=0).round(4).tolist()
            with log.open("a") as file:
                file.write(json.dumps({"step": step, "steps": steps, "loss": means[0], "psnr": means[1]}) + "\n")
            found = []


@torch.no_grad()
def surviving(path: Path, held_out: Path, frames: int) -> dict[str, float]:
    """PSNR of decoded true frames, and the share of the hands found in those that is found again after decoding."""
    vae, clips = load_vae(path), [clip for clip in read_manifest(held_out) if clip.info.kind == SEMI_BODY]
    true, made, hands = [], [], []
    for number in range(frames):
        clip = clips[number % len(clips)]
        index = number * 7919 % len(clip)
        true.append(clip.frames([index])[0])
        picture = torch.from_numpy(true[-1]).permute(2, 0, 1)[None] / 255
        made.append((vae.decode(vae.encode(picture))[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
        hands.append(clip.pose().hands[index])
    true, made, hands = np.stack(true), np.stack(made), np.stack(hands)
    before, after = find_true_hands(true, hands), find_true_hands(made, hands)
    error = np.square(true.astype(float) - made).mean((1, 2, 3))
    return {
        "frames": frames,
        "psnr": round(float((10 * np.log10(255**2 / error)).mean()), 2),
        "hands_found_true": round(100 * before.share, 1),
        "hands_found_decoded": round(100 * after.share, 1),
        "hands_surviving": round(100 * float(after.found[before.found].mean()), 1),
        "hand_error_true": round(100 * before.error, 2),
        "hand_error_decoded": round(100 * after.error, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--every", type=int, default=100, help="steps between states that a stopped run goes on from")
    parser.add_argument("--measure", type=Path, metavar="HELD_OUT", help="only measure OUT, on clips of this folder")
    parser.add_argument("--frames", type=int, default=96, help="to measure on")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(surviving(given.out, given.measure, given.frames)))
    else:
        train(given.world, given.out, given.steps, given.every)


if __name__ == "__main__":
    main()
