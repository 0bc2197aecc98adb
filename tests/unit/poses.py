"""Poses for tests: random ones, with every part or with hands only."""

import numpy as np

from echomimic_core.pose import HandPose


def random_pose(frames=6, seed=0, body=True, face=True, low=0.1, high=0.9, **fields) -> HandPose:
    """A pose of independent random points in [low, high] with scores around 1."""
    rng = np.random.default_rng(seed)

    def part(*shape):
        return rng.uniform(low, high, (frames, *shape, 2)), rng.uniform(0.4, 1.2, (frames, *shape))

    hands, hand_scores = part(2, 21)
    bodies, body_scores = part(18)
    faces, face_scores = part(68)
    return HandPose(
        hands=hands,
        hand_scores=hand_scores,
        bodies=bodies if body else None,
        body_scores=body_scores if body else None,
        faces=faces if face else None,
        face_scores=face_scores if face else None,
        **fields,
    )


def assert_same(first: HandPose, second: HandPose, tolerance: float = 0.0) -> None:
    for key, value in vars(first).items():
        other = getattr(second, key)
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(other, value, rtol=0, atol=tolerance, err_msg=key)
        else:
            assert other == value, key
