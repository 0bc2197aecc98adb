"""Files of models: the released set, the accelerated pair, and our one-file format. `models.build` makes networks."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from ..config import FRAME_SIZE, LARGEST_SIDE, PIXELS_PER_LATENT, SMALLEST_SIDE, VARIANTS, ModelConfig
from ..runtime import FLOAT8, Progress
from .durable import Draft
from .names import DOWNLOAD, SUFFIXES, is_hidden
from .pickle_machine import shorten
from .safetensors_file import write as write_safetensors
from .tensor_file import CheckpointError, TensorFile

NETWORK_NAMES = ("denoising_unet", "pose_encoder", "reference_unet")
AUDIO_ENCODER = "audio_encoder"
VAE = "vae"
MOTION = "motion_modules"
# What the metadata of a one-file model may say of it and of what is inside, for people: a title, whence, licences.
ABOUT = ("title", "weights", "license", VAE, AUDIO_ENCODER)

FORMAT = "echomimicv2"
FORMAT_VERSION = "1"


def storage_dtype(name: str, tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """In which dtype a parameter is kept when the network is kept in `dtype`; None keeps the file's."""
    if dtype in FLOAT8 and (tensor.ndim < 2 or name.startswith(("conv_in.", "conv_out."))):
        return torch.float16
    return dtype or tensor.dtype


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


def files_below(folders: Iterable[str | Path]) -> Iterator[Path]:
    """All files anywhere below the folders: in the order of the folders, by name inside each.

    Names that begin with a dot and `__MACOSX` are the system's own; a link to a folder above its place ends there.
    """
    for folder in folders:
        places, seen = [], set()
        for place, subfolders, entries in os.walk(folder, followlinks=True):
            subfolders[:] = [name for name in subfolders if not is_hidden(name)]
            real = os.path.realpath(place)
            if real in seen:
                subfolders.clear()
                continue
            seen.add(real)
            places.append((place, entries))
        for place, entries in sorted(places):
            yield from (Path(place, entry) for entry in sorted(entries) if not is_hidden(entry))


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
            f"{file.path} is not a one-file EchoMimicV2 model (according to its metadata). For the released .pth "
            "files choose 'standard' or 'accelerated'; Save Model creates one-file models."
        )
    version = file.metadata.get("format_version", "?")
    if version != FORMAT_VERSION:
        found = version if version.isdecimal() else repr(version)
        raise CheckpointError(
            f"{file.path} has format version {shorten(found)}, but this pack reads {FORMAT_VERSION}: update the pack."
        )
    variant = file.metadata.get("variant", "")
    if variant not in VARIANTS:
        raise CheckpointError(
            f"{file.path} says it is of variant {shorten(variant)!r}; known are {', '.join(VARIANTS)}."
        )
    present = {name.partition(".")[0] for name in file.names()}
    for needed in ("denoising_unet", "pose_encoder"):
        if needed not in present:
            raise CheckpointError(f"{file.path} has no {needed.replace('_', ' ')} inside: it is not complete.")
    parts = [name for name in (*NETWORK_NAMES, AUDIO_ENCODER, VAE) if name in present]
    about = {key: file.metadata[key] for key in ABOUT if key in file.metadata}
    return ModelFiles(variant, {name: [(file, f"{name}.")] for name in parts}, _size_of(file), about)


def _size_of(file: TensorFile) -> int:
    said = file.metadata.get("size", str(FRAME_SIZE))
    size = int(said) if said.isdecimal() and len(said) < 8 else 0
    if not SMALLEST_SIDE <= size <= LARGEST_SIDE or size % PIXELS_PER_LATENT:
        raise CheckpointError(
            f"{file.path} says it was trained on pictures of {shorten(said)!r} pixels, but that must be a multiple of "
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
    dtypes: Mapping[str, torch.dtype] | None = None,
) -> Path:
    """Write a .safetensors file that appears whole or not at all; its path.

    dtypes : see `safetensors_file.write`.
    progress : called with (bytes written, bytes in all). others, replace : see `files.durable.Draft`.
    """
    with Draft(path, replace, others) as made:
        write_safetensors(made.open(), tensors, metadata, progress, dtypes)
    return made.path


def sizes_of(config: ModelConfig) -> dict:
    """A model's sizes as its metadata have them; what came later is named only where it is used, for older packs."""
    usual = ModelConfig()
    later = ("latent_channels", "patch", "output")
    return {key: v for key, v in asdict(config).items() if key not in later or v != getattr(usual, key)}


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
    networks : "denoising_unet" and "pose_encoder", optionally "reference_unet", "audio_encoder" and "vae".
    dtype : of the matrices in the file; None keeps each. Whisper's encoder is never made coarser than float16, and a
        VAE, which not every precision suits, is kept as it is.
    metadata : more to write, such as "size" (see `open_one_file`), whence the weights come and their licences.
    progress : called with (bytes written, bytes in all). others, replace : see `files.durable.Draft`.

    Returns
    -------
    The path that was written: `path`, or where that was taken the first free one of `others`.
    """
    tensors, dtypes = {}, {}
    for network, weights in networks.items():
        target = torch.float16 if network == AUDIO_ENCODER and dtype in FLOAT8 else dtype
        target = None if network == VAE else target
        for name, tensor in weights.items():
            tensors[f"{network}.{name}"] = tensor
            dtypes[f"{network}.{name}"] = storage_dtype(name, tensor, target)
    information = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "variant": variant,
        "config": json.dumps(sizes_of(config)),
        **(metadata or {}),
    }
    return write_tensors(path, tensors, information, progress, others, replace, dtypes)
