"""Files on disk <-> networks: the released set, the accelerated pair, Whisper's files and our one-file format.

Files are read lazily and without running code; a network is filled parameter by parameter, so loading needs the final
model, at most the pages of one file, and one tensor more.
"""

import json
import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from torch import nn

from ..config import FRAME_SIZE, LARGEST_SIDE, PIXELS_PER_LATENT, RELEASED, SMALLEST_SIDE, TINY, VARIANTS, ModelConfig
from ..models.denoising_unet import DenoisingUNet
from ..models.pose_encoder import PoseEncoder
from ..models.reference_unet import ReferenceUNet
from ..runtime import Progress, TorchOperations
from .durable import Draft
from .names import DOWNLOAD, SUFFIXES
from .safetensors_file import write as write_safetensors
from .tensor_file import CheckpointError, TensorFile

NETWORKS = {"denoising_unet": DenoisingUNet, "pose_encoder": PoseEncoder, "reference_unet": ReferenceUNet}
AUDIO_ENCODER = "audio_encoder"
VAE = "vae"
MOTION = "motion_modules"
# What the metadata of a one-file model may say of it and of what is inside, for people: a title, whence, licences.
ABOUT = ("title", "weights", "license", VAE, AUDIO_ENCODER)

FORMAT = "echomimicv2"
FORMAT_VERSION = "1"
# What the sizes in the metadata of a one-file model may be.
LEVELS, MOST_CHANNELS, MOST_LAYERS = 4, 8192, 8
FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)


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
            raise CheckpointError(f"{what}: {name} holds {tensor.dtype} instead of numbers with a fraction.")
        # a copy, so that nothing points into the file any more: it may be replaced or deleted
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


