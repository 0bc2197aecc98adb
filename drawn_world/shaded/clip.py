"""A clip of the world: a character, a voice and a gesture become frames, keypoints and sound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.pose import gestures
from echomimic_core.pose.hand_pose import HandPose

from ..mouth import loudness_track, mouth_track
from ..speech import Speech
from .character import Character, Moment, random_character
from .motion import breathing, livened, looks, trailing
from .painter import STYLES, Painter

# Of the library's gestures, those that nothing is trained on.
HELD_OUT_GESTURES = ("thumbs_up",)
TRAINED_GESTURES = tuple(name for name in gestures.GESTURES if name not in HELD_OUT_GESTURES)
# Hands that no gesture of the library moves, but the voice.
FROM_VOICE = "voice"
# Of a clip whose gesture is not given, so often they do.
VOICED = 0.6
LOOKS = tuple(STYLES)
SHADED = "shaded"
# Half width of the mouth and its largest opening, in face widths; larger than life, as a small picture needs.
MOUTH_HALF_WIDTH, MOUTH_OPENING = 0.2, 0.3
LIP = 0.046  # Height of a lip in face widths.
# Of the outer lips' 12 points, in heights of an ellipse: pointed corners and a dip under the nose.
LIP_FORM = np.array([1, 0.8, 0.98, 0.86, 0.98, 0.8, 1, 0.9, 1.05, 1.12, 1.05, 0.9])
# How much higher than its middle a mouth's corners are in these looks, in half widths of the mouth.
SMILE = 0.13
# So is the head: factors of the pose library's face in width and height, and how far it then sits lower.
HEAD, HEAD_DROP = (1.42, 1.22), 0.045


@dataclass(frozen=True)
class WorldClip:
    """Keypoints of a clip and what else moves in it; `frames` draws."""

    who: Character
    pose: HandPose
    depth: np.ndarray
    mouth: np.ndarray
    eyelids: np.ndarray
    gaze: np.ndarray
    sound: np.ndarray
    look: str
    hair: np.ndarray
    breath: np.ndarray
    nearer: int

    def __len__(self) -> int:
        return len(self.pose)

    def frames(self, size: int) -> Iterator[np.ndarray]:
        """Pictures (size, size, 3) uint8 RGB, one after the other."""
        pose = self.pose
        painter = Painter(self.who, size, STYLES[self.look])
        arms = np.stack([pose.bodies[:, [5, 6, 7]], pose.bodies[:, [2, 3, 4]]], axis=1)
        for f in range(len(self)):
            yield painter.frame(
                Moment(
                    pose.hands[f],
                    self.depth[f],
                    arms[f],
                    pose.faces[f],
                    pose.bodies[f, 1],
                    self.eyelids[f],
                    self.mouth[f, 0],
                    self.gaze[f],
                    self.hair[f],
                    self.breath[f],
                    self.nearer,
                )
            )


def make_clip(
    seed: int,
    speech: Speech,
    frames: int,
    begin: float = 0.0,
    gesture: str | None = None,
    energy: float | None = None,
    look: str = SHADED,
) -> WorldClip:
    """A clip of `frames` at 24 fps from `begin` seconds of a speech on; character and movements follow the seed.

    gesture : of the pose library; FROM_VOICE lets the hands follow the speech by rule (strokes before its accents, rest
        in its pauses); None draws one of `TRAINED_GESTURES`, or lets them follow it.
    energy : of the gesture, 0..1.5. look : one of `LOOKS`.
    """
    rng, more = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 3])
    who = random_character(rng)
    name = gesture or str(rng.choice(TRAINED_GESTURES))
    if gesture is None and more.random() < VOICED:
        name = FROM_VOICE
    pose, depth = gestured(name, speech, round(begin * FPS), frames, energy, rng)
    sound, mouth, stress = heard(speech, frames, begin)
    breath = breathing(frames, more)
    pose = place(livened(talking(pose, who, mouth, stress, rng), breath, stress, more), rng)
    gaze = looks(frames, more)
    nearer = int(depth.mean((0, 2)).argmax())
    hair = trailing(pose.faces.mean(1))
    return WorldClip(who, pose, depth, mouth, blinks(frames, rng), gaze, sound, look, hair, breath, nearer)


def gestured(
    name: str, speech: Speech, first: int, frames: int, energy: float | None, rng: np.random.Generator
) -> tuple[HandPose, np.ndarray]:
    """A part of a gesture of that name, or hands that follow the speech from a frame of it on; and their depth."""
    energy = float(rng.uniform(0.3, 1.3)) if energy is None else energy
    # Part of a longer gesture, so that clips begin anywhere in it
    longer = frames + int(rng.integers(1, 96))
    seed = int(rng.integers(2**31))
    part = np.arange(frames) + int(rng.integers(0, longer - frames + 1))
    if name == FROM_VOICE:
        return voiced(speech, first, frames, energy, seed)
    depth = gestures.skeleton(name, longer, energy=energy, seed=seed)[0][part][..., 2]
    return gestures.clip(name, longer, energy=energy, seed=seed).take(part), depth


def heard(speech: Speech, frames: int, begin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a clip hears from `begin` seconds of a speech on: its sound, the mouth's track, and the voice's loudness."""
    first = round(begin * AUDIO_SAMPLE_RATE)
    sound = speech.sound[first : first + round(frames / FPS * AUDIO_SAMPLE_RATE)]
    return (
        sound,
        mouth_track(speech.phonemes, frames, FPS, begin),
        loudness_track(sound, AUDIO_SAMPLE_RATE, frames, FPS),
    )


