"""Hands, body and face of a video or picture, from a terminal:

    python -m echomimic_core.landmarks VIDEO_OR_PICTURE --out pose.json

finds them as the Hand Pose node does, writes the pose, and prints how often each hand was found.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..choices import BUILT_IN, DETECTORS, PACKAGE
from ..config import FPS
from ..pose import detect
from ..pose.bundles import BUNDLE_FOLDER, BUNDLE_LINKS, Bundles, find_bundle
from ..pose.files import save
from ..pose.hand_pose import HandPose

_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def frames_of(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, picture) of a video, or of a picture as a clip of one frame."""
    if path.suffix.lower() in _PICTURES:
        from PIL import Image

        yield 0.0, np.asarray(Image.open(path).convert("RGB"))
    else:
        from ..media.video import read_frames

        yield from read_frames(path)


def package_models(folder: Path) -> Bundles:
    """MediaPipe's bundles in a folder; ValueError where one is missing."""
    found = {kind: find_bundle(kind, [folder]) for kind in BUNDLE_LINKS}
    for kind in ("hand", "pose"):
        if found[kind] is None:
            raise ValueError(f"{folder} has no {kind}_landmarker bundle: download it from {BUNDLE_LINKS[kind]}")
    return Bundles(**found)


def write_overlay(source: Path, pose: HandPose, target: Path, fps: float) -> None:
    """A video of the source's frames with the pose drawn over them."""
    from ..media.video import VideoWriter, read_frames
    from ..pose.preview import overlay

    frames = frames_of(source) if source.suffix.lower() in _PICTURES else read_frames(source, fps)
    writer = None
    for index, (_, picture) in zip(range(len(pose)), frames, strict=False):
        # Encoders want even sides.
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if writer is None:
            writer = VideoWriter(target, fps, width, height, None).__enter__()
        drawn = overlay(pose, picture, [index], ("body", "hands", "face"))[0]
        writer.write(drawn[None, :height, :width])
    if writer is not None:
        writer.__exit__(None, None, None)


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 if no hand was found, 2 if something is wrong with what was given."""
    parser = argparse.ArgumentParser(
        prog="python -m echomimic_core.landmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_PICTURE")
    parser.add_argument(
        "--out", type=Path, required=True, help="the pose: .json, .safetensors or another format of Save Pose"
    )
    parser.add_argument("--detector", choices=DETECTORS, default=BUILT_IN)
    parser.add_argument(
        "--models",
        type=Path,
        default=Path(BUNDLE_FOLDER),
        metavar="FOLDER",
        help="MediaPipe's bundles, for its detector",
    )
    parser.add_argument("--track", action="store_true", help="track from frame to frame, which is faster")
    parser.add_argument("--fps", type=float, default=FPS, help="frames per second of the pose (%(default)s)")
    parser.add_argument("--device", default="cpu", help="where the built-in networks run (%(default)s)")
    parser.add_argument(
        "--overlay", type=Path, metavar="FILE.mp4", help="also write the frames with the pose over them"
    )
    given = parser.parse_args(arguments)
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        if not given.source.is_file():
            raise ValueError(f"there is no file {given.source}")
        if given.detector == PACKAGE:
            models = package_models(given.models)
        else:
            from . import load_networks

            models = load_networks().to(given.device)
        pose, report = detect.hand_pose(frames_of(given.source), models, given.fps, track=given.track)
        save(pose, given.out)
        if given.overlay:
            write_overlay(given.source, pose, given.overlay, given.fps)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0 if pose.shows_hands() else 1


if __name__ == "__main__":
    sys.exit(main())
