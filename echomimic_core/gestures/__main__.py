"""Hands for a voice, from a terminal: python -m echomimic_core.gestures VOICE --out pose.json."""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import torch

from ..config import FPS
from ..files.durable import write_bytes
from ..media.sound import read_mono
from ..pose.files import SUFFIXES, save
from ..runtime import Progress
from .files import load_library
from .library import GestureLibrary, built_in
from .motion import gestures_for
from .plan import PlanSettings
from .timeline import parse_cues, picture, report


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 if something is wrong with what was given."""
    parser = argparse.ArgumentParser(prog="python -m echomimic_core.gestures", description=__doc__)
    parser.add_argument("voice", type=Path, help="a sound or video file")
    parser.add_argument("--out", type=Path, required=True, help="pose file to write, .json or .safetensors")
    parser.add_argument(
        "--gestures",
        type=Path,
        metavar="FOLDER_OR_FILE",
        help="a gesture library, or a folder of poses or driving videos to make one of (default: the built-in "
        "gestures); poses found in videos are stored next to --out",
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="a trained gesture planner, instead of a library")
    parser.add_argument("--whisper", type=Path, metavar="FILE", help="Whisper tiny's encoder, which --model needs")
    parser.add_argument("--fps", type=float, help="frames per second (default: the library's, else 24)")
    parser.add_argument("--frames", type=int, default=0, help="length of the clip (default: that of the voice)")
    parser.add_argument("--energy", type=float, default=1.0, help="0 to 2, 1 is a calm speaker")
    parser.add_argument("--variety", type=float, default=0.5, help="0 to 1")
    parser.add_argument("--rest", type=float, default=0.5, help="how readily the hands come to rest in pauses, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cues", type=Path, help="text file of lines such as '2.4 thumbs_up'")
    parser.add_argument("--timeline", type=Path, metavar="FILE.png", help="picture of voice and strokes to write")
    given = parser.parse_args(arguments)
    try:
        print(_make(given))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _make(given: argparse.Namespace) -> str:
    """Write what was asked for; the report."""
    if given.out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out is {given.out}, but must end with {' or '.join(SUFFIXES)}")
    if given.timeline and given.timeline.suffix.lower() != ".png":
        raise ValueError(f"--timeline is {given.timeline}, but must end with .png")
    settings = PlanSettings(given.energy, given.variety, given.rest, given.seed)
    voice = torch.from_numpy(read_mono(given.voice))
    cues = parse_cues(given.cues.read_text(encoding="utf-8")) if given.cues else []
    if given.model:
        said, (pose, plan, heard) = [], _by_model(given, voice, cues)
    else:
        library, said = _library(given.gestures, given.fps, given.out.parent)
        pose, plan, heard = gestures_for(voice, library, settings, given.frames, cues)
    save(pose, given.out)
    if given.timeline:
        write_bytes(given.timeline, _png(picture(voice, heard, plan)))
    return "\n".join([*said, report(heard, plan, given.model.name if given.model else "")])


def _by_model(given: argparse.Namespace, voice: torch.Tensor, cues: list):
    """Pose, plan and voice by a trained planner."""
    from ..audio import encode
    from ..files.tensor_file import TensorFile
    from ..models.audio_encoder import build_audio_encoder
    from .trained import hands_of_voice, load_planner

    if given.gestures or cues:
        raise ValueError("--model takes neither --gestures nor --cues")
    if given.whisper is None:
        raise ValueError("--model needs --whisper FILE, the encoder of Whisper tiny")
    planner = load_planner(given.model)
    states = encode(build_audio_encoder(TensorFile(given.whisper).state_dict()), voice)
    return hands_of_voice(planner, states, voice, given.frames, given.fps or FPS, given.seed, _tell("chunks"))


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def _library(source: Path | None, fps: float | None, beside: Path) -> tuple[GestureLibrary, list[str]]:
    """The library of a file, a folder or the built-in one, and what was left out of it."""
    if source is None:
        return built_in(fps or FPS), []
    if not source.is_dir():
        library = load_library(source)
        if fps and abs(fps - library.fps) > 1e-6:
            raise ValueError(f"{source} is at {library.fps:g} fps, but --fps is {fps:g}: leave --fps out")
        return library, []
    from .cutting import library_of
    from .sources import read_clips

    def find(path: Path):
        from ..landmarks import load_networks
        from ..media.video import read_frames
        from ..pose import detect

        return detect.hand_pose(read_frames(path), load_networks(), fps=FPS, progress=_tell(path.name), track=True)[0]

    said: list[str] = []
    clips = read_clips(source, beside / f"{source.name}_poses", find, said, _tell("clips"))
    library, nothing_in = library_of(clips, fps or FPS)
    return library, said + nothing_in


def _tell(what: str) -> Progress:
    """Progress as one line on the terminal."""

    def progress(done: int, total: int) -> None:
        print(f"{what}: {done} of {total}", end="\r", file=sys.stderr, flush=True)

    return progress


if __name__ == "__main__":
    sys.exit(main())