def voiced(speech: Speech, first: int, frames: int, energy: float, seed: int) -> tuple[HandPose, np.ndarray]:
    """Hands that follow the speech, from a frame of it on; all at one depth."""
    from echomimic_core.gestures.library import built_in
    from echomimic_core.gestures.motion import gestures_for
    from echomimic_core.gestures.plan import PlanSettings

    sound = torch.from_numpy(np.ascontiguousarray(speech.sound))
    pose, _, _ = gestures_for(sound, built_in(FPS), PlanSettings(energy, seed=seed), frames=first + frames)
    return pose.take(np.arange(first, first + frames)), np.zeros((frames, 2, 21))


def talking(
    pose: HandPose, who: Character, mouth: np.ndarray, stress: np.ndarray, rng, lips_of: Callable | None = None
) -> HandPose:
    """Give the pose the character's face, with its mouth, and a head that nods and tilts with the voice.

    lips_of : (middle, width, mouth, broad) -> points, as `lips`, for mouths of another look.
    """
    lips_of = lips_of or partial(lips, lip=LIP * who.lip_thickness)
    faces = pose.faces.copy()
    middle = faces[:, 30:31]
    scale = np.array(HEAD) * (who.face_width, who.face_height)
    faces = middle + (0, HEAD_DROP) + (faces - middle) * scale
    width = np.linalg.norm(faces[:, 16] - faces[:, 0], axis=-1)
    faces[:, 17:27, 1] -= 0.03 * (width * stress)[:, None]
    middle = faces[:, 51:52] + (faces[:, 57:58] - faces[:, 51:52]) / 2
    faces[:, 48:68] = lips_of(middle, width, mouth, who.mouth_width)
    slow = np.arange(len(pose)) / FPS
    tilt = np.deg2rad(2.5) * np.sin(2 * np.pi * (0.22 * slow + rng.random())) + np.deg2rad(1.5) * (stress - 0.5)
    nod = 0.006 * stress + 0.003 * np.sin(2 * np.pi * (0.25 * slow + rng.random()))
    pivot = pose.bodies[:, 1:2]
    faces = turned(faces, pivot, tilt) + np.stack([np.zeros_like(nod), nod], 1)[:, None]
    bodies = pose.bodies.copy()
    bodies[:, 0] = faces[:, 30]
    bodies[:, [15, 14]] = np.stack([faces[:, 42:48].mean(1), faces[:, 36:42].mean(1)], 1)
    bodies[:, [17, 16]] = faces[:, [16, 0]]
    return replace(pose, faces=faces, bodies=bodies)


def lips(middle, width, mouth, broad=1.0, lip=LIP) -> np.ndarray:
    """Lip points (F, 20, 2), 12 outer and 8 inner, of mouths (F, 2) around middles (F, 1, 2) in faces of width (F,).

    broad : widens the mouth. lip : height of a lip in face widths.
    """
    half = MOUTH_HALF_WIDTH * width * mouth[:, 1] * broad
    gap = 0.5 * MOUTH_OPENING * width * mouth[:, 0]
    outer, inner = (np.pi - np.arange(n) * 2 * np.pi / n for n in (12, 8))
    rings = []
    for turns, wide, high, shape in ((outer, half, gap + lip * width, LIP_FORM), (inner, 0.82 * half, gap, np.ones(8))):
        circle = np.stack([np.cos(turns), -np.sin(turns) * shape], 1)
        ring = circle * np.stack([wide, high], 1)[:, None]
        ring[..., 1] -= SMILE * half[:, None] * (circle[:, 0] ** 2 - 0.5)
        rings.append(ring)
    # The jaw falls: an open mouth grows downwards
    return middle + np.concatenate(rings, 1) + np.stack([np.zeros_like(gap), 0.6 * gap], 1)[:, None]


def turned(points: np.ndarray, pivot: np.ndarray, angle: np.ndarray) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    return pivot + np.einsum("fij,fnj->fni", matrix, points - pivot)


def place(pose: HandPose, rng: np.random.Generator) -> HandPose:
    """The person a little larger, smaller or aside."""
    scale, shift = rng.uniform(0.92, 1.08), rng.uniform(-0.025, 0.025, 2)
    return pose.map_points(lambda points: 0.5 + (points - 0.5) * scale + shift)


def blinks(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Openness of the eyelids (frames,) with a blink of a sixth of a second every few seconds."""
    lids, time = np.ones(frames), rng.uniform(0, 4) * FPS
    while time < frames:
        lids = np.minimum(lids, np.clip(np.abs(np.arange(frames) - time) / 2.0 - 0.2, 0, 1))
        time += rng.uniform(2, 5) * FPS
    return lids
