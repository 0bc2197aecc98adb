"""Moving thumbnails of the built-in gestures for the help page: python -m echomimic_core.pose.thumbnails FOLDER"""

import sys
from pathlib import Path

import numpy as np

from ..files.durable import Draft
from ..media.scaling import shrink
from . import gestures
from .draw import draw_maps

SIDE = 160
FPS = 8.0
QUALITY = 60


def write_thumbnails(folder: Path, side: int = SIDE) -> list[Path]:
    """Write one looping .webp for each gesture into the folder and return their paths."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, gesture in gestures.GESTURES.items():
        frames = round(gesture.seconds * FPS)
        maps = draw_maps(gestures.clip(name, frames, FPS), None, 768, 768, ("body", "hands"))
        small = [shrink(drawn, side, side) for drawn in maps]
        pictures = [Image.fromarray(np.clip(picture * 1.4, 0, 255).astype(np.uint8)) for picture in small]
        with Draft(folder / f"{name}.webp") as file:
            pictures[0].save(
                file.open(),
                format="WEBP",
                save_all=True,
                append_images=pictures[1:],
                duration=round(1000 / FPS),
                loop=0,
                quality=QUALITY,
                method=6,
            )
        made.append(file.path)
    return made


if __name__ == "__main__":
    for path in write_thumbnails(Path(sys.argv[1])):
        print(path)
