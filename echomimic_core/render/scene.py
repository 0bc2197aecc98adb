"""A whole picture or video in which people speak: each is cut out, made to speak, and put back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..audio import clip_frames
from ..config import AUDIO_SAMPLE_RATE, LATENT_SCALE, PIXELS_PER_LATENT
from ..landmarks import Networks, shared_networks
from ..pose.align import align, on_canvas, warp_picture
from ..pose.edit import fit_length
from ..pose.framing import fit_canvas
from ..runtime import Progress
from ..sampling.segments import fingerprint
from ..scene.crop import Crop, crop_person, cropped_pose, cut
from ..scene.footage import Footage, extended
from ..scene.paste import Layer, frames_of, look, paste, paste_mattes
from ..scene.people import Person, find_people
from ..scene.pin import Pin, mask_of_crop
from .clip import ClipSettings, Hands, decoded, encoded, reference_of, sampled, size_of
from .models import Models

MARGIN, FEATHER = 0.15, 16
# A new voice for a video starts from the video itself, so that the head stays where it was.
REDUB_DENOISE = 0.6


@dataclass(frozen=True)
class Scene:
    """What is pasted into what; frames are made as they are asked for.

    Attributes
    ----------
    count : frames, at `fps` a second.
    """

    ground: Footage
    layers: tuple[Layer, ...]
    fps: float

    @property
    def count(self) -> int:
        return frames_of(self.ground, self.layers, self.fps)

    def frames(self) -> Iterator[np.ndarray]:
        """(height, width, 3) uint8 each, of the whole picture's size."""
        return paste(self.ground, self.layers, self.fps, FEATHER)

    def mattes(self) -> Iterator[np.ndarray]:
        """(height, width) uint8 each: where the people are who speak."""
        return paste_mattes(self.ground, self.layers, self.fps, FEATHER)


@torch.no_grad()
def make_scene(
    models: Models,
    ground: Footage,
    voices: Sequence[np.ndarray],
    settings: ClipSettings = ClipSettings(),  # noqa: B008 (frozen)
    hands: Hands = Hands(),  # noqa: B008 (frozen)
    first: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
    landmarks: Networks | None = None,
) -> Scene:
    """People of a picture, or one person of a video, get voices.

    Parameters
    ----------
    ground : the whole picture, or the video; of a video only the lower face changes, and it plays back and forth where
        the voice is longer.
    voices : (samples,) mono at 16 kHz each, of people from left to right.
    first : number of the first of them, from 1.
    folder : where segments are kept, if `settings` ask for them.

    Raises
    ------
    ValueError : nobody is there, or not so many; several voices for a video.
    """
    if not ground.still and len(voices) > 1:
        raise ValueError("a video takes one voice: give a picture for several people")
    landmarks = landmarks or shared_networks()
    settings = settings if ground.still else replace(settings, fps=ground.fps)
    people = find_people(ground, networks=landmarks)
    shown = (ground.first(), ground.count, ground.fps)
    layers = []
    for number, voice in enumerate(voices):
        person = people.person(first + number)
        own = replace(settings, seed=settings.seed + number)
        speak = _in_picture if ground.still else _in_video
        place = None if folder is None else folder / str(first + number)
        run = "" if place is None else fingerprint(models.name, *shown, first + number, voice, hands, own)
        latents, crop = speak(models, ground, person, voice, own, hands, (place, run), progress)
        layers.append(look(_footage(models, latents, own.fps), crop, ground, networks=landmarks))
    return Scene(ground, tuple(layers), settings.fps)


def _in_picture(models, ground, person: Person, voice, settings, hands: Hands, segments, progress):
    width, height = size_of(settings, models.size)
    frames = settings.frames or clip_frames(len(voice), AUDIO_SAMPLE_RATE, settings.fps)
    crop = crop_person(person, max(width, height), MARGIN)
    shown = on_canvas(cropped_pose(person.pose, crop), crop.width, crop.height)
    pose = hands.of(voice, frames, settings)
    aligned = align(shown, pose, width, height, "keep", settings.fit_hands, settings.retarget)
    picture = warp_picture(cut(ground.first(), crop), aligned.matrix, width, height, "edge")
    crop = crop.then(aligned.matrix, width, height)
    reference = reference_of(models, picture, height, width)
    pin = Pin(reference.latents.cpu(), _free(crop, aligned.pose, frames, settings, height, width))
    parts = sampled(models, reference, voice, aligned.pose, frames, settings, pin, *segments, progress)
    return torch.cat([part.cpu() for part in parts]), crop


def _in_video(models, ground, person: Person, voice, settings, hands: Hands, segments, progress):
    width, height = size_of(settings, models.size)
    frames = settings.frames or clip_frames(len(voice), AUDIO_SAMPLE_RATE, settings.fps)
    order = extended(len(person), frames, "ping-pong")
    crop = crop_person(person, max(width, height), MARGIN, "follow", "lower face", order).at_size(width, height)
    pose = cropped_pose(person.pose, crop)
    pictures = enumerate(ground.ordered(order).read())
    latents = torch.cat(
        [encoded(models, cut(picture, crop, index), height, width).cpu() for index, picture in pictures]
    )
    reference = reference_of(models, cut(ground.first(), crop), height, width)
    free = mask_of_crop(crop, pose, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
    settings = replace(settings, denoise=min(settings.denoise, REDUB_DENOISE))
    pin = Pin(latents / LATENT_SCALE, free)
    parts = sampled(models, reference, voice, hands.pose or pose, frames, settings, pin, *segments, progress)
    return torch.cat([part.cpu() for part in parts]), crop


def _free(crop: Crop, pose, frames: int, settings: ClipSettings, height: int, width: int) -> torch.Tensor:
    pose = fit_canvas(fit_length(pose, frames, settings.pose_fit), height, width, "crop")
    return mask_of_crop(crop, pose, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)


def _footage(models: Models, latents: torch.Tensor, fps: float) -> Footage:
    height, width = (side * PIXELS_PER_LATENT for side in latents.shape[-2:])

    def read(step: int = 1) -> Iterator[np.ndarray]:
        return decoded(models, latents[::step])

    return Footage(read, width, height, fps, len(latents), sparse=read)