def storage_dtype(name: str, tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """In which dtype a parameter is kept when the network is kept in `dtype`; None keeps the file's."""
    if dtype in FLOAT8 and (tensor.ndim < 2 or name.startswith(("conv_in.", "conv_out."))):
        return torch.float16
    return dtype or tensor.dtype


def build(
    network: str,
    config: ModelConfig,
    files: list[tuple[TensorFile, str]],
    dtype: torch.dtype | None = None,
    operations=TorchOperations,
) -> nn.Module:
    """Build one of `NETWORKS` from files, each with the prefix its names carry.

    A motion module file, given last, overrides motion modules inside the denoiser's.
    """
    with torch.device("meta"):
        module = NETWORKS[network](config, operations=operations)
    sources: dict[str, tuple[TensorFile, str]] = {}
    for file, prefix in files:
        sources.update({name[len(prefix) :]: (file, name) for name in file.names() if name.startswith(prefix)})
    what = " and ".join(dict.fromkeys(file.path.name for file, _ in files)) + f" ({network.replace('_', ' ')})"
    return fill(module, ((name, file.tensor(key)) for name, (file, key) in sources.items()), dtype, what=what)


def read_config(denoiser: TensorFile, pose_encoder: TensorFile, prefixes: tuple[str, str] = ("", "")) -> ModelConfig:
    """Sizes of the networks, from metadata where the file has them, else from the shapes of its tensors."""
    if "config" in denoiser.metadata:
        return _config_of(denoiser)
    unet, pose = prefixes
    try:
        levels = [denoiser.shape(f"{unet}down_blocks.{level}.resnets.0.conv1.weight")[0] for level in range(4)]
    except (KeyError, IndexError) as problem:
        raise CheckpointError(
            f"{denoiser.path} is not a denoising U-Net of EchoMimicV2: it has no parameter {problem}. "
            f"Get the right file from {DOWNLOAD}."
        ) from problem
    try:
        first = pose_encoder.shape(f"{pose}conv_in.weight")[0]
        wider = [pose_encoder.shape(f"{pose}blocks.{index}.weight")[0] for index in (1, 3, 5)]
    except (KeyError, IndexError) as problem:
        raise CheckpointError(
            f"{pose_encoder.path} is not the pose encoder of EchoMimicV2: it has no parameter {problem}. "
            f"Get the right file from {DOWNLOAD}."
        ) from problem
    sizes = {"block_out_channels": levels, "pose_block_channels": [first, *wider]}
    return _buildable(sizes, f"{denoiser.path}: the sizes of its parameters", f"Get the right file from {DOWNLOAD}.")


def _config_of(file: TensorFile) -> ModelConfig:
    remedy = "Save it anew with Save Model."
    try:
        sizes = json.loads(file.metadata["config"])
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{file.path}: the sizes in its metadata make no model. {remedy}") from problem
    return _buildable(sizes, f"{file.path}: the sizes in its metadata", remedy)


def _buildable(sizes, what: str, remedy: str) -> ModelConfig:
    try:
        _check_sizes(sizes)
        config = ModelConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in sizes.items()})
        with torch.device("meta"):
            DenoisingUNet(config), PoseEncoder(config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as problem:
        raise CheckpointError(f"{what} make no model ({problem}). {remedy}") from problem
    return config


def _check_sizes(sizes) -> None:
    """ValueError unless the sizes of a model, as JSON has them, are whole numbers in bounds, four for four levels."""
    if not isinstance(sizes, dict) or not set(sizes) <= {field.name for field in fields(ModelConfig)}:
        raise ValueError("they are not those of this pack")
    for key, default in asdict(RELEASED).items():
        value = sizes.get(key, default)
        numbers = value if isinstance(value, list | tuple) else [value]
        if len(numbers) != (LEVELS if isinstance(default, tuple) else 1):
            raise ValueError(f"{key} is {reprlib.repr(value)}, but there are exactly {LEVELS} levels")
        most = MOST_LAYERS if key == "layers_per_block" else MOST_CHANNELS
        if not all(type(number) is int and 1 <= number <= most for number in numbers):
            raise ValueError(f"{key} is {reprlib.repr(value)}, but 1 to {most} is possible")


@dataclass(frozen=True)
class ModelFiles:
    """Where the networks of one model lie: for each network the files with their prefixes, and the variant's name.

    `size` is the side, in pixels, of the pictures that the networks were trained on; `about` what the metadata say of
    the model by `ABOUT`.
    """

    variant: str
    networks: dict[str, list[tuple[TensorFile, str]]]
    size: int = FRAME_SIZE
    about: Mapping[str, str] = field(default_factory=dict)

    def vae_file(self) -> Path | None:
        """The one-file model that has a VAE inside, if it has."""
        return self.networks[VAE][0][0].path if VAE in self.networks else None

    def config(self) -> ModelConfig:
        (denoiser, unet), (pose, prefix) = self.networks["denoising_unet"][0], self.networks["pose_encoder"][0]
        return read_config(denoiser, pose, (unet, prefix))

    def build(self, network: str, config: ModelConfig, dtype=None, operations=TorchOperations) -> nn.Module:
        if network not in self.networks:
            path = self.networks["denoising_unet"][0][0].path
            raise CheckpointError(f"{path} has no {network.replace('_', ' ')} inside")
        return build(network, config, self.networks[network], dtype, operations)


def files_below(folders: Iterable[str | Path]) -> Iterator[Path]:
    """All files anywhere below the folders: in the order of the folders, by name inside each."""
    for folder in folders:
        for place, _, entries in sorted(os.walk(folder, followlinks=True)):
            yield from (Path(place, entry) for entry in sorted(entries))


def find_file(folders: Iterable[str | Path], names: Iterable[str], what: str, source: str = DOWNLOAD) -> Path:
    """The first file of one of these names anywhere below the folders; names in order of preference."""
    folders, names = list(folders), list(names)
    files = [path for path in files_below(folders) if path.name in names]
    if files:
        return min(files, key=lambda path: (names.index(path.name), len(path.parts), path))
    looked = " and ".join(str(folder) for folder in folders) or "no folder at all"
    raise CheckpointError(f"{what} is missing: no {' or '.join(names)} in {looked}. Get it from {source}.")


def find_released(folders: Iterable[str | Path], variant: str) -> ModelFiles:
    """The released set of files of a variant ("standard" or "accelerated") below the given folders.

    Raises
    ------
    CheckpointError : names the file that is missing, where it was looked for and where to get it.
    """
    if variant not in VARIANTS:
        raise CheckpointError(f"variant {variant!r} is unknown: choose from {', '.join(VARIANTS)}")
    suffix = "_acc" if variant == "accelerated" else ""

    def open_one(stem: str, what: str) -> tuple[TensorFile, str]:
        names = [stem + ending for ending in SUFFIXES]
        return TensorFile(find_file(folders, names, f"the {what} of the {variant} model")), ""

    return ModelFiles(
        variant,
        {
            "denoising_unet": [
                open_one(f"denoising_unet{suffix}", "denoising U-Net"),
                open_one(f"motion_module{suffix}", "motion module file"),
            ],
            "pose_encoder": [open_one("pose_encoder", "pose encoder")],
            "reference_unet": [open_one("reference_unet", "reference U-Net")],
        },
    )


def open_one_file(path: str | Path) -> ModelFiles:
    """Our one-file format: networks told apart by prefix, metadata with format, version, variant and sizes.

    Under `audio_encoder.` may lie Whisper's encoder, under `vae.` a VAE with its names as ComfyUI's VAE loader reads
    them (SD 1.5's, or taesd_encoder.* and taesd_decoder.*); `size` in the metadata is the side in pixels of the
    pictures it was trained on. Whether the VAE is a good one is looked at when it is used (`vae_files`).
    """
    file = TensorFile(path)
    if file.metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{file.path} is not a one-file EchoMimicV2 model (its metadata do not say so). "
            "Released .pth files are used by choosing 'standard' or 'accelerated'; Save Model makes one-file models."
        )
    version = file.metadata.get("format_version", "?")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{file.path} has format version {version}, but this pack reads {FORMAT_VERSION}: update the pack."
        )
    variant = file.metadata.get("variant", "")
    if variant not in VARIANTS:
        raise CheckpointError(f"{file.path} says it is of variant {variant!r}; known are {', '.join(VARIANTS)}.")
    present = {name.partition(".")[0] for name in file.names()}
    for needed in ("denoising_unet", "pose_encoder"):
        if needed not in present:
            raise CheckpointError(f"{file.path} has no {needed.replace('_', ' ')} inside: it is not complete.")
    parts = [name for name in (*NETWORKS, AUDIO_ENCODER, VAE) if name in present]
    about = {key: file.metadata[key] for key in ABOUT if key in file.metadata}
    return ModelFiles(variant, {name: [(file, f"{name}.")] for name in parts}, _size_of(file), about)


