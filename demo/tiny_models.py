"""Small stand-ins for the real weights, made from a seed: they prove the way through, not the picture.

python tiny_models.py MODELS_FOLDER, by a Python that has torch: writes echomimic/tiny.safetensors (denoiser, pose
encoder, reference U-Net and audio encoder with random weights) and vae/tiny_vae.safetensors.
"""

import sys
from pathlib import Path

import torch

SEED = 20241115
MODEL_NAME = "tiny.safetensors"
VAE_NAME = "tiny_vae.safetensors"

CHANNELS = 64
LATENT_GAIN = 4.0  # latent = gain * (colour - 0.5): about the spread of real SD 1.5 latents
DECODER_GAIN = 3.5  # Less, since the decoder begins with 3 * tanh(latent / 3)
SD15_SCALE = 0.18215


def tiny_vae() -> dict[str, torch.Tensor]:
    """State dict of a VAE in TAESD's architecture whose latents are the picture's colours at an eighth of its size.

    Nothing is trained: three of the 64 channels carry red, green and blue through, every residual block adds nothing.
    A picture comes back blurred, in its own colours.
    """
    colours = range(3)
    state = {"vae_scale": torch.tensor(SD15_SCALE), "vae_shift": torch.tensor(0.0)}

    def convolution(name, inputs, outputs, kernel=None, gain=1.0, bias=None):
        weight = torch.zeros(outputs, inputs, 3, 3)
        if kernel is not None:
            for colour in colours:
                weight[colour, colour] = gain * kernel
        state[name + ".weight"] = weight.half()
        if bias is not None:
            state[name + ".bias"] = torch.zeros(outputs).half()
            state[name + ".bias"][:3] = bias

    def block(name):
        for layer in (0, 2, 4):
            convolution(f"{name}.conv.{layer}", CHANNELS, CHANNELS, bias=0.0)

    keep = torch.zeros(3, 3)
    keep[1, 1] = 1.0
    halve = torch.zeros(3, 3)
    halve[1:, 1:] = 0.25
    smooth = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16

    convolution("taesd_encoder.0", 3, CHANNELS, keep, bias=0.0)
    for index in (2, 6, 10):
        convolution(f"taesd_encoder.{index}", CHANNELS, CHANNELS, halve)
    for index in (1, 3, 4, 5, 7, 8, 9, 11, 12, 13):
        block(f"taesd_encoder.{index}")
    convolution("taesd_encoder.14", CHANNELS, 4, keep, gain=LATENT_GAIN, bias=-LATENT_GAIN / 2)

    convolution("taesd_decoder.1", 4, CHANNELS, keep, gain=1 / DECODER_GAIN, bias=0.5)
    for index in (7, 12, 17):
        convolution(f"taesd_decoder.{index}", CHANNELS, CHANNELS, smooth)
    for index in (3, 4, 5, 8, 9, 10, 13, 14, 15, 18):
        block(f"taesd_decoder.{index}")
    convolution("taesd_decoder.19", CHANNELS, 3, keep, bias=0.0)
    return state


def write(models: Path) -> None:
    """Write both files into ComfyUI's models folder, unless they are there."""
    from safetensors.torch import save_file

    from echomimic_core.models.build import write_tiny_model

    model, vae = models / "echomimic" / MODEL_NAME, models / "vae" / VAE_NAME
    for path in (model, vae):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not model.exists():
        write_tiny_model(model, SEED)
    if not vae.exists():
        save_file(tiny_vae(), vae)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    write(Path(sys.argv[1]))
