"""Strokes drawn without OpenCV are OpenCV's in every pixel, where OpenCV is installed."""

import numpy as np
import pytest
import torch

from echomimic_core.pose import raster

HEIGHT, WIDTH = 200, 260
WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def cv2():
    return pytest.importorskip("cv2")


def painted(spans: raster.Spans, count: int) -> np.ndarray:
    """(count, HEIGHT, WIDTH) canvases with one stroke each."""
    colours = torch.full((count, 3), 255, dtype=torch.uint8)
    return raster.paint(spans, torch.arange(count), colours, count, HEIGHT, WIDTH)[..., 0].numpy()


def different(draw_ours, draw_theirs, strokes: np.ndarray, batch: int = 250) -> list[int]:
    """Indices of the strokes that are drawn differently."""
    found = []
    for start in range(0, len(strokes), batch):
        part = strokes[start : start + batch]
        ours = painted(draw_ours(torch.from_numpy(part)), len(part))
        for index, stroke in enumerate(part.tolist()):
            canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            draw_theirs(canvas, stroke)
            if (canvas[..., 0] != ours[index]).any():
                found.append(start + index)
    return found


def segments(count: int, outside: bool) -> np.ndarray:
    """Random segments, among them points, upright, level and very short ones."""
    rng = np.random.default_rng(3)
    low, high = ((-150, -150), (420, 420)) if outside else ((4, 4), (WIDTH - 4, HEIGHT - 4))
    ends = rng.integers(low, high, (count, 2, 2))
    ends[: count // 20, 1] = ends[: count // 20, 0] + rng.integers(-3, 4, (count // 20, 2))
    ends[-20:, 1], ends[-60:-40, 1, 0], ends[-40:-20, 1, 1] = ends[-20:, 0], ends[-60:-40, 0, 0], ends[-40:-20, 0, 1]
    return ends.reshape(-1, 4)


def test_ten_thousand_lines_are_those_of_opencv(cv2):
    # OpenCV 5 cuts lines at the edge of the canvas in another way than OpenCV 4, which the original draws with.
    strokes = segments(10_000, outside=cv2.__version__.startswith("4."))
    if not cv2.__version__.startswith("4."):
        strokes = strokes.clip(2, 197)
    assert not different(
        lambda ends: raster.line_spans(ends[:, :2], ends[:, 2:], HEIGHT, WIDTH),
        lambda canvas, ends: cv2.line(canvas, ends[:2], ends[2:], WHITE, thickness=2),
        strokes,
    )


@pytest.mark.parametrize("radius", [1, 3, 4])
def test_dots_are_those_of_opencv(cv2, radius):
    assert not different(
        lambda points: raster.dot_spans(points, radius),
        lambda canvas, point: cv2.circle(canvas, point, radius, WHITE, thickness=-1),
        np.random.default_rng(0).integers(-6, 266, (300, 2)),
    )


def test_limbs_are_those_of_opencv(cv2):
    rng = np.random.default_rng(1)
    low, high = (-50, -50, 0, -180), (310, 250, 150, 181)
    limbs = rng.integers(low, high, (1500, 4))
    limbs[:50, 2] = rng.integers(0, 4, 50)

    def theirs(canvas, limb):
        x, y, length, angle = limb
        cv2.fillConvexPoly(canvas, cv2.ellipse2Poly((x, y), (length, 4), angle, 0, 360, 5), WHITE)

    assert not different(lambda values: raster.limb_spans(values, 4, HEIGHT, WIDTH), theirs, limbs)


def test_the_later_of_two_strokes_is_seen():
    dots = raster.dot_spans(torch.tensor([[20, 20], [22, 20]]), 4)
    colours = torch.tensor([[255, 0, 0], [0, 255, 0]], dtype=torch.uint8)
    canvas = raster.paint(dots, torch.zeros(2, dtype=torch.int64), colours, 1, 40, 40)[0]
    assert canvas[20, 22].tolist() == [0, 255, 0] and canvas[20, 16].tolist() == [255, 0, 0]


def test_strokes_are_drawn_on_their_own_canvas():
    dots = raster.dot_spans(torch.tensor([[20, 20], [60, 20]]), 4)
    colours = torch.full((2, 3), 255, dtype=torch.uint8)
    canvases = raster.paint(dots, torch.tensor([1, 0]), colours, 2, 40, 80)
    assert canvases[0, :, :40].max() == 0 and canvases[0, 20, 60, 0] == 255
    assert canvases[1, :, 40:].max() == 0 and canvases[1, 20, 20, 0] == 255
