"""Files that a job makes: a video, a folder of pictures with the sound beside, or ProRes with an alpha channel."""

import io
import os
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..files.durable import folder_draft, write_bytes
from ..media.alpha import AlphaWriter
from ..media.video import CRF, VideoWriter
from ..media.waveform import to_float

ENDINGS = {"mp4": ".mp4", "prores": ".mov", "png": ""}
FORMATS = tuple(ENDINGS)
_OWN = re.compile(r"\d{5,}\.png|sound\.wav")


class PictureWriter:
    """PNG files 00001.png, 00002.png, ... and sound.wav in a folder that appears whole or not at all.

    An existing folder is replaced. Parameters as `media.video.VideoWriter`; `write` takes frames (n, height, width, 3).
    """

    def __init__(self, path: Path, fps: float, width: int, height: int, audio: tuple | None = None):
        self.check_replaceable(path)
        self.audio, self.frames = audio, 0
        self._draft = folder_draft(path)

    @staticmethod
    def check_replaceable(path: Path) -> None:
        """ValueError for a folder that contains anything else than pictures of a clip and their sound."""
        others = [name for name in (os.listdir(path) if path.is_dir() else ()) if not _OWN.fullmatch(name)]
        if others:
            raise ValueError(f"{path} contains other files ({min(others)}), which would be lost: choose another output")

    def write(self, frames: np.ndarray) -> None:
        from PIL import Image

        for frame in frames:
            self.frames += 1
            Image.fromarray(frame).save(self._part / f"{self.frames:05d}.png", compress_level=3)

    def __enter__(self) -> "PictureWriter":
        self._part = self._draft.__enter__()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        with ExitStack() as stack:
            stack.push(self._draft)
            if error is not None:
                raise error
            if self.audio is not None:
                _write_wave(self._part / "sound.wav", *self.audio)


def open_output(path: Path, kind: str, fps: float, width: int, height: int, sound: tuple | None, quality: int | None):
    """A writer for frames of this size; one of `FORMATS`.

    quality : CRF of an mp4, 0 (best) to 51; None takes the usual one. Raises ValueError for another format.
    """
    if kind == "mp4":
        return VideoWriter(path, fps, width, height, sound, crf=CRF if quality is None else str(quality))
    if kind == "prores":
        return AlphaWriter(path, fps, width, height, sound)
    return PictureWriter(path, fps, width, height, sound)


def _write_wave(path: Path, waveform, rate: int) -> None:
    import wave

    samples = (np.asarray(to_float(waveform)).clip(-1, 1) * 32767).round().astype("<i2")
    made = io.BytesIO()
    with wave.open(made, mode="w") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.T.tobytes())
    write_bytes(path, made.getvalue())
