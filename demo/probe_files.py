"""Look at a picture, a sound and a pose: python probe_files.py IMAGE AUDIO [POSE] prints {"problems", "notes"} as JSON.

Run by the Python of ComfyUI, which has Pillow, PyAV and numpy; both lists hold sentences, empty where all is well.
"""

import json
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

LONG_SECONDS = 600
SILENCE = 1e-4  # Of the full scale, from the lowest to the highest sample


def look_at_picture(path: str) -> list[str]:
    try:
        with Image.open(path) as picture:
            picture.convert("RGB")
    except UnidentifiedImageError:
        return [f"--image is {path}, but this is not a picture that can be read: save it as .png or .jpg."]
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        return [f"--image is {path}, but the picture is damaged or not complete ({error}): copy or save it again."]
    return []


def look_at_sound(path: str) -> tuple[list[str], list[str]]:
    """(problems, notes) of a sound; no more than LONG_SECONDS of it are listened to."""
    try:
        with av.open(path) as file:
            if not file.streams.audio:
                kind = "a video or picture without sound" if file.streams.video else "a file without sound"
                return [f"--audio is {path}, but this is {kind}: give a file with a voice."], []
            seconds, loudness = listen(file)
            length = max(seconds, (file.duration or 0) / av.time_base)
    except av.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        return [f"--audio is {path}, but no sound can be read from it ({reason}): save it as .wav or .mp3."], []
    if not seconds:
        return [f"--audio is {path}, but there is not one sample of sound in it: save it again as .wav or .mp3."], []
    notes = []
    if loudness < SILENCE:
        notes.append(f"{path} is silent: the lips will hardly move.")
    if length > LONG_SECONDS:
        notes.append(f"{path} is {length / 60:.0f} minutes long, and so will be the video: --frames makes it shorter.")
    return [], notes


def listen(file) -> tuple[float, float]:
    """Seconds of sound, and the difference of its highest and lowest sample as a part of the full scale."""
    seconds, lowest, highest = 0.0, np.inf, -np.inf
    for frame in file.decode(audio=0):
        samples = frame.to_ndarray()
        scale = np.iinfo(samples.dtype).max if samples.dtype.kind in "iu" else 1.0
        if samples.size:
            lowest, highest = min(lowest, samples.min() / scale), max(highest, samples.max() / scale)
            seconds += frame.samples / frame.sample_rate
        if seconds > LONG_SECONDS:
            break
    return seconds, highest - lowest


def look_at_pose(path: Path) -> list[str]:
    from echomimic_core.pose.files import load_any

    try:
        load_any(path)
    except ValueError as error:
        return [f"--pose is {path}, but {error}."]
    return []


def main(image: str, audio: str, *poses: str) -> None:
    problems, notes = look_at_sound(audio)
    problems = look_at_picture(image) + problems
    for pose in poses:
        problems += look_at_pose(Path(pose))
    print(json.dumps({"problems": problems, "notes": notes}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main(*sys.argv[1:])
