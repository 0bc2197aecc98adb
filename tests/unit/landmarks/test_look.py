"""A loss that looks at hands through the frozen network: it grows with the damage, and its gradient mends a hand."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from echomimic_core import landmarks
from echomimic_core.landmarks import look


@pytest.fixture(scope="module")
def networks():
    return landmarks.load_networks(("palm", "hand"))


@pytest.fixture(scope="module", params=["0222", "0077"])
def photograph(request, samples):
    from PIL import Image

    return np.asarray(Image.open(samples / "reference" / f"{request.param}.png").convert("RGB"))


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def blurred(picture: torch.Tensor, box: tuple[slice, slice], sigma: float) -> torch.Tensor:
    reach = int(3 * sigma)
    steps = torch.arange(-reach, reach + 1)
    bell = torch.exp(-(steps**2) / (2 * sigma**2))
    bell = (bell / bell.sum()).expand(3, 1, 1, -1)
    smooth = F.conv2d(F.pad(picture, (reach,) * 4, mode="replicate"), bell, groups=3)
    smooth = F.conv2d(smooth, bell.transpose(2, 3), groups=3)
    result = picture.clone()
    result[(..., *box)] = smooth[(..., *box)]
    return result


def bent(picture: torch.Tensor, middle: np.ndarray, radius: float, degrees: float) -> torch.Tensor:
    """The picture turned around a place, less and less towards the radius."""
    height, width = picture.shape[2:]
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    dx, dy = x - middle[0], y - middle[1]
    angle = np.radians(degrees) * (1 - (dx**2 + dy**2).sqrt() / radius).clamp(0, 1).sqrt()
    from_x = middle[0] + dx * angle.cos() + dy * angle.sin()
    from_y = middle[1] - dx * angle.sin() + dy * angle.cos()
    grid = torch.stack([(2 * from_x + 1) / width - 1, (2 * from_y + 1) / height - 1], dim=-1)[None]
    return F.grid_sample(picture, grid, align_corners=False)


def test_the_loss_grows_with_the_damage_and_is_above_jpeg_noise(photograph, networks):
    picture, graph = tensor(photograph), networks["hand"]
    for hand in landmarks.find_hands(photograph[None], networks)[0]:
        squares = torch.from_numpy(look.hand_squares(hand.points[None]))
        with torch.no_grad():
            true = look.look_at_hands(graph, picture, squares)

            def loss(damaged: torch.Tensor, true=true, squares=squares) -> float:
                with torch.no_grad():
                    return float(look.distance(look.look_at_hands(graph, damaged, squares), true))

        low, high = hand.points.min(axis=0) - 0.1 * hand.size, hand.points.max(axis=0) + 0.1 * hand.size
        box = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
        elsewhere = (slice(20, 20 + box[0].stop - box[0].start), slice(20, 20 + box[1].stop - box[1].start))
        noise = loss(tensor(jpeg(photograph, 75)))
        moved = [loss(torch.roll(picture, round(part * hand.size), dims=3)) for part in (0.05, 0.1, 0.2)]
        finger = hand.points[[5, 8]]
        broken = loss(bent(picture, finger.mean(axis=0), 1.1 * np.linalg.norm(finger[1] - finger[0]), 60))
        blur = loss(blurred(picture, box, hand.size / 30))
        empty = picture.clone()
        empty[(..., *box)] = picture[..., :20, :20].mean((2, 3), keepdim=True)
        gone = loss(empty)
        assert loss(picture) < 1e-3
        assert noise < moved[0] < moved[1] < moved[2] < gone
        assert broken > 1.5 * noise and blur > 1.5 * noise
        # A blurred hand costs far more than a box of its size blurred elsewhere: measured at 170 to 420 times as much.
        assert blur > 50 * loss(blurred(picture, elsewhere, hand.size / 30))


def test_fifty_steps_on_the_pixels_halve_the_error_of_a_displaced_hand(photograph, networks):
    graph = networks["hand"]
    hand = landmarks.find_hands(photograph[None], networks, limit=1)[0][0]
    squares = torch.from_numpy(look.hand_squares(hand.points[None]))
    picture = tensor(photograph)
    with torch.no_grad():
        true = look.look_at_hands(graph, picture, squares)
    pixels = torch.roll(picture, round(0.2 * hand.size), dims=3).requires_grad_()
    optimizer = torch.optim.Adam([pixels], lr=0.01)

    def error() -> float:
        with torch.no_grad():
            return float((look.look_at_hands(graph, pixels, squares).points - true.points).norm(dim=-1).mean())

    before = error()
    for _ in range(50):
        optimizer.zero_grad()
        look.distance(look.look_at_hands(graph, pixels, squares), true).sum().backward()
        optimizer.step()
    assert error() < before / 2


def test_bodies_and_faces_are_looked_at_in_the_same_way(photograph):
    networks = landmarks.load_networks(("body_detector", "body", "face_detector", "face"))
    picture = tensor(photograph)
    body, face = (
        landmarks.find_bodies(photograph[None], networks)[0][0],
        landmarks.find_faces(photograph[None], networks),
    )
    for looking, name, found in (
        (look.look_at_bodies, "body", body),
        (look.look_at_faces, "face", face[0][0]),
    ):
        squares = torch.from_numpy(found.square[None])
        with torch.no_grad():
            true = looking(networks[name], picture, squares)
            moved = torch.roll(picture, round(0.05 * found.square[2]), dims=2)
            assert float(look.distance(true, true)) < 2e-3
            assert float(look.distance(looking(networks[name], moved, squares), true)) > 0.3
        seen = true.points[0].numpy() * found.square[2]
        assert np.ptp(seen, axis=0).max() == pytest.approx(np.ptp(found.points, axis=0).max(), rel=0.2)
