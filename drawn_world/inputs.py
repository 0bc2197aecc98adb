"""The demo's picture, voice and gesture, and the templates' picture, voice and video; nothing was trained on them.

python -m drawn_world.inputs demo/inputs workflows/inputs
"""

import argparse
import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from PIL import Image

from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.files.durable import write_bytes
from echomimic_core.media.opencv import cv2
from echomimic_core.media.video import VideoWriter
from echomimic_core.pose import gestures
from echomimic_core.pose.files import save

from .make import HELD_OUT
from .simple import make_clip
from .speech import Speaker, Speech, Voice

SENTENCE = "Hello! I am only drawn, but I can speak."
VOICE = Voice("en-gb-scotland", "f4", 150, 55)
CHARACTER = HELD_OUT + 21
SIZE = 512
# Of the templates: the same, hands wide open, which Align Pose finds at once, at the size of the released model.
EXAMPLE, EXAMPLE_SIZE = "echomimicv2_example", 768
# Somebody else, whose hands drive the third template.
DRIVING_CHARACTER, DRIVING_FRAMES, DRIVING_SIZE = HELD_OUT + 24, 48, 512
# Two people in a room: walls, floor, furniture (left, top, right, bottom in 0..1) and what they wear below.
SCENE, SCENE_CHARACTERS, SCENE_SIZE = "echomimicv2_scene", (HELD_OUT + 23, HELD_OUT + 21), (1280, 960)
WALL, FLOOR, TROUSERS, SHOES = (214, 206, 190), (150, 118, 92), (52, 60, 84), (40, 34, 32)
FURNITURE = (
    ((0.03, 0.1, 0.13, 0.5), (176, 205, 226)),
    ((0.44, 0.2, 0.56, 0.36), (196, 120, 88)),
    ((0.88, 0.3, 0.97, 0.9), (110, 140, 104)),
)


def write_flac(path: Path, sound: np.ndarray) -> None:
    """Write sound (samples,) in -1..1 at 16 kHz."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=AUDIO_SAMPLE_RATE, layout="mono")
        samples = (sound * 32767).round().clip(-32768, 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_SAMPLE_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def png(picture: np.ndarray) -> bytes:
    """A picture (height, width, 3) uint8 RGB as a PNG, as small as it gets: these come along with the pack."""
    smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
    return cv2.imencode(".png", picture[..., ::-1], smallest)[1].tobytes()


def pictures(character: int, gesture: str, size: int, frames: int = 1) -> np.ndarray:
    """A character who says nothing: frames (N, size, size, 3) uint8 RGB."""
    silence = Speech(np.zeros(round((1 + frames / FPS) * AUDIO_SAMPLE_RATE), np.float32), ())
    return np.stack(list(make_clip(character, silence, frames, gesture=gesture).frames(size)))


def draw(character: int, gesture: str, size: int) -> bytes:
    """The PNG of a character at rest."""
    (picture,) = pictures(character, gesture, size)
    return png(picture)


def film(path: Path) -> None:
    """Write the silent video of somebody who explains with both hands."""
    with VideoWriter(path, FPS, DRIVING_SIZE, DRIVING_SIZE) as video:
        video.write(pictures(DRIVING_CHARACTER, "explaining", DRIVING_SIZE, DRIVING_FRAMES))


def draw_scene(characters: tuple[int, ...], width: int, height: int) -> bytes:
    """The PNG of characters who stand in one room, seen from head to feet, from left to right."""
    side = height // 2
    silence = Speech(np.zeros(AUDIO_SAMPLE_RATE, np.float32), ())
    picture = np.full((height, width, 3), WALL, np.uint8)
    picture[int(0.86 * height) :] = FLOOR
    for (left, top, right, bottom), colour in FURNITURE:
        rows, columns = (
            slice(int(a * room), int(b * room)) for a, b, room in ((top, bottom, height), (left, right, width))
        )
        picture[rows, columns] = colour
    for index, seed in enumerate(characters):
        clip = make_clip(seed, silence, 1, gesture="open_hands")
        middle, top = round((index + 0.5) * width / len(characters)), round(0.1 * height)
        for hip in (-0.11, 0.11):
            knee = np.array([middle + hip * side, top + side])
            legs = np.array([knee, knee + (0.01 * side, height - top - 1.12 * side)]).astype(int)
            cv2.line(picture, legs[0].tolist(), legs[1].tolist(), TROUSERS, round(0.16 * side), cv2.LINE_AA)
            cv2.ellipse(picture, legs[1].tolist(), (round(0.12 * side), round(0.05 * side)), 0, 0, 360, SHOES, -1)
        # Where two walls make a difference, there is wall.
        one, other = (
            next(replace(clip, who=replace(clip.who, walls=(wall,) * 2, things=())).frames(side)).astype(float)
            for wall in ((0,) * 3, (255,) * 3)
        )
        shown = 1 - (other - one).mean(axis=-1, keepdims=True) / 255
        part = picture[top : top + side, middle - side // 2 : middle - side // 2 + side]
        part[:] = (one + part * (1 - shown)).round().clip(0, 255)
    file = io.BytesIO()
    # Flat colours: a palette is a quarter as large and looks the same.
    Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("templates", type=Path)
    given = parser.parse_args()
    speech = Speaker().say(SENTENCE, VOICE)
    frames = round(len(speech.sound) / AUDIO_SAMPLE_RATE * FPS)
    write_bytes(given.demo / "character.png", draw(CHARACTER, "explaining", SIZE))
    write_flac(given.demo / "speech.flac", speech.sound)
    pose = gestures.clip("explaining", frames, seed=1)
    (given.demo / "gesture.json").unlink(missing_ok=True)  # A pose is never written over another
    save(replace(pose, faces=None, face_scores=None), given.demo / "gesture.json")
    write_bytes(given.templates / f"{EXAMPLE}.png", draw(CHARACTER, "open_hands", EXAMPLE_SIZE))
    write_bytes(given.templates / f"{SCENE}.png", draw_scene(SCENE_CHARACTERS, *SCENE_SIZE))
    write_flac(given.templates / f"{EXAMPLE}.flac", speech.sound)
    film(given.templates / f"{EXAMPLE}.mp4")


if __name__ == "__main__":
    main()
