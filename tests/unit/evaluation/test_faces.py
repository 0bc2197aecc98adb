"""Faces: cut out as the networks were trained on them, and the numbers that come of them."""

import numpy as np
import pytest

from echomimic_core.evaluation import faces
from echomimic_core.evaluation.faces import Face, FaceFinder
from echomimic_core.evaluation.metrics.expression import correlation, expressions, loudness_per_frame
from echomimic_core.evaluation.metrics.identity import DlibEmbedder, csim
from tests.unit.evaluation_clips import bundles

MEAN_FACE = faces.DEEP3D_POINTS


def face_of(five_points: np.ndarray) -> Face:
    """A face whose eyes, nose tip and mouth corners lie there."""
    mesh = np.tile(np.asarray(five_points, float).mean(0), (478, 1))
    for point, indices in zip(five_points, (*faces.EYE_CORNERS, [1], [61], [291]), strict=True):
        mesh[list(indices)] = point
    return Face(mesh)


def marked(points: np.ndarray, size: int = 400) -> np.ndarray:
    """A black picture with a white dot at each point."""
    picture = np.zeros((size, size, 3), np.uint8)
    for x, y in np.round(points).astype(int):
        picture[y - 2 : y + 3, x - 2 : x + 3] = 255
    return picture


def brightness_at(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.array([crop[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].max() for x, y in np.round(points)])


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (2.5, 0.4), (1.7, -0.7)])
def test_arcfaces_five_points_come_to_their_places(scale, angle):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = faces.ARCFACE_POINTS.mean(0)
    points = (faces.ARCFACE_POINTS - centre) @ turn.T + 200
    crop = faces.arcface_crop(marked(points), face_of(points))
    assert crop.shape == (112, 112, 3)
    assert (brightness_at(crop, faces.ARCFACE_POINTS) > 60).all()


def test_similarity_is_exact_where_one_exists():
    matrix = faces.similarity(faces.ARCFACE_POINTS, faces.ARCFACE_POINTS * 2 + (3, -4))
    np.testing.assert_allclose(matrix, [[2, 0, 3], [0, 2, -4]], atol=1e-9)


@pytest.mark.parametrize("size", [60.0, 150.0])
def test_the_mean_face_fills_deep3ds_crop_whatever_its_size(size):
    flat = MEAN_FACE[:, :2] * (1, -1)
    points = flat * size + 200
    crop = faces.deep3d_crop(marked(points), face_of(points))
    assert crop.shape == (224, 224, 3)
    assert (brightness_at(crop, flat * faces.DEEP3D_SCALE + 112) > 60).all()


@pytest.mark.parametrize(
    ("size", "middle", "seen"),
    [
        (70.3, (130.6, 120.2), [[57, 67], [121, 130], [181, 191]]),
        (40.9, (99.4, 131.7), [[95, 62], [132, 99], [167, 134]]),
    ],
)
def test_on_whole_pixels_deep3ds_crop_is_that_of_the_public_code(size, middle, seen):
    """Rows and columns that Deep3DFaceRecon_pytorch's own align_img shows at three places of its crop."""
    rows, columns = np.mgrid[:240, :250].astype(np.uint8)
    face = face_of(MEAN_FACE[:, :2] * (1, -1) * size + middle)
    crop = faces.deep3d_crop_on_pixels(np.stack([rows, columns, rows], -1), face)
    assert crop.shape == (224, 224, 3)
    assert [crop[place, place, :2].tolist() for place in (20, 112, 200)] == seen


def test_shrinking_a_lot_averages_instead_of_breaking_up():
    board = (np.indices((1200, 1200)).sum(0) % 2 * 255).astype(np.uint8)
    picture = np.repeat(board[..., None], 3, 2)
    crop = faces.warp(picture, np.array([[0.1, 0, 0], [0, 0.1, 0.0]]), 100)
    assert np.abs(crop[10:-10, 10:-10].astype(int) - 127).max() < 12


def test_warping_keeps_places_however_much_it_shrinks():
    picture = np.zeros((800, 800, 3), np.uint8)
    picture[300:340, 500:540] = 255
    for scale in (0.9, 0.3, 0.12):
        crop = faces.warp(picture, np.array([[scale, 0, 0], [0, scale, 0]]), 100)[..., 0].astype(float)
        if 540 * scale < 100:
            rows, columns = np.indices(crop.shape)
            assert (columns * crop).sum() / crop.sum() == pytest.approx(519.5 * scale, abs=0.5)
            assert (rows * crop).sum() / crop.sum() == pytest.approx(319.5 * scale, abs=0.5)


def test_the_mouth_opens_by_parts_of_the_face():
    mesh = np.zeros((478, 2))
    mesh[10], mesh[152], mesh[13], mesh[14] = (50, 0), (50, 200), (50, 140), (50, 160)
    assert Face(mesh).mouth_opening == pytest.approx(0.1)
    assert Face(mesh * 3).mouth_opening == pytest.approx(0.1)


