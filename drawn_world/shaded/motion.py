"""The small movements of someone who speaks: breath, head and shoulders that follow the stress, gaze, trailing hair."""

from dataclasses import replace

import numpy as np

from echomimic_core.config import FPS
from echomimic_core.pose.hand_pose import HandPose

# Seconds of a breath, and how far the shoulders rise with it and with the voice's stress, in frame heights.
BREATH, RISE, STRESS_RISE = 3.6, 0.006, 0.004
# How far the trunk leans to and fro, and the largest turn of the head, in face widths at the nose.
LEAN, TURN = 0.006, 0.06
# Hair is a weight on a spring: hertz, damping, and how far its ends may trail, in frame heights.
HAIR_RATE, HAIR_DAMPING, HAIR_REACH = 1.5, 0.3, 0.03
# Seconds that a look stays, and how often it is at the viewer.
LOOK, AT_VIEWER = (0.7, 2.4), 0.55
_STEPS = 4  # Of the spring in a frame


def breathing(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(frames,) 0 breathed out to 1 in: in a little faster than out."""
    phase = np.arange(frames) / FPS / BREATH + rng.random()
    return 0.5 - 0.5 * np.cos(2 * np.pi * (phase + 0.06 * np.sin(2 * np.pi * phase)))


def livened(pose: HandPose, breath: np.ndarray, stress: np.ndarray, rng: np.random.Generator) -> HandPose:
    """The pose with shoulders that rise with breath and stress, a trunk that leans, and a head that turns."""
    time = np.arange(len(pose)) / FPS
    lean = LEAN * np.sin(2 * np.pi * (0.13 * time + rng.random()))
    rise = RISE * breath + STRESS_RISE * stress
    bodies, faces = pose.bodies.copy(), pose.faces.copy()
    bodies[:, [1, 2, 5]] += np.stack([lean, -rise], 1)[:, None]
    shift = np.stack([1.3 * lean, -0.5 * rise], 1)[:, None]
    faces += shift
    slow = np.sin(2 * np.pi * (0.17 * time + rng.random())) + 0.6 * np.sin(2 * np.pi * (0.41 * time + rng.random()))
    turn = TURN * (0.55 * slow + 0.5 * (stress - 0.4) * rng.choice((-1, 1)))
    width = np.linalg.norm(faces[:, 16] - faces[:, 0], axis=-1)
    aside = (faces[..., 0] - faces[:, [0, 16], 0].mean(1, keepdims=True)) / (0.5 * width[:, None])
    # What is nearer to the viewer moves more
    near = np.clip(1 - aside**2, 0, 1)
    near[:, 27:36] *= 1.25
    near[:, :17] *= 0.35
    faces[..., 0] += turn[:, None] * width[:, None] * near
    bodies[:, 0] = faces[:, 30]
    bodies[:, [15, 14]] = np.stack([faces[:, 42:48].mean(1), faces[:, 36:42].mean(1)], 1)
    bodies[:, [17, 16]] = faces[:, [16, 0]]
    return replace(pose, faces=faces, bodies=bodies)


def trailing(path: np.ndarray) -> np.ndarray:
    """(F, 2): how far what hangs on a spring trails a path (F, 2)."""
    omega = 2 * np.pi * HAIR_RATE
    place, speed, found = path[0].copy(), np.zeros(2), []
    step = 1 / (FPS * _STEPS)
    for target in path:
        for _ in range(_STEPS):
            speed += step * (omega**2 * (target - place) - 2 * HAIR_DAMPING * omega * speed)
            place += step * speed
        found.append(np.clip(place - target, -HAIR_REACH, HAIR_REACH))
    return np.array(found)


def looks(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Gaze (frames, 2) in -1..1 that jumps from place to place, often to the viewer."""
    gaze, begin, now = np.empty((frames, 2)), 0, np.zeros(2)
    while begin < frames:
        end = begin + max(2, round(rng.uniform(*LOOK) * FPS))
        before, now = now, np.zeros(2) if rng.random() < AT_VIEWER else rng.uniform((-0.8, -0.5), (0.8, 0.5))
        gaze[begin:end] = now
        gaze[begin : begin + 1] = (before + now) / 2
        begin = end
    return gaze
