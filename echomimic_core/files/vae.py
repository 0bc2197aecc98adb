"""Which files hold a VAE of SD 1.5's latents, and where sd-vae-ft-mse is found and can be had."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch

from ..config import LATENT_CHANNELS
from .checkpoints import FORMAT, VAE, files_below
from .names import VAE_DOWNLOAD, VAE_LAYERS, VAE_NAME, is_ft_mse, may_be_vae
from .tensor_file import CheckpointError, TensorFile

TAESD_WIDTH = 64
"""Channels between the layers of a TAESD, in ComfyUI always."""


class NoVAEError(CheckpointError):
    """There is no VAE of SD 1.5 at all."""


def is_vae(file: TensorFile, prefix: str = "", channels: int = LATENT_CHANNELS) -> bool:
    """Whether the names and shapes below a prefix are of a VAE with encoder, decoder and so many channels, SD 1.5's.

    SDXL's VAE cannot be told from SD 1.5's by them.
    """
    return any(
        prefix + encoder in file and prefix + decoder in file and file.shape(prefix + decoder)[1:2] == (channels,)
        for encoder, decoder in VAE_LAYERS
    )


def at_true_width(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a TAESD without channels that are zero throughout, so that it computes the same in less time.

    A network trained narrower than TAESD's 64 channels is stored with zeros in the others, so that every reader knows
    it. A channel that no layer of the encoder (or decoder) writes anything into is zero between all of them. Weights of
    other VAEs stay as they are.
    """
    result = dict(weights)
    for part, first in (("taesd_encoder.", 0), ("taesd_decoder.", 1)):
        names = [name for name in weights if name.startswith(part)]
        start = weights.get(f"{part}{first}.weight")
        if start is None or len(start) != TAESD_WIDTH or any(".pool." in name for name in names):
            continue
        width = TAESD_WIDTH
        written = [weights[name].reshape(width, -1) for name in names if weights[name].shape[:1] == (width,)]
        alive = torch.cat(written, dim=1).bool().any(dim=1)
        if alive.all() or not alive.any():
            continue
        for name in names:
            tensor = weights[name]
            if tensor.shape[:1] == (width,):
                tensor = tensor[alive]
            if tensor.ndim > 1 and tensor.shape[1] == width:
                tensor = tensor[:, alive]
            result[name] = tensor.contiguous()
    return result


def open_vae(path: str | Path) -> tuple[TensorFile, str]:
    """The VAE of a file and the prefix of its names: of a one-file model the one inside, else the file as it is."""
    file = TensorFile(path)
    return inside(path) if file.metadata.get("format") == FORMAT else (file, "")


def inside(path: str | Path) -> tuple[TensorFile, str]:
    """The VAE in a one-file model: its file and the prefix of its names.

    Raises
    ------
    CheckpointError : the file is gone or damaged, or what is inside is not a VAE of the model's latents.
    """
    file, prefix = TensorFile(path), f"{VAE}."
    channels = latent_channels_of(file)
    if not is_vae(file, prefix, channels):
        other = f", or use a Load VAE with {VAE_NAME}" if channels == LATENT_CHANNELS else ""
        raise CheckpointError(
            f"{path} has no VAE inside with an encoder and a decoder of {channels} latent channels: "
            f"download the file again{other}."
        )
    return file, prefix


def latent_channels_of(file: TensorFile) -> int:
    """Latent channels of a one-file model, as its metadata say; SD 1.5's four unless they say others."""
    try:
        return int(json.loads(file.metadata["config"])["latent_channels"])
    except (KeyError, ValueError, TypeError, RecursionError):
        return LATENT_CHANNELS


def find_vae(folders: Iterable[str | Path]) -> tuple[TensorFile, str]:
    """The VAE of SD 1.5 below some folders: sd-vae-ft-mse by its name, else the first with four latent channels.

    Raises
    ------
    NoVAEError : there is none, with where to get it. CheckpointError : sd-vae-ft-mse is damaged.
    """
    folders = [Path(folder) for folder in folders]
    names = {path: path.relative_to(folder).as_posix() for folder in folders for path in files_below([folder])}
    paths = [path for path, name in names.items() if may_be_vae(name)]
    for path in sorted(paths, key=lambda path: not is_ft_mse(names[path])):
        try:
            file = TensorFile(path)
        except CheckpointError:
            if is_ft_mse(names[path]):
                raise
            continue
        if is_vae(file):
            return file, ""
    raise NoVAEError(
        f"there is no VAE of Stable Diffusion 1.5 in {' or '.join(map(str, folders))}, and the model has none inside: "
        f"switch download_missing on in Load EchoMimicV2, or put {VAE_NAME} there, from {VAE_DOWNLOAD}, or connect a "
        "Load VAE instead."
    )
