"""How well hands are found in drawn pictures, style by style: python -m benchmarks.pose_styles [PICTURES]."""

import sys
from collections.abc import Callable

import numpy as np

from drawn_world import shaded, simple
from drawn_world.speech import Phoneme, Speech
from echomimic_core.config import AUDIO_SAMPLE_RATE, HANDS
from echomimic_core.landmarks import load_networks
from echomimic_core.pose import align, gestures
from echomimic_core.pose.detect import steady
from echomimic_core.pose.detectors.ladder import climb
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.pad.fit import hand_of_points
from echomimic_core.pose.pad.points import hand_in_picture, stacked

SIZE, PIXELS = 512, 96
GESTURES = ("open_hands", "waving", "explaining", "counting")
HEAD = "| style | body found | hands found | found hand off, median | on the pad off, largest | aligned, median score |"


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)


def pixelated(picture: np.ndarray) -> np.ndarray:
    """Squares of one colour, PIXELS on a side."""
    places = (np.arange(SIZE) * PIXELS // SIZE * SIZE + SIZE // 2) // PIXELS
    return picture[places][:, places]


def demo_person(seed: int, finish: Callable = np.asarray) -> tuple[np.ndarray, HandPose]:
    """A picture (SIZE, SIZE, 3) of the demo's world, on which the small model was trained, and the truth."""
    made = simple.make_clip(
        seed, Speech(np.zeros(AUDIO_SAMPLE_RATE, np.float32), []), 1, gesture=gesture(seed), energy=1.0
    )
    return finish(next(made.frames(SIZE))), made.pose


def shaded_person(seed: int, look: str) -> tuple[np.ndarray, HandPose]:
    """A picture (SIZE, SIZE, 3) of the shaded world in one of its looks, and the truth."""
    speech = Speech(np.zeros(AUDIO_SAMPLE_RATE, np.float32), (Phoneme("m", 0.0, 1.0),))
    made = shaded.make_clip(seed, speech, 1, gesture=gesture(seed), energy=1.0, look=look)
    return next(made.frames(SIZE)), made.pose


def gesture(seed: int) -> str:
    return GESTURES[seed % len(GESTURES)]


STYLES = {
    "demo": demo_person,
    "demo, grey": lambda seed: demo_person(seed, grey),
    "demo, pixelated": lambda seed: demo_person(seed, pixelated),
    **{look: (lambda seed, look=look: shaded_person(seed, look)) for look in shaded.LOOKS},
}


def row(name: str, people: list[tuple[np.ndarray, HandPose]], networks) -> str:
    """A row of the table: detection, the pad with the true points, and a gesture aligned to what was found."""
    bodies, off, on_pad, scores = 0, [], [], []
    for picture, truth in people:
        found = climb(picture, networks)[0]
        bodies += bool((found.body_scores[0, [2, 5]] > 0.3).all())
        aligned = align.align(steady(found), gestures.clip("explaining", 24), SIZE, SIZE)
        scores.append(aligned.after.score)
        for side in range(HANDS):
            wanted = truth.hands[0, side] * SIZE
            if (found.hand_scores[0, side] > 0).all():
                off.append(np.linalg.norm(found.hands[0, side] * SIZE - wanted, axis=-1).mean() / SIZE)
            placed = hand_in_picture(stacked([hand_of_points(wanted, side)]), side)[0]
            on_pad.append(np.linalg.norm(placed - wanted, axis=-1).mean() / SIZE)
    error = f"{100 * np.median(off):.1f} % of the width" if off else "-"
    count = len(people)
    return (
        f"| {name} | {bodies} of {count} | {len(off)} of {HANDS * count} | {error} | {100 * max(on_pad):.1f} % | "
        f"{np.median(scores):.0f} |"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    networks = load_networks()
    print(HEAD)
    print("|" + " --- |" * HEAD.count(" | ") + " --- |")
    for name, person in STYLES.items():
        print(row(name, [person(seed) for seed in range(count)], networks), flush=True)


if __name__ == "__main__":
    main()
