"""How well hands are found in drawn pictures, style by style: python -m benchmarks.pose_styles [PICTURES]."""

import sys

import numpy as np

from drawn_world.clip import make_clip
from drawn_world.speech import Speech
from echomimic_core.config import AUDIO_SAMPLE_RATE, HANDS
from echomimic_core.landmarks import load_networks
from echomimic_core.pose.detectors.ladder import climb
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.pad.fit import hand_of_points
from echomimic_core.pose.pad.points import hand_in_picture, stacked

SIZE, PIXELS = 512, 96
GESTURES = ("open_hands", "waving", "explaining", "counting")


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)


def pixelated(picture: np.ndarray) -> np.ndarray:
    """Squares of one colour, PIXELS on a side."""
    places = (np.arange(SIZE) * PIXELS // SIZE * SIZE + SIZE // 2) // PIXELS
    return picture[places][:, places]


STYLES = {"flat": lambda picture: picture, "grey": grey, "pixelated": pixelated}


def drawn_person(seed: int) -> tuple[np.ndarray, HandPose]:
    """A picture (SIZE, SIZE, 3) of the drawn world, and the truth."""
    silence = Speech(np.zeros(AUDIO_SAMPLE_RATE, np.float32), [])
    clip = make_clip(seed, silence, 1, gesture=GESTURES[seed % len(GESTURES)], energy=1.0)
    return next(clip.frames(SIZE)), clip.pose


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    networks, people = load_networks(), [drawn_person(seed) for seed in range(count)]
    print("| style | body found | hands found | found hand off, median | hand on the pad off, largest |")
    print("| --- | --- | --- | --- | --- |")
    for name, style in STYLES.items():
        bodies, off, on_pad = 0, [], []
        for picture, truth in people:
            found = climb(style(picture), networks)[0]
            bodies += bool((found.body_scores[0, [2, 5]] > 0.3).all())
            for side in range(HANDS):
                wanted = truth.hands[0, side] * SIZE
                if (found.hand_scores[0, side] > 0).all():
                    off.append(np.linalg.norm(found.hands[0, side] * SIZE - wanted, axis=-1).mean() / SIZE)
                if name == "flat":
                    placed = hand_in_picture(stacked([hand_of_points(wanted, side)]), side)[0]
                    on_pad.append(np.linalg.norm(placed - wanted, axis=-1).mean() / SIZE)
        error = f"{100 * np.median(off):.1f} % of the width" if off else "-"
        fitted = f"{100 * max(on_pad):.1f} %" if on_pad else "as flat"
        print(f"| {name} | {bodies} of {count} | {len(off)} of {HANDS * count} | {error} | {fitted} |", flush=True)


if __name__ == "__main__":
    main()