def _size_of(file: TensorFile) -> int:
    said = file.metadata.get("size", str(FRAME_SIZE))
    size = int(said) if said.isdecimal() else 0
    if not SMALLEST_SIDE <= size <= LARGEST_SIDE or size % PIXELS_PER_LATENT:
        raise CheckpointError(
            f"{file.path} says it was trained on pictures of {said!r} pixels, but that must be a multiple of "
            f"{PIXELS_PER_LATENT} from {SMALLEST_SIDE} to {LARGEST_SIDE}: its metadata are wrong, download it again."
        )
    return size


def write_tensors(
    path: str | Path,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    others: Iterable[Path] = (),
    replace: bool = True,
) -> Path:
    """Write a .safetensors file that appears whole or not at all; its path.

    progress : called with (bytes written, bytes in all). others, replace : see `files.durable.Draft`.
    """
    with Draft(path, replace, others) as made:
        write_safetensors(made.open(), tensors, metadata, progress)
    return made.path


def save_one_file(
    path: str | Path,
    networks: Mapping[str, Mapping[str, torch.Tensor]],
    variant: str,
    config: ModelConfig,
    dtype: torch.dtype | None = None,
    metadata: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    others: Iterable[Path] = (),
    replace: bool = True,
) -> Path:
    """Write networks (name -> state dict) as one .safetensors; the file appears whole or not at all.

    Parameters
    ----------
    networks : "denoising_unet" and "pose_encoder", perhaps "reference_unet", "audio_encoder" and "vae".
    dtype : of the matrices in the file; None keeps each. Whisper's encoder is never made coarser than float16, and a
        VAE, which not every precision suits, is kept as it is.
    metadata : more to write, such as "size" (see `open_one_file`), whence the weights come and their licences.
    progress : called with (bytes written, bytes in all). others, replace : see `files.durable.Draft`.

    Returns
    -------
    The path that was written: `path`, or where that was taken the first free one of `others`.
    """
    tensors = {}
    for network, weights in networks.items():
        target = torch.float16 if network == AUDIO_ENCODER and dtype in FLOAT8 else dtype
        target = None if network == VAE else target
        for name, tensor in weights.items():
            kept = tensor.detach().to("cpu", storage_dtype(name, tensor, target))
            tensors[f"{network}.{name}"] = kept.contiguous()
    information = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "variant": variant,
        "config": json.dumps(asdict(config)),
        **(metadata or {}),
    }
    return write_tensors(path, tensors, information, progress, others, replace)


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
