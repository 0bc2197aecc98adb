"""What training starts from: nothing, SD 1.5 with AnimateDiff, the released files, or one of our one-file models."""

import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ...config import ModelConfig
from ...files.checkpoints import CheckpointError, TensorFile, find_released, open_one_file
from ...models.build import NETWORKS, build, config_of
from ..settings import Settings, SettingsError
from .networks import AUDIO, MOTION, SPATIAL, TrainingModel, part_of

logger = logging.getLogger(__name__)


def build_model(settings: Settings) -> TrainingModel:
    """The networks with the weights that `settings.init` names, in float32, in training mode.

    Raises
    ------
    SettingsError, CheckpointError : a file that is needed is not named, missing or of another model.
    """
    init = settings.init
    if init.source in ("released", "one_file"):
        networks = _from_files(settings)
    else:
        networks = _from_nothing(settings.model, settings.seed)
        if init.source == "sd15":
            _from_sd15(networks, _named(init.unet, "init.unet"), init.motion)
    return TrainingModel(networks).requires_grad_(True).train()


def with_start(settings: Settings) -> Settings:
    """Settings that name what the file training starts from decides: the networks' sizes, where it has other latents,
    and, unless one is asked for, the variant of the exports."""
    variant, config = settings.variant, settings.model
    if settings.init.source == "one_file":
        files = open_one_file(_named(settings.init.file, "init.file"))
        variant, found = settings.checkpoint.variant or files.variant, config_of(files)
        # Otherwise as they are: earlier runs, which may be resumed, noted them so
        config = found if found.latent_channels != config.latent_channels else config
    return replace(settings, model=config, checkpoint=replace(settings.checkpoint, variant=variant))


def _named(path: str | None, key: str) -> Path:
    if path is None:
        raise SettingsError(f"{key} is not set, but init.source needs it")
    return Path(path)


def _from_files(settings: Settings) -> dict[str, nn.Module]:
    init = settings.init
    if init.source == "released":
        files = find_released([_named(init.folder, "init.folder")], init.variant)
    else:
        files = open_one_file(_named(init.file, "init.file"))
    config = config_of(files)
    if config != settings.model:
        logger.info("the sizes of the networks are those of the files (%s)", config.block_out_channels)
    return {name: build(files, name, config, torch.float32) for name in NETWORKS}


def _from_nothing(config: ModelConfig, seed: int) -> dict[str, nn.Module]:
    """Fresh networks; audio, motion and pose begin as no change at all, so that the picture is learned first.

    Both U-Nets begin with the same weights, as they do from SD 1.5: like looks alike, which attention goes by.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = {name: network(config) for name, network in NETWORKS.items()}
    denoiser = networks["denoising_unet"].state_dict()
    shared = {name: denoiser[name] for name in networks["reference_unet"].state_dict() if name in denoiser}
    networks["reference_unet"].load_state_dict(shared, strict=False)
    nn.init.zeros_(networks["pose_encoder"].conv_out.weight)
    nn.init.zeros_(networks["pose_encoder"].conv_out.bias)
    for name, module in networks["denoising_unet"].named_modules():
        if name.endswith(("temporal_transformer.proj_out", "attn2.to_out.0")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return networks


@torch.no_grad()
def _from_sd15(networks: dict[str, nn.Module], unet: Path, motion: str | None) -> None:
    """Lay SD 1.5's U-Net over both backbones, and AnimateDiff's motion modules over the denoiser.

    Audio attention keeps its own start: SD's cross-attention listens to 768 channels of text.
    """
    weights = TensorFile(unet).state_dict()
    if "conv_in.weight" not in weights:
        raise CheckpointError(
            f"{unet} is not SD 1.5's U-Net in diffusers' layout: take unet/diffusion_pytorch_model.safetensors of "
            "stable-diffusion-v1-5 or sd-image-variations-diffusers"
        )
    for network in ("reference_unet", "denoising_unet"):
        for name, parameter in networks[network].named_parameters():
            if part_of(f"{network}.{name}") in (MOTION, AUDIO):
                continue
            _copy(parameter, weights, name, unet)
    if motion is None:
        logger.warning("init.motion is not set: motion modules start as identity, which takes long to train")
        return
    file = TensorFile(motion)
    found = {name[name.find("down_blocks") :] if "down_blocks" in name else name: name for name in file.names()}
    parameters = networks["denoising_unet"].named_parameters()
    wanted = {name: parameter for name, parameter in parameters if part_of(f"{SPATIAL}.{name}") == MOTION}
    filled = [name for name in wanted if name in found]
    if not filled:
        raise CheckpointError(
            f"{motion} contains no motion modules of AnimateDiff for SD 1.5 (such as mm_sd_v15_v2.ckpt)"
        )
    for name in filled:
        _copy(wanted[name], {name: file.tensor(found[name])}, name, Path(motion))
    if len(filled) < len(wanted):
        logger.warning(
            "%s filled %d of %d tensors of the motion modules; the others start as identity (version 1 of "
            "AnimateDiff has none in the middle: use mm_sd_v15_v2.ckpt)",
            motion,
            len(filled),
            len(wanted),
        )


def _copy(parameter: nn.Parameter, weights: dict[str, torch.Tensor], name: str, path: Path) -> None:
    if name not in weights:
        raise CheckpointError(f"{path} lacks {name}: it is not complete or belongs to another model")
    tensor = weights[name]
    if tensor.ndim != parameter.ndim and tensor.numel() == parameter.numel():
        # Projections are 1 x 1 convolutions in some files and linear layers in others
        tensor = tensor.reshape(parameter.shape)
    if tensor.shape != parameter.shape:
        raise CheckpointError(
            f"{path}: {name} has shape {tuple(tensor.shape)}, but {tuple(parameter.shape)} is needed. "
            "It belongs to another model, or 'model' is not 'released'."
        )
    parameter.copy_(tensor)
