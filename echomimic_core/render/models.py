"""The networks of a model, loaded once for many clips."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..config import VARIANTS, Variant
from ..files.checkpoints import AUDIO_ENCODER, CheckpointError, ModelFiles, find_released, open_one_file
from ..files.names import is_hidden
from ..files.tensor_file import TensorFile
from ..models.audio_encoder import AudioEncoder, build_audio_encoder
from ..models.build import NETWORKS, build, config_of
from ..networks.frozen_vae import FrozenVAE, load_vae
from ..sampling.denoiser import ClipDenoiser
from ..sampling.team import Team

# Of each file of a model so many pieces are compared: a few MB of weights tell one training from another.
SAMPLES, SAMPLE_BYTES = 64, 2**16


@dataclass(frozen=True)
class Models:
    """Everything that a clip needs, on one device.

    Attributes
    ----------
    size : side of the pictures that the model was trained on.
    name : tells this model's files from others, see `name_of`.
    team : processes that make the same clips, of which only the leading one decodes them; None for this one alone.
    """

    denoiser: ClipDenoiser
    reference_unet: nn.Module
    audio_encoder: AudioEncoder
    vae: FrozenVAE
    variant: Variant
    size: int
    device: torch.device
    name: str = ""
    team: Team | None = None

    @property
    def leads(self) -> bool:
        """Whether this process decodes and writes what is sampled."""
        return self.team is None or self.team.leads


def load_models(
    model: str | Path,
    vae: str | Path | None = None,
    audio_encoder: str | Path | None = None,
    variant: str = "standard",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Models:
    """Load a model from its files.

    Parameters
    ----------
    model : a one-file model, or a folder with the released weights, of which `variant` chooses the set.
    vae, audio_encoder : files of sd-vae-ft-mse (or a TAESD) and of Whisper tiny; by default those inside the model.
    device : "cuda" where there is one, else "cpu".
    dtype : of the networks; float16 on a graphics card, float32 on the processor.

    Raises
    ------
    ValueError : a file is missing, damaged or another model's.
    """
    files = open_model(model, variant)
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = dtype or (torch.float32 if device.type == "cpu" else torch.float16)
    config = config_of(files)
    networks = {name: build(files, name, config, dtype).to(device) for name in NETWORKS}
    return Models(
        ClipDenoiser(networks["denoising_unet"], networks["pose_encoder"]),
        networks["reference_unet"],
        build_audio_encoder(_audio_weights(files, audio_encoder), torch.float32, config.audio_dim).to(device),
        load_vae(vae or files.vae_file()).to(device),
        VARIANTS[files.variant],
        files.size,
        device,
        name_of(model, vae, audio_encoder),
    )


def open_model(model: str | Path, variant: str) -> ModelFiles:
    """The files of a one-file model, or of a variant in a folder of released weights; ValueError as `load_models`."""
    model = Path(model)
    return find_released([model], variant) if model.is_dir() else open_one_file(model)


def name_of(*paths: str | Path | None) -> str:
    """What tells files, or folders of files, from others, on every machine: a hash of their sizes and samples of each.

    Raises
    ------
    OSError : a file cannot be read.
    """
    digest = hashlib.sha256()
    given = [Path(path) for path in paths if path is not None]
    for file in (file for path in given for file in (sorted(path.rglob("*")) if path.is_dir() else [path])):
        if file.is_file() and not is_hidden(file.name):
            size = file.stat().st_size
            digest.update(f"{size};".encode())
            with open(file, "rb") as opened:
                for place in range(0, size, max(size // SAMPLES, SAMPLE_BYTES)):
                    opened.seek(place)
                    digest.update(opened.read(SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _audio_weights(files, path: str | Path | None) -> dict[str, torch.Tensor]:
    if path is not None:
        return TensorFile(path).state_dict()
    if AUDIO_ENCODER not in files.networks:
        raise CheckpointError("this model has no audio encoder inside: give the file of Whisper tiny")
    file, prefix = files.networks[AUDIO_ENCODER][0]
    return file.state_dict(prefix)
