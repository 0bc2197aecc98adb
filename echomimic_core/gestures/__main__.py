"""Hands for a voice, from a terminal: python -m echomimic_core.gestures VOICE --out pose.json."""

import argparse
import sys
from pathlib import Path

import torch

from ..config import FPS
from ..media.sound import read_mono
from ..pose.files import save
from .library import built_in
from .plan import PlanSettings, gestures_for
from .timeline import parse_cues, picture, report


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 if something is wrong with what was given."""
    parser = argparse.ArgumentParser(prog="python -m echomimic_core.gestures", description=__doc__)
    parser.add_argument("voice", type=Path, help="a sound or video file")
    parser.add_argument("--out", type=Path, required=True, help="pose file to write, .json or .safetensors")
    parser.add_argument("--fps", type=float, default=FPS, help="frames per second (default %(default)s)")
    parser.add_argument("--energy", type=float, default=1.0, help="0 to 2, 1 is a calm speaker")
    parser.add_argument("--variety", type=float, default=0.5, help="0 to 1")
    parser.add_argument("--rest", type=float, default=0.5, help="how readily the hands come to rest in pauses, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cues", type=Path, help="text file of lines such as '2.4 thumbs_up'")
    parser.add_argument("--timeline", type=Path, metavar="FILE.png", help="picture of voice and strokes to write")
    given = parser.parse_args(arguments)
    try:
        voice = torch.from_numpy(read_mono(given.voice))
        cues = parse_cues(given.cues.read_text(encoding="utf-8")) if given.cues else []
        settings = PlanSettings(given.energy, given.variety, given.rest, given.seed)
        pose, plan, heard = gestures_for(voice, built_in(given.fps), settings, cues=cues)
        save(pose, given.out)
        if given.timeline:
            from PIL import Image

            Image.fromarray(picture(voice, heard, plan)).save(given.timeline)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(report(heard, plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
