"""How far off retargeted hands are from the truth: `python -m benchmarks.retarget [BODIES]`.

The truth is the same joint angles in three dimensions on the other body's bones, seen by the same viewer.
"""

import sys

import numpy as np

from echomimic_core.pose import align, gestures
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.pose.hand_skeleton import Shape, hand_axes, hand_points
from echomimic_core.pose.retarget import retarget
from echomimic_core.pose.track import Track

FRAMES = 48
USUAL = (1.0, 1.0, 1.0, 1.0)
# Driving persons with short or long arms, and one whose gestures never show how short the forearms are.
OTHER_ARMS = [(1.0, size, size, size) for size in (0.6, 0.8, 1.2, 1.4)]
SHORT_FOREARMS = (1.0, 1.0, 0.9, 1.0)
# Pictures of bent arms, the forearms partly towards the viewer: a gesture and its frame.
BENT = (("explaining", 10), ("hands_folded", 10), ("waving", 30))
# How much longer or shorter one bone of an arm may be than the other to be alike, relative to the usual.
ALIKE = 4 / 3
HEAD = "| the picture shows | retarget, median | 95th percentile | fit_hands, median | 95th percentile |"


def on_bones(hands: np.ndarray, arms: np.ndarray, sizes: tuple) -> HandPose:
    """A speaker of the library with bones so many times as long: shoulders, upper arm, forearm, hand."""
    neck = np.array([*gestures.NECK, 0])
    shoulder, elbow, wrist = np.moveaxis(arms, 2, 0)
    joints = [neck + sizes[0] * (shoulder - neck)]
    joints.append(joints[-1] + sizes[1] * (elbow - shoulder))
    joints.append(joints[-1] + sizes[2] * (wrist - elbow))
    moved = joints[-1][:, :, None] + sizes[3] * (hands - wrist[:, :, None])
    return gestures.pose_of(moved, np.stack(joints, axis=2), 24.0)


def moving(gesture: str, sizes: tuple) -> HandPose:
    """The truth: the gesture on a body."""
    return on_bones(*gestures.skeleton(gesture, FRAMES), sizes)


def at_frame(gesture: str, frame: int, sizes: tuple) -> HandPose:
    """The person in a picture taken in the middle of a gesture."""
    return on_bones(*(points[frame : frame + 1] for points in gestures.skeleton(gesture, FRAMES)), sizes)


def standing(sizes: tuple) -> HandPose:
    """The person in the picture: arms hang down and a little outwards, across the view."""
    down = np.array([0.35, np.sqrt(1 - 0.35**2), 0.0])
    shoulder = np.array([gestures.SHOULDER_HALF_WIDTH, gestures.SHOULDER_DROP, 0.0])
    arm = np.stack([shoulder, shoulder + gestures.UPPER_ARM * down])
    arm = np.concatenate([arm, [arm[1] + gestures.FOREARM * down]])
    shape = Shape(**{name: np.asarray(angle, float)[None] for name, angle in gestures.OPEN.items()})
    axes = hand_axes(down[None], np.array([[0.0, 0.0, 1.0]]))
    hand = arm[2] + gestures.HAND * (hand_points(shape) @ axes)[0]
    flips = np.array([(1, 1, 1), (-1, 1, 1)])[:, None]
    middle = np.array([*gestures.NECK, 0])
    return on_bones((flips * hand)[None] + middle, (flips * arm)[None] + middle, sizes)


def bodies(count: int) -> list[tuple]:
    """Shoulders from 0.8 to 1.2 times the usual, and every bone by itself from 0.6 to 1.6 times, relative to them."""
    rng = np.random.default_rng(19)
    shoulders, arms = rng.uniform(0.8, 1.2, (count, 1)), rng.uniform(0.6, 1.6, (count, 3))
    return [tuple(sizes) for sizes in np.concatenate([shoulders, shoulders * arms], axis=1)]


def is_alike(sizes: tuple) -> bool:
    """Whether upper arm and forearm are long or short together."""
    return 1 / ALIKE < sizes[1] / sizes[2] < ALIKE


def then(first: HandPose, second: HandPose) -> HandPose:
    """Both as one clip, as two key frames make it."""

    def joined(one: Track, other: Track) -> Track:
        return Track(np.concatenate([one.points, other.points]), np.concatenate([one.scores, other.scores]))

    return first.with_tracks({name: joined(track, second.tracks[name]) for name, track in first.tracks.items()})


def away(pose: HandPose, truth: HandPose) -> np.ndarray:
    """How far wrists and fingers are off, in widths of the picture."""
    return np.linalg.norm(pose.hands - truth.hands, axis=-1).ravel()


def errors(person: HandPose, driving: HandPose, truth: HandPose) -> tuple[np.ndarray, np.ndarray]:
    """With retarget, and with fit_hands alone."""
    fitted = align.align(person, driving, framing="keep").pose
    return away(retarget(person, driving), truth), away(fitted, truth)


def row(name: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> str:
    found = [np.concatenate(column) for column in zip(*pairs, strict=True)]
    return (
        f"| {name} | "
        + " | ".join(
            f"{100 * value:.1f} %" for column in found for value in (np.median(column), np.percentile(column, 95))
        )
        + " |"
    )


def pictures_of_bent_arms(people: list[tuple], more: bool = False) -> list:
    """Errors over bodies, with two gestures; `more`: with a second key frame of straight arms."""
    people = [(at_frame(*moment, sizes), sizes) for moment in BENT for sizes in people]
    return [
        errors(then(person, standing(sizes)) if more else person, moving(name, USUAL), moving(name, sizes))
        for person, sizes in people
        for name in ("explaining", "waving")
    ]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    print(HEAD)
    print("|" + " --- |" * 5)
    for gesture in gestures.names():
        pairs = [errors(standing(sizes), moving(gesture, USUAL), moving(gesture, sizes)) for sizes in bodies(count)]
        print(row(f"straight arms across the view, {gesture}", pairs), flush=True)
    for name, drivers in (("short or long arms", OTHER_ARMS), ("short forearms", [SHORT_FOREARMS])):
        pairs = [
            errors(standing(sizes), moving(gesture, driver), moving(gesture, sizes))
            for gesture in gestures.names()
            for driver in drivers
            for sizes in bodies(count)
        ]
        print(row(f"straight arms, of a driving person with {name}", pairs), flush=True)
    for name, alike in (("alike", True), ("uneven", False)):
        people = [sizes for sizes in bodies(count) if is_alike(sizes) == alike]
        print(row(f"bent arms, {name} bones", pictures_of_bent_arms(people)))
        print(row(f"bent arms, {name} bones, second key frame", pictures_of_bent_arms(people, more=True)))


if __name__ == "__main__":
    main()