def test_iris_points_do_not_widen_the_box():
    mesh = np.full((478, 2), 60.0)
    mesh[0], mesh[468:] = (40, 50), (500, 500)
    assert Face(mesh).box == (40, 50, 60, 60)


def test_likeness_is_the_mean_cosine_and_zero_where_no_face_is():
    embeddings = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0], [0.0, 0.0]])
    mean, cosines = csim(np.array([5.0, 0.0]), embeddings, np.array([True, True, True, False]))
    np.testing.assert_allclose(cosines, [1, 0, 0.5**0.5, 0])
    assert mean == pytest.approx(cosines.mean())


def test_a_silent_frame_has_the_lowest_level_and_a_loud_one_its_own():
    rate = 16000
    sound = np.zeros(rate, np.float32)
    sound[rate // 2 :] = np.sqrt(2) * 0.1 * np.sin(2 * np.pi * 500 * np.arange(rate // 2) / rate)
    levels = loudness_per_frame(sound, rate, np.arange(24) / 24, 24)
    np.testing.assert_allclose(levels[:12], -60)
    np.testing.assert_allclose(levels[12:], -20, atol=0.1)


def test_frames_beyond_the_sound_are_silent():
    assert loudness_per_frame(np.ones(100, np.float32), 16000, np.array([5.0]), 24)[0] == -60


def test_correlation_leaves_frames_without_a_face_out():
    loudness = np.array([-60.0, -40, -20, -10, -30])
    mouth = np.array([0.0, 0.2, 0.4, np.nan, 0.3])
    assert correlation(mouth, loudness) == pytest.approx(1)
    with pytest.raises(ValueError, match="fewer than 3 frames"):
        correlation(np.array([0.1, np.nan, np.nan, 0.2, np.nan]), loudness)
    with pytest.raises(ValueError, match="never changes"):
        correlation(np.zeros(5), loudness)


def test_expressions_are_the_right_64_of_257():
    import torch

    def network(x: torch.Tensor) -> torch.Tensor:
        return torch.arange(257.0).expand(len(x), -1)

    found = expressions(network, np.zeros((2, 224, 224, 3), np.uint8))
    assert found.shape == (2, 64) and found[0, 0] == 80 and found[0, -1] == 143


@pytest.fixture(scope="module")
def pictures(samples) -> list[np.ndarray]:
    from PIL import Image

    paths = [samples / "reference" / f"{name}.png" for name in ("0035", "0077", "0222")]
    return [np.array(Image.open(path).convert("RGB")) for path in paths]


@pytest.fixture(scope="module", params=["built-in", "package"])
def finder(request):
    package = request.param == "package"
    with FaceFinder(bundles("face_landmarker.task") / "face_landmarker.task" if package else None) as finder:
        yield finder


def test_real_faces_are_found_where_they_are(pictures, finder):
    for picture in pictures:
        face = finder(picture)
        left, top, right, bottom = face.box
        assert 300 < left < 450 and 560 < right < 680 and 60 < top < 200 and 300 < bottom < 420
        eyes, nose, mouth = face.five_points[:2], face.five_points[2], face.five_points[3:]
        assert eyes[0, 0] < nose[0] < eyes[1, 0] and eyes[:, 1].max() < nose[1] < mouth[:, 1].min()
        assert 0 <= face.mouth_opening < 0.2


def test_a_lost_small_face_is_looked_for_where_it_was(pictures, finder):
    finder(pictures[0])
    assert finder._last is not None
    assert finder(np.zeros_like(pictures[0])) is None


def test_a_person_resembles_herself_more_than_others(pictures, finder):
    """With dlib's real network, where it is installed (DLIB_NETWORK is its file)."""
    import os

    pytest.importorskip("dlib")
    if not os.environ.get("DLIB_NETWORK"):
        pytest.skip("DLIB_NETWORK does not name dlib's network")
    embed = DlibEmbedder(os.environ["DLIB_NETWORK"])
    embeddings = [embed(picture, finder(picture)) for picture in pictures]
    darker = [embed(picture // 2, finder(picture // 2)) for picture in pictures]
    found = np.ones(1, bool)
    for index, mine in enumerate(darker):
        likeness = [csim(mine, other[None], found)[0] for other in embeddings]
        assert int(np.argmax(likeness)) == index and likeness[index] > 0.97


def test_a_bundle_that_is_none_is_a_sentence(tmp_path):
    pytest.importorskip("mediapipe")
    (tmp_path / "face_landmarker.task").write_bytes(b"nonsense")
    with (
        pytest.raises(ValueError, match=r"face_landmarker\.task cannot be used by MediaPipe"),
        FaceFinder(tmp_path / "face_landmarker.task"),
    ):
        pass
