"""The demo's picture, voice and gesture, of a character and a voice that nothing was trained on.

python -m drawn_world.inputs demo/inputs
"""

import argparse
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.files.durable import write_bytes
from echomimic_core.media.opencv import cv2
from echomimic_core.pose import gestures
from echomimic_core.pose.files import save

from .clip import make_clip
from .make import HELD_OUT
from .speech import Speaker, Speech, Voice

SENTENCE = "Hello! I am only drawn, but I can speak."
VOICE = Voice("en-gb-scotland", "f4", 150, 55)
CHARACTER = HELD_OUT + 21
SIZE = 512


def write_flac(path: Path, sound: np.ndarray) -> None:
    """Write sound (samples,) in -1..1 at 16 kHz."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=AUDIO_SAMPLE_RATE, layout="mono")
        samples = (sound * 32767).round().clip(-32768, 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_SAMPLE_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    speech = Speaker().say(SENTENCE, VOICE)
    frames = round(len(speech.sound) / AUDIO_SAMPLE_RATE * FPS)
    silence = Speech(np.zeros(AUDIO_SAMPLE_RATE, np.float32), ())
    person = make_clip(CHARACTER, silence, 1, gesture="explaining")
    picture = next(person.frames(SIZE))
    write_bytes(folder / "character.png", cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    write_flac(folder / "speech.flac", speech.sound)
    pose = gestures.clip("explaining", frames, seed=1)
    (folder / "gesture.json").unlink(missing_ok=True)  # A pose is never written over another
    save(replace(pose, faces=None, face_scores=None), folder / "gesture.json")


if __name__ == "__main__":
    main()
