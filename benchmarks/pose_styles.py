"""How well detection, Pose Pad and alignment work on drawn pictures, style by style.

`python -m benchmarks.pose_styles [PICTURES]` prints the table of docs/paintings.md.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from drawn_world import shaded, simple
from drawn_world.measure import psnr
from drawn_world.speech import Phoneme, Speech
from echomimic_core.choices import RETARGET_MODES as MODES
from echomimic_core.config import AUDIO_SAMPLE_RATE, HANDS
from echomimic_core.landmarks import load_networks
from echomimic_core.pose import align, gestures
from echomimic_core.pose.detect import steady
from echomimic_core.pose.detectors.ladder import climb
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.pad.fit import key_of_pose
from echomimic_core.pose.pad.points import pose
from echomimic_core.pose.pad.value import Pad
from echomimic_core.render import ClipSettings, clip, load_models

SIZE, PIXELS = 512, 96
GESTURES = ("open_hands", "waving", "explaining", "counting")
# Styles on which a shipped model was trained, and so is sampled; elsewhere nobody knows how it paints.
MODEL = Path(__file__).resolve().parents[1] / "demo" / "models" / "nano.safetensors"
SAMPLED = {"demo": MODEL}
SAMPLED_PEOPLE, SAMPLED_FRAMES = 4, 24
# A pixel moves that differs so much from the first frame, of 255.
MOVING = 16
HEAD = "| style | body found | hands found | found hand off, median | found, aligned | sampling |"


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)


def pixelated(picture: np.ndarray) -> np.ndarray:
    """Squares of one colour, PIXELS on a side."""
    places = (np.arange(SIZE) * PIXELS // SIZE * SIZE + SIZE // 2) // PIXELS
    return picture[places][:, places]


def demo_clip(seed: int, frames: int):
    """A silent clip of the demo's world."""
    silence = Speech(np.zeros(AUDIO_SAMPLE_RATE, np.float32), [])
    return simple.make_clip(seed, silence, frames, gesture=gesture(seed), energy=1.0)


def demo_person(seed: int, finish: Callable = np.asarray) -> tuple[np.ndarray, HandPose]:
    """A picture (SIZE, SIZE, 3) of the demo's world, on which the small model was trained, and the truth."""
    made = demo_clip(seed, 1)
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


def placed(truth: HandPose) -> HandPose:
    """The pose that an artist places on the pad, where everything is."""
    return pose(Pad(truth.width, truth.height, keys=(key_of_pose(truth)[0],)))


def row(name: str, people: list[tuple[np.ndarray, HandPose]], networks) -> str:
    """A row of the table: what is found, and a gesture aligned to it, as the median score."""
    gesture = gestures.clip("explaining", 24)
    bodies, off, scores = 0, [], []
    for picture, truth in people:
        found = climb(picture, networks)[0]
        bodies += bool((found.body_scores[0, [2, 5]] > 0.3).all())
        for side in range(HANDS):
            if (found.hand_scores[0, side] > 0).all():
                off.append(_away(found, truth, side))
        scores.append(align.align(steady(found), gesture, SIZE, SIZE).after.score)
    count = len(people)
    cells = (
        *(name, f"{bodies} of {count}", f"{len(off)} of {HANDS * count}"),
        *(f"{100 * np.median(off):.1f} %" if off else "-", f"{np.median(scores):.0f}"),
        sampled(SAMPLED[name], count) if name in SAMPLED else "not sampled",
    )
    return f"| {' | '.join(cells)} |"


def on_pad(truths: list[HandPose]) -> tuple[float, float, float]:
    """Of people placed on the pad as they are: the hand that is farthest off, in widths of the picture, and the median
    scores of a gesture aligned to them without and with retarget. No style matters, since nothing is looked for.
    """
    gesture = gestures.clip("explaining", 24)
    people = [placed(truth) for truth in truths]
    off = max(_away(one, truth, side) for one, truth in zip(people, truths, strict=True) for side in range(HANDS))
    scores = (
        [align.align(one, gesture, SIZE, SIZE, retargeting=mode).after.score for one in people] for mode in MODES[:2]
    )
    return off, *(float(np.median(some)) for some in scores)


def sampled(path: Path, count: int) -> str:
    """PSNR of what moves in clips of the demo's people, of whom a model sees the first frame and the pose."""
    models, scores = load_models(path, device="cpu"), []
    for seed in range(min(count, SAMPLED_PEOPLE)):
        made = demo_clip(seed, SAMPLED_FRAMES)
        true = np.stack(list(made.frames(models.size)))
        settings = ClipSettings(seed=seed, frames=SAMPLED_FRAMES, align=False)
        frames = np.stack(list(clip(models, true[0], np.zeros(AUDIO_SAMPLE_RATE, np.float32), made.pose, settings)))
        moving = (np.abs(true.astype(int) - true[:1]) > MOVING).any(axis=-1)
        scores.append([psnr(one, true, moving) for one in (frames, np.broadcast_to(true[:1], true.shape))])
    model, still = np.mean(scores, axis=0)
    return f"{model:.1f} dB, first frame held {still:.1f} dB"


def _away(pose: HandPose, truth: HandPose, side: int) -> float:
    """How far a hand is off, as a mean over its points, in widths of the picture."""
    return float(np.linalg.norm(pose.hands[0, side] - truth.hands[0, side], axis=-1).mean())


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    networks = load_networks()
    print(HEAD)
    print("|" + " --- |" * (HEAD.count("|") - 1))
    for name, person in STYLES.items():
        print(row(name, [person(seed) for seed in range(count)], networks), flush=True)
    for name in ("demo", "shaded"):
        off, aligned, retargeted = on_pad([STYLES[name](seed)[1] for seed in range(count)])
        print(f"On the pad, {name}: at most {100 * off:.1f} % off; aligned {aligned:.0f}, retargeted {retargeted:.0f}")


if __name__ == "__main__":
    main()
