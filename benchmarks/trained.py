"""A trained model that sees and hears the demo's picture, voice and hands: what a shortcut costs real pictures."""

from pathlib import Path

import torch

from echomimic_core.audio import AudioTokens, encode
from echomimic_core.config import FPS
from echomimic_core.files.checkpoints import AUDIO_ENCODER, ModelFiles
from echomimic_core.media.video import read_audio
from echomimic_core.media.waveform import resample
from echomimic_core.models.audio_encoder import build_audio_encoder
from echomimic_core.models.build import build, config_of
from echomimic_core.models.reference_unet import ReferenceFeatures
from echomimic_core.pose.files import load as load_pose
from echomimic_core.sampling.assemble import assemble
from echomimic_core.sampling.clip import ClipConditions
from echomimic_core.sampling.denoiser import ClipDenoiser

from .decoding import encode_photo
from .measure import Machine

INPUTS = Path(__file__).resolve().parents[1] / "demo" / "inputs"


def trained_denoiser(files: ModelFiles, machine: Machine) -> ClipDenoiser:
    parts = (build(files, name, config_of(files), machine.dtype) for name in ("denoising_unet", "pose_encoder"))
    return ClipDenoiser(*parts).to(machine.device, machine.dtype).eval().requires_grad_(False)


@torch.no_grad()
def trained_conditions(files: ModelFiles, machine: Machine, vae, pixels: int, frames: int) -> ClipConditions:
    """The demo's picture as a square of so many pixels, its voice and its gesture, for a clip of so many frames.

    Raises
    ------
    ValueError : the model's file has no audio encoder, or no reference network.
    """
    if AUDIO_ENCODER not in files.networks:
        raise ValueError("the model has no audio encoder inside: Save Model puts everything into one file")
    latents = encode_photo(vae, pixels, machine)
    network = build(files, "reference_unet", config_of(files), machine.dtype).to(machine.device, machine.dtype).eval()
    reference = ReferenceFeatures(network(latents), *latents.shape[-2:])
    file, prefix = files.networks[AUDIO_ENCODER][0]
    voice = resample(*read_audio(INPUTS / "speech.flac"))
    audio = AudioTokens(encode(build_audio_encoder(file.state_dict(prefix)), voice), FPS, frames)
    return assemble(reference, audio, load_pose(INPUTS / "gesture.json"), frames, fps=FPS)
