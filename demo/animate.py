"""The README's animated picture: python demo/animate.py VIDEO PICTURE [docs/demo.webp], in a Python that runs ComfyUI.

VIDEO is what demo/run.py made of PICTURE; they are shown side by side.
"""

import argparse
from pathlib import Path

import av
from PIL import Image

SIDE, EVERY, QUALITY = 256, 2, 80  # Every second frame


def animate(video: Path, picture: Path, target: Path) -> None:
    """Write the picture and the moving video beside it as an animated WebP that loops."""
    still = Image.open(picture).convert("RGB").resize((SIDE, SIDE), Image.LANCZOS)
    shown = []
    with av.open(str(video)) as container:
        rate = float(container.streams.video[0].average_rate)
        for index, frame in enumerate(container.decode(video=0)):
            if index % EVERY == 0:
                both = Image.new("RGB", (2 * SIDE, SIDE))
                both.paste(still, (0, 0))
                both.paste(frame.to_image().resize((SIDE, SIDE), Image.LANCZOS), (SIDE, 0))
                shown.append(both)
    duration = round(1000 * EVERY / rate)
    shown[0].save(target, save_all=True, append_images=shown[1:], duration=duration, loop=0, quality=QUALITY, method=6)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=Path(__file__).parents[1] / "docs" / "demo.webp")
    given = parser.parse_args()
    animate(given.video, given.picture, given.target)
