"""L_pose looks at the hands of the frame, and nowhere else; what is absent from the true frame is left out."""

import numpy as np
import pytest
import torch

from echomimic_core import landmarks
from echomimic_core.landmarks.look import Look
from echomimic_core.pose import HandPose
from echomimic_core.training.data.squares import BODY, FACE, LEFT_HAND, RIGHT_HAND, squares_of
from echomimic_core.training.loss.keypoints import SIGMA, KeypointLoss, map_error


def drawn_error(seen: Look, target: Look, cells=400) -> float:
    """The same number from maps that are drawn, on a plane twice as large as the square."""
    place = (torch.arange(cells) + 0.5) / cells * 2 - 0.5

    def maps(look: Look) -> torch.Tensor:
        x, y = (torch.exp(-((place - look.points[0, :, axis, None]) ** 2) / (2 * SIGMA**2)) for axis in range(2))
        return look.presence[0] * y[:, :, None] * x[:, None, :]

    return float((maps(seen) - maps(target)).square().sum() / maps(target).square().sum())


def test_the_error_is_that_of_drawn_maps():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(1, 5, 2, generator=generator)
    target = Look(points, torch.tensor([0.9]), torch.zeros(1))
    for shift, presence in ((0.0, 0.9), (0.02, 0.7), (0.2, 0.95), (0.0, 0.01)):
        seen = Look(points + shift, torch.tensor([presence]), torch.zeros(1))
        assert map_error(seen, target).item() == pytest.approx(drawn_error(seen, target), abs=2e-3)


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module", params=["0222", "0077"])
def frame(request, samples):
    """A photograph (1, 3, s, s), its hands, and where the loss looks."""
    from PIL import Image

    picture = np.asarray(Image.open(samples / "reference" / f"{request.param}.png").convert("RGB").resize((768, 768)))
    hands = landmarks.find_hands(picture[None])[0]
    assert len(hands) == 2
    pose = HandPose(np.stack([hand.points for hand in hands])[None] / 768, np.ones((1, 2, 21)))
    return tensor(picture), hands, torch.from_numpy(squares_of(pose, ("hands",)))


@pytest.fixture(scope="module")
def loss():
    return KeypointLoss()


def test_equal_frames_cost_nothing_and_a_hand_that_is_gone_costs_one(frame, loss):
    picture, hands, squares = frame
    empty = picture.clone()
    for hand in hands:
        low, high = hand.points.min(0) - 0.1 * hand.size, hand.points.max(0) + 0.1 * hand.size
        empty[..., int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = picture[..., :20, :20].mean()
    with torch.no_grad():
        assert loss(picture, picture, squares) < 1e-6
        assert loss(empty, picture, squares).item() == pytest.approx(1.0, abs=0.05)


def test_the_error_grows_with_the_distance_and_is_above_jpeg_noise(frame, loss):
    picture, hands, squares = frame
    with torch.no_grad():
        moved = [loss(torch.roll(picture, round(part * hands[0].size), 3), picture, squares) for part in (0.05, 0.1)]
        noise = loss((picture + 0.02 * torch.randn(picture.shape)).clamp(0, 1), picture, squares)
    assert noise < moved[0] < moved[1]


def test_its_gradient_lies_in_the_squares_of_the_hands(frame, loss):
    picture, _, squares = frame
    # One hand is enough to tell the squares from the rest
    squares = torch.where(torch.arange(4)[:, None] == LEFT_HAND, squares, 0.0)
    pixels = torch.roll(picture, 8, 3).requires_grad_()
    loss(pixels, picture, squares).backward()
    x, y, side = (768 * squares[0, LEFT_HAND, :3]).tolist()
    reach = side / 2**0.5 + 2
    outside = pixels.grad.clone()
    outside[..., max(0, int(y - reach)) : int(y + reach), max(0, int(x - reach)) : int(x + reach)] = 0
    assert pixels.grad.abs().sum() > 0 and not outside.any()


def test_what_the_true_frame_lacks_is_left_out(frame, loss):
    picture, _, squares = frame
    noise = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert loss(noise, picture, squares * 0) == 0
        # The shard says there is a hand, but the network sees none in the true frame
        assert loss(picture, torch.full_like(picture, 0.5), squares) == 0


def test_squares_are_those_of_the_groups_and_of_what_is_there():
    rng = np.random.default_rng(0)
    pose = HandPose(
        rng.uniform(0.3, 0.7, (2, 2, 21, 2)),
        np.ones((2, 2, 21)),
        rng.uniform(0.2, 0.8, (2, 18, 2)),
        np.ones((2, 18)),
        rng.uniform(0.4, 0.6, (2, 68, 2)),
        np.ones((2, 68)),
    )
    pose.hand_scores[1, RIGHT_HAND, 3] = 0
    pose.body_scores[1, 3:] = 0
    sides = squares_of(pose, ("hands", "body", "face"))[..., 2]
    assert (sides[0] > 0).all()
    assert (sides[1] > 0).tolist() == [True, False, False, True]
    assert not squares_of(pose, ("hands",))[:, [BODY, FACE]].any()
    middle, size = pose.faces[0].mean(0), np.ptp(pose.faces[0], axis=0).max()
    np.testing.assert_allclose(squares_of(pose, ("face",))[0, FACE, :2], middle, atol=0.05)
    assert sides[0, FACE] == pytest.approx(1.5 * size)
