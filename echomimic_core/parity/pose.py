"""Parity cases of poses: hand maps and framings that the original made, against ours."""

import json
from pathlib import Path

import numpy as np

from ..pose.draw import draw_maps
from ..pose.files import from_records
from ..pose.framing import framing

MAP_TOLERANCE = 1e-3
FRAMING_TOLERANCE = 1e-9


def check_pose(case: dict, folder: Path) -> tuple[float, float, str]:
    """Draw each pose of a case and compare it with its picture.

    Returns
    -------
    (error, tolerance, detail) : error is the largest fraction of pixels of a map that differ.
    """
    from PIL import Image

    index = Path(folder) / case["file"]
    worst, drawn = 0.0, 0
    for record in json.loads(index.read_text("utf-8")):
        name = record["file"]
        try:
            expected = np.asarray(Image.open(index.parent / name).convert("RGB"))
        except OSError as error:
            raise ValueError(f"the picture {index.parent / name} of the parity case cannot be read") from error
        pose = from_records([record], names=[name])
        # The map may stand on a larger canvas than its region tells.
        height, width = expected.shape[:2]
        region = pose.region or (0, pose.height, 0, pose.width)
        pose = type(pose)(**{**vars(pose), "width": width, "height": height, "region": region})
        ours = draw_maps(pose, None, height, width)[0]
        worst = max(worst, float((ours != expected).any(-1).mean()))
        drawn += 1
    worst = worst if drawn else float("inf")
    return worst, MAP_TOLERANCE, f"{drawn} hand maps, at most {worst:.4%} of the pixels differ"


def check_framing(case: dict, folder: Path) -> tuple[float, float, str]:
    """Derive each framing of a case and compare it with the original's.

    Returns
    -------
    (error, tolerance, detail) : error is the largest difference of `pose_params`; infinite if any of the whole
        numbers in `draw_pose_params` or `video_params` differs.
    """
    cases = json.loads((Path(folder) / case["file"]).read_text("utf-8"))
    worst = 0.0
    for expected in cases:
        bodies, faces = zip(*(_person(frame) for frame in expected["frames"]), strict=True)
        # One side of the placed part always fills the frame, so the frame's size can be read off it.
        size = max(expected["draw_pose_params"][:2])
        found = framing(np.stack(bodies), np.stack(faces), expected["width"], expected["height"], size)
        whole = (found.draw_pose_params, found.video_params)
        if whole != (tuple(expected["draw_pose_params"]), tuple(expected["video_params"])):
            worst = float("inf")
        worst = max(worst, float(np.abs(np.subtract(found.pose_params, expected["pose_params"])).max()))
    worst = worst if cases else float("inf")
    return worst, FRAMING_TOLERANCE, f"{len(cases)} framings, largest difference {worst:.2g}"


def _person(frame: dict) -> tuple[np.ndarray, np.ndarray]:
    """Body and face that the original takes of a frame: the body of the highest mean score, the first face."""
    scores = np.asarray(frame["bodies_score"], float).reshape(-1, 18)
    person = int(np.argmax(scores.mean(axis=1)))
    bodies = np.asarray(frame["bodies"], float).reshape(-1, 18, 2)
    return bodies[person], np.asarray(frame["faces"], float).reshape(-1, 68, 2)[0]
