"""From files to ComfyUI's patchers: choosing files, dtypes and layer classes."""

import logging
from pathlib import Path

import comfy.ops
import folder_paths
import torch

from ..echomimic_core.config import VARIANTS
from ..echomimic_core.files.checkpoints import (
    AUDIO_ENCODER,
    CheckpointError,
    ModelFiles,
    TensorFile,
    files_below,
    find_file,
    find_released,
    open_one_file,
)
from ..echomimic_core.files.names import SUFFIXES, WHISPER_DOWNLOAD, WHISPER_NAMES, WHISPER_PARTS, may_be_vae
from ..echomimic_core.files.published import whisper_among
from ..echomimic_core.models.audio_encoder import build_audio_encoder
from ..echomimic_core.models.build import build, config_of
from .dtypes import choose_dtypes
from .model import EchoMimicModel, GraphDenoiser
from .model_names import AUTO, RELEASED, audio_encoder_folders, echomimic_folders, one_file_names, stamp
from .patcher import make_patcher


def open_model(model: str, folders: list[str]) -> ModelFiles:
    """The files of a choice of the loader: a released variant, or a one-file model in models/echomimic."""
    if model in RELEASED:
        try:
            return find_released(folders, model)
        except CheckpointError as error:
            others = one_file_names()
            if not others:
                raise
            raise CheckpointError(f"{error} Or choose an available model: {', '.join(others)}.") from error
    path = folder_paths.get_full_path("echomimic", model)
    if path is None:
        looked = " and ".join(folders)
        raise CheckpointError(
            f"{model} is not in {looked}. Put the file there, or choose 'standard' or 'accelerated' for the released "
            "weights, and press R to refresh the list."
        )
    return open_one_file(path)


def load_models(files: ModelFiles, wanted: torch.dtype | None):
    """The MODEL and the reference net of a set of files; the latter is None where the files have none."""
    model = load_denoiser(files, wanted)
    return model, load_reference_net(files, wanted) if "reference_unet" in files.networks else None


def load_denoiser(files: ModelFiles, wanted: torch.dtype | None, disable_dynamic: bool = False):
    """The MODEL of a set of files; `disable_dynamic` as in `make_patcher`."""
    build_network, dtype, manual_cast = builder(files, wanted)
    denoiser = GraphDenoiser(build_network("denoising_unet"), build_network("pose_encoder"))
    inner = EchoMimicModel(denoiser, denoiser.denoising_unet.config, VARIANTS[files.variant], manual_cast)
    inner.picture_size, inner.vae_file, inner.about = files.size, files.vae_file(), files.about
    inner.vae_stamp = None if inner.vae_file is None else stamp(inner.vae_file)
    logging.info("EchoMimicV2: %s model, weights %s, computing in %s", files.variant, dtype, manual_cast or dtype)
    return make_patcher(inner, (load_denoiser, (files, wanted)), disable_dynamic)


def load_reference_net(files: ModelFiles, wanted: torch.dtype | None, disable_dynamic: bool = False):
    """The reference net of a set of files; `disable_dynamic` as in `make_patcher`."""
    build_network, _, _ = builder(files, wanted)
    network = build_network("reference_unet")
    network.picture_size = files.size
    return make_patcher(network, (load_reference_net, (files, wanted)), disable_dynamic)


def builder(files: ModelFiles, wanted: torch.dtype | None):
    """(what builds a network of a set of files by its name, dtype of the weights, dtype they are cast to or None)."""
    config = config_of(files)
    file, prefix = files.networks["denoising_unet"][0]
    sample = file.tensor(f"{prefix}mid_block.resnets.0.conv1.weight")
    parameters = sum(torch.Size(file.shape(name)).numel() for name in file.names())
    dtype, manual_cast = choose_dtypes(sample.dtype, wanted, parameters)
    operations = comfy.ops.pick_operations(dtype, manual_cast)
    return (lambda name: build(files, name, config, dtype, operations)), dtype, manual_cast


def stamps(model: str | None, audio_encoder: str | None) -> list[tuple]:
    """Path, time of change and size of every file that a choice of the loader may read; None is not known yet.

    All that lie in the folders of the released set and of the VAEs are named: which of them is read is decided later.
    """
    folders = echomimic_folders()
    paths = [Path(path) for path in (folder_paths.get_full_path("echomimic", model) if model else None,) if path]
    if model not in RELEASED and paths:
        paths += [path for path in files_below(folders) if path.name in (*WHISPER_NAMES, *WHISPER_PARTS)]
    else:
        paths += [path for path in files_below(folders) if path.name.endswith(SUFFIXES)]
    paths += [path for path in files_below(folder_paths.get_folder_paths("vae")) if may_be_vae(path.name)]
    wanted = {*WHISPER_NAMES, *WHISPER_PARTS, Path(audio_encoder or "").name}
    paths += [path for path in files_below(audio_encoder_folders()) if path.name in wanted]
    paths += [path for path in files_below(folders) if audio_encoder and path.name == Path(audio_encoder).name]
    return sorted({(str(path), *stamp(path)) for path in paths if path.is_file()})


def load_audio_encoder(files: ModelFiles, choice: str, folders: list[str], disable_dynamic: bool = False):
    """The Whisper encoder: the chosen file, or the one-file model's own, or tiny.pt where it usually lies."""
    if choice == AUTO and AUDIO_ENCODER in files.networks:
        file, prefix = files.networks[AUDIO_ENCODER][0]
        weights, name = file.state_dict(prefix), file.path.name
    else:
        path = find_whisper(choice, folders)
        weights, name = TensorFile(path).state_dict(), path.name
    try:
        encoder = build_audio_encoder(weights)
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from error
    return make_patcher(encoder, (load_audio_encoder, (files, choice, folders)), disable_dynamic)


def find_whisper(choice: str, folders: list[str]) -> Path:
    if choice != AUTO:
        for category in ("echomimic", "audio_encoders"):
            if category in folder_paths.folder_names_and_paths:
                path = folder_paths.get_full_path(category, choice)
                if path is not None:
                    return Path(path)
        raise CheckpointError(f"the audio encoder {choice} is in neither models/echomimic nor models/audio_encoders.")
    folders = [*folders, *audio_encoder_folders()]
    return whisper_among(files_below(folders)) or find_file(
        folders, WHISPER_NAMES, "the Whisper tiny audio encoder", WHISPER_DOWNLOAD
    )
