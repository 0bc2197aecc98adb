"""Which files hold a VAE of SD 1.5's latents, and where sd-vae-ft-mse is found and can be had."""

from collections.abc import Iterable
from pathlib import Path

from ..config import LATENT_CHANNELS
from .checkpoints import FORMAT, VAE, files_below
from .names import VAE_DOWNLOAD, VAE_LAYERS, VAE_NAME, is_ft_mse, may_be_vae
from .tensor_file import CheckpointError, TensorFile


class NoVAEError(CheckpointError):
    """There is no VAE of SD 1.5 at all."""


def is_sd15(file: TensorFile, prefix: str = "") -> bool:
    """Whether the names and shapes below a prefix are of a VAE with encoder, decoder and SD 1.5's four channels.

    SDXL's VAE cannot be told from SD 1.5's by them.
    """
    return any(
        prefix + encoder in file
        and prefix + decoder in file
        and file.shape(prefix + decoder)[1:2] == (LATENT_CHANNELS,)
        for encoder, decoder in VAE_LAYERS
    )


def open_vae(path: str | Path) -> tuple[TensorFile, str]:
    """The VAE of a file and the prefix of its names: of a one-file model the one inside, else the file as it is."""
    file = TensorFile(path)
    return inside(path) if file.metadata.get("format") == FORMAT else (file, "")


def inside(path: str | Path) -> tuple[TensorFile, str]:
    """The VAE in a one-file model: its file and the prefix of its names.

    Raises
    ------
    CheckpointError : the file is gone or damaged, or what is inside is not a VAE of SD 1.5's kind.
    """
    file, prefix = TensorFile(path), f"{VAE}."
    if not is_sd15(file, prefix):
        raise CheckpointError(
            f"{path} has no VAE inside with an encoder and a decoder of {LATENT_CHANNELS} latent channels: "
            f"download the file again, or use a Load VAE with {VAE_NAME}."
        )
    return file, prefix


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
        if is_sd15(file):
            return file, ""
    raise NoVAEError(
        f"there is no VAE of Stable Diffusion 1.5 in {' or '.join(map(str, folders))}, and the model has none inside: "
        f"switch download_missing on in Load EchoMimicV2, or put {VAE_NAME} there, from {VAE_DOWNLOAD}, or connect a "
        "Load VAE instead."
    )
