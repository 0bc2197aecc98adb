"""From files to networks: sizes are read from a file, layers built on the meta device and filled one by one.

Loading needs the final model, at most the pages of one file, and one tensor more.
"""

import json
import reprlib
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import nn

from ..config import RELEASED, TINY, ModelConfig
from ..files.checkpoints import AUDIO_ENCODER, NETWORK_NAMES, ModelFiles, save_one_file, storage_dtype
from ..files.names import DOWNLOAD
from ..files.tensor_file import CheckpointError, TensorFile
from ..runtime import TorchOperations
from .denoising_unet import DenoisingUNet
from .pose_encoder import PoseEncoder
from .reference_unet import ReferenceUNet

NETWORKS = dict(zip(NETWORK_NAMES, (DenoisingUNet, PoseEncoder, ReferenceUNet), strict=True))


# What the sizes in the metadata of a one-file model may be.
LEVELS, MOST_CHANNELS, MOST_LAYERS = 4, 8192, 8


def fill(
    network: nn.Module,
    weights: Iterable[tuple[str, torch.Tensor]],
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    what: str = "weights",
) -> nn.Module:
    """Put weights into a network built on the meta device, one by one; frozen and in evaluation mode afterwards.

    Parameters
    ----------
    weights : (name, tensor) pairs; `.pe` position tables are skipped, the network makes its own.
    dtype : of the weights in memory; None keeps that of the file. In float8 only matrices inside the network are
        stored so: vectors and the first and last convolution keep float16, which costs next to nothing.

    Raises
    ------
    CheckpointError : parameters missing, left over or of the wrong shape.
    """
    owners = {name: module for name, module in network.named_modules()}
    missing = {name: parameter.shape for name, parameter in network.named_parameters()}
    expected = len(missing)
    foreign = []
    for name, tensor in weights:
        if name.endswith(".pe"):
            continue
        if name not in missing:
            foreign.append(name)
            continue
        shape = missing.pop(name)
        if tensor.shape != shape:
            raise CheckpointError(
                f"{what}: {name} has shape {tuple(tensor.shape)}, but this network needs {tuple(shape)}. "
                "It belongs to another model."
            )
        owner, _, leaf = name.rpartition(".")
        if not tensor.is_floating_point():
            raise CheckpointError(f"{what}: {name} holds {tensor.dtype} instead of floating-point numbers.")
        # A copy, so that nothing points into the file any more: it may be replaced or deleted
        stored = tensor.to(device=device, dtype=storage_dtype(name, tensor, dtype), copy=True).contiguous()
        setattr(owners[owner], leaf, nn.Parameter(stored, requires_grad=False))
    if missing:
        raise CheckpointError(
            f"{what}: {len(missing)} of {expected} parameters are missing (first: {next(iter(missing))}). "
            "The file is not complete or belongs to another model."
        )
    if foreign:
        raise CheckpointError(
            f"{what}: {len(foreign)} parameters do not belong to this network (first: {foreign[0]}). "
            "The file belongs to another model."
        )
    return network.eval()


def build(
    files: ModelFiles, network: str, config: ModelConfig, dtype: torch.dtype | None = None, operations=TorchOperations
) -> nn.Module:
    """Build one of `NETWORKS` from a model's files.

    A motion module file, given last, overrides motion modules inside the denoiser's.
    """
    what = network.replace("_", " ")
    if network not in files.networks:
        path = files.networks["denoising_unet"][0][0].path
        raise CheckpointError(f"{path} has no {what} inside")
    with torch.device("meta"):
        module = NETWORKS[network](config, operations=operations)
    sources: dict[str, tuple[TensorFile, str]] = {}
    for file, prefix in files.networks[network]:
        sources.update({name[len(prefix) :]: (file, name) for name in file.names() if name.startswith(prefix)})
    names = " and ".join(dict.fromkeys(file.path.name for file, _ in files.networks[network]))
    weights = ((name, file.tensor(key)) for name, (file, key) in sources.items())
    return fill(module, weights, dtype, what=f"{names} ({what})")


