"""The demo's picture, voice and gesture, and the templates' picture, voice and video; nothing was trained on them.

python -m drawn_world.inputs demo/inputs workflows/inputs
"""

import argparse
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.files.durable import write_bytes
from echomimic_core.media.opencv import cv2
from echomimic_core.media.video import VideoWriter
from echomimic_core.pose import gestures
from echomimic_core.pose.files import save

from .clip import make_clip
from .make import HELD_OUT
from .speech import Speaker, Speech, Voice

SENTENCE = "Hello! I am only drawn, but I can speak."
VOICE = Voice("en-gb-scotland", "f4", 150, 55)
CHARACTER = HELD_OUT + 21
SIZE = 512
# Of the templates: the same, hands wide open, which Align Pose finds at once, at the size of the released model.
EXAMPLE, EXAMPLE_SIZE = "echomimicv2_example", 768
# Somebody else, whose hands drive the third template.
DRIVING_CHARACTER, DRIVING_FRAMES, DRIVING_SIZE = HELD_OUT + 24, 48, 512


def write_flac(path: Path, sound: np.ndarray) -> None:
    """Write sound (samples,) in -1..1 at 16 kHz."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=AUDIO_SAMPLE_RATE, layout="mono")
        samples = (sound * 32767).round().clip(-32768, 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_SAMPLE_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def pictures(character: int, gesture: str, size: int, frames: int = 1) -> np.ndarray:
    """A character who says nothing: frames (N, size, size, 3) uint8 RGB."""
    silence = Speech(np.zeros(round((1 + frames / FPS) * AUDIO_SAMPLE_RATE), np.float32), ())
    return np.stack(list(make_clip(character, silence, frames, gesture=gesture).frames(size)))


def draw(character: int, gesture: str, size: int) -> bytes:
    """The PNG of a character at rest."""
    (picture,) = pictures(character, gesture, size)
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def film(path: Path) -> None:
    """Write the silent video of somebody who explains with both hands."""
    with VideoWriter(path, FPS, DRIVING_SIZE, DRIVING_SIZE) as video:
        video.write(pictures(DRIVING_CHARACTER, "explaining", DRIVING_SIZE, DRIVING_FRAMES))


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
    write_flac(given.templates / f"{EXAMPLE}.flac", speech.sound)
    film(given.templates / f"{EXAMPLE}.mp4")


if __name__ == "__main__":
    main()
