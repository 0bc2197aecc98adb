"""VAEs: how fast they decode, and what a change of latents does to the pictures that are seen."""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from .measure import Machine, best_time, psnr

DEMO = Path(__file__).resolve().parents[1] / "demo"
PICTURE = DEMO / "inputs" / "character.png"
FRAMES_AT_ONCE = 4  # As Decode To Video
LOOKED_AT = 8  # Frames of a clip that are decoded to compare it with another


def load_decoders(machine: Machine, files: list[Path]) -> dict:
    """VAEs by name: those of the files; else the demo's TAESD, and on a GPU one as large as SD 1.5's, for its time.

    Raises
    ------
    VAEError : diffusers is not there, or a file is no VAE.
    """
    from echomimic_core.networks.frozen_vae import load_vae

    if files:
        decoders = {path.name: load_vae(path) for path in files}
    else:
        decoders = {"TAESD of the demo": demo_taesd()}
        if machine.device.type != "cpu":
            decoders["SD 1.5's VAE, random weights"] = random_kl(machine)
    return {name: vae.to(machine.device, machine.dtype).eval() for name, vae in decoders.items()}


def demo_taesd():
    """The demo's stand-in of TAESD's architecture: as fast as a real one, its pictures the latents' colours."""
    from echomimic_core.networks.frozen_vae import FrozenVAE, taesd_of

    sys.path.append(str(DEMO))
    from tiny_models import tiny_vae

    # Not by its file: read from there it would lose the channels that are zero, and be faster
    return FrozenVAE(taesd_of({name: tensor.float() for name, tensor in tiny_vae().items()}), scale=1.0)


def random_kl(machine: Machine):
    """SD 1.5's VAE with random weights."""
    from diffusers import AutoencoderKL

    from echomimic_core.networks.frozen_vae import SD15, FrozenVAE

    from .shapes import fill_randomly

    with torch.device("meta"):
        network = AutoencoderKL(**SD15)
    return FrozenVAE(fill_randomly(network.to_empty(device=machine.device)))


def decode(vae, latents: torch.Tensor) -> torch.Tensor:
    """Pictures (n, 3, height, width) in 0..1, on the CPU, of scaled latents (n, 4, h, w), a few at a time."""
    dtype = next(vae.parameters()).dtype
    parts = [vae.decode(part.to(dtype)).float().clamp(0, 1).cpu() for part in latents.split(FRAMES_AT_ONCE)]
    return torch.cat(parts)


def pictures_of(vae, latents: torch.Tensor) -> torch.Tensor:
    """Some frames of a clip, evenly chosen, decoded."""
    return decode(vae, latents[:: -(-len(latents) // LOOKED_AT)])


def decode_rows(settings, rate: float) -> Iterator[dict]:
    """Frames per second of every VAE, and how far its picture of a photo is from the first's."""
    machine = settings.machine
    if not settings.decoders:
        yield {"name": "decoding", "note": "needs diffusers: pip install -r requirements-training.txt"}
    for pixels in settings.pixels:
        latents = torch.randn(FRAMES_AT_ONCE, 4, pixels // 8, pixels // 8, device=machine.device)
        for name, vae in settings.decoders.items():
            machine.reset_peak()
            seconds = best_time(lambda vae=vae, latents=latents: decode(vae, latents), machine, settings.repeat).seconds
            yield {
                "name": f"{name} decodes {pixels}x{pixels}",
                "seconds": seconds,
                "frames_per_second": FRAMES_AT_ONCE / seconds,
                "peak_gib": machine.peak_gib(),
            }
    if settings.vae_files and len(settings.decoders) > 1:
        first, *others = settings.decoders
        latents = encode_photo(settings.decoders[first], max(settings.pixels), machine)
        exact = decode(settings.decoders[first], latents)
        for name in others:
            pictures = decode(settings.decoders[name], latents)
            yield {"name": f"{name} beside {first}, a photo", "psnr_frames": psnr(pictures, exact)}


def encode_photo(vae, pixels: int, machine: Machine) -> torch.Tensor:
    import numpy as np
    from PIL import Image

    photo = np.asarray(Image.open(PICTURE).convert("RGB").resize((pixels, pixels)), np.float32) / 255
    return vae.encode(torch.from_numpy(photo).permute(2, 0, 1)[None].to(machine.device, machine.dtype))