def config_of(files: ModelFiles) -> ModelConfig:
    """Sizes of a model's networks, from metadata where its file has them, else from the shapes of its tensors."""
    (denoiser, unet), (pose, prefix) = files.networks["denoising_unet"][0], files.networks["pose_encoder"][0]
    return read_config(denoiser, pose, (unet, prefix))


def read_config(denoiser: TensorFile, pose_encoder: TensorFile, prefixes: tuple[str, str] = ("", "")) -> ModelConfig:
    """Sizes of the networks, from metadata where the file has them, else from the shapes of its tensors."""
    if "config" in denoiser.metadata:
        return _config_of(denoiser)
    unet, pose = prefixes
    try:
        levels = [denoiser.shape(f"{unet}down_blocks.{level}.resnets.0.conv1.weight")[0] for level in range(4)]
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{denoiser.path} is not a denoising U-Net of EchoMimicV2: it has no parameter {error}. "
            f"Get the right file from {DOWNLOAD}."
        ) from error
    try:
        first = pose_encoder.shape(f"{pose}conv_in.weight")[0]
        wider = [pose_encoder.shape(f"{pose}blocks.{index}.weight")[0] for index in (1, 3, 5)]
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{pose_encoder.path} is not the pose encoder of EchoMimicV2: it has no parameter {error}. "
            f"Get the right file from {DOWNLOAD}."
        ) from error
    sizes = {"block_out_channels": levels, "pose_block_channels": [first, *wider]}
    return _buildable(sizes, f"{denoiser.path}: the sizes of its parameters", f"Get the right file from {DOWNLOAD}.")


def _config_of(file: TensorFile) -> ModelConfig:
    remedy = "Save it again with Save Model."
    try:
        sizes = json.loads(file.metadata["config"])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file.path}: the sizes in its metadata make no model. {remedy}") from error
    return _buildable(sizes, f"{file.path}: the sizes in its metadata", remedy)


def _buildable(sizes, what: str, remedy: str) -> ModelConfig:
    try:
        _check_sizes(sizes)
        config = ModelConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in sizes.items()})
        with torch.device("meta"):
            DenoisingUNet(config), PoseEncoder(config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{what} make no model ({error}). {remedy}") from error
    return config


def _check_sizes(sizes) -> None:
    """ValueError unless the sizes of a model, as JSON has them, are whole numbers in bounds, four for four levels."""
    if not isinstance(sizes, dict) or not set(sizes) <= {field.name for field in fields(ModelConfig)}:
        raise ValueError("they are not those of this pack")
    for key, default in asdict(RELEASED).items():
        value = sizes.get(key, default)
        if key == "output":
            continue  # ModelConfig looks at it
        numbers = value if isinstance(value, list | tuple) else [value]
        if len(numbers) != (LEVELS if isinstance(default, tuple) else 1):
            raise ValueError(f"{key} is {reprlib.repr(value)}, but there are exactly {LEVELS} levels")
        most = MOST_LAYERS if key == "layers_per_block" else MOST_CHANNELS
        if not all(type(number) is int and 1 <= number <= most for number in numbers):
            raise ValueError(f"{key} is {reprlib.repr(value)}, but 1 to {most} is possible")


def random_state_dict(network: nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Seeded weights for a network built on the meta device: fan-in scaled, gains 1, biases 0."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            weights[name] = torch.zeros(parameter.shape) if name.endswith("bias") else torch.ones(parameter.shape)
        else:
            fan_in = parameter[0].numel()
            weights[name] = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
    return weights


def write_tiny_model(path: str | Path, seed: int = 0, config: ModelConfig = TINY, variant: str = "accelerated") -> Path:
    """Write a one-file model with random weights, but no VAE: for tests and demos where no trained ones can be had."""
    from ..models.audio_encoder import AudioEncoder

    networks = {}
    with torch.device("meta"):
        modules = {name: network(config) for name, network in NETWORKS.items()}
        modules[AUDIO_ENCODER] = AudioEncoder(config.audio_dim, 4, 80, 1500, 4 * config.audio_dim).encoder
    for name, module in modules.items():
        networks[name] = random_state_dict(module, seed)
    return save_one_file(path, networks, variant, config, torch.float16, {"weights": "random", "size": "128"})
