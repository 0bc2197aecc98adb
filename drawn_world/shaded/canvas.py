"""A picture on which shapes are painted with soft light, as if each were a little inflated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from echomimic_core.media.opencv import cv2

# From a surface towards the light, in the picture.
LIGHT = np.array([-0.55, -0.83])
_FRACTION = 4  # Bits of OpenCV's sub-pixel places


@dataclass(frozen=True)
class Material:
    """What a shape is made of.

    Attributes
    ----------
    colour : RGB, 0..255. light : how much brighter the side towards the light is, and darker the other, 0..1.
    rim : how much darker the edge is, 0..1. reach : how far edges shade inwards, in frame widths.
    warm : how much redder the shade is, as in skin, 0..1.
    """

    colour: tuple
    light: float = 0.22
    rim: float = 0.22
    reach: float = 0.02
    warm: float = 0.0

    def shaded(self, factor: float) -> "Material":
        """The same, darker or lighter."""
        return replace(self, colour=shade(self.colour, factor))


@dataclass(frozen=True)
class Patch:
    """Part of a canvas: its left and top pixel and how much of each pixel is covered, (h, w) float32 in 0..1."""

    left: int
    top: int
    alpha: np.ndarray

    def cut(self, alpha: np.ndarray) -> "Patch":
        """Covered only as far as `alpha` (h, w) says."""
        return replace(self, alpha=(self.alpha * alpha).astype(np.float32))

    def within(self, other: "Patch") -> "Patch":
        """Covered only where another patch is."""
        theirs = np.zeros_like(self.alpha)
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom = min(self.top + self.alpha.shape[0], other.top + other.alpha.shape[0])
        right = min(self.left + self.alpha.shape[1], other.left + other.alpha.shape[1])
        if bottom > top and right > left:
            part = other.alpha[top - other.top : bottom - other.top, left - other.left : right - other.left]
            theirs[top - self.top : bottom - self.top, left - self.left : right - self.left] = part
        return self.cut(theirs)

    def fading(self, start: np.ndarray, end: np.ndarray, side: int) -> "Patch":
        """Nothing at one place of a canvas of `side` pixels and before it, all from another place on."""
        h, w = self.alpha.shape
        way = (end - start) * side
        y = (np.arange(h, dtype=np.float32)[:, None] + self.top - start[1] * side) * way[1]
        x = (np.arange(w, dtype=np.float32) + self.left - start[0] * side) * way[0]
        share = np.clip((x + y) / max(float(way @ way), 1e-3), 0, 1)
        return self.cut(share * share * (3 - 2 * share))


class Canvas:
    """A square picture of `side` pixels, (side, side, 3) float32 RGB in 0..255; places are 0..1 of it."""

    def __init__(self, picture: np.ndarray, relief: float = 1.0, outline: float = 0.0):
        self.picture, self.side = picture, len(picture)
        self.relief, self.outline = relief, outline

    def area(self, *outlines: np.ndarray, pad: float = 0.0) -> Patch:
        """The inside of closed polygons (N, 2)."""
        left, top, mask = self._blank(np.concatenate(outlines), pad)
        for outline in outlines:
            cv2.fillPoly(mask, [self._places(outline, left, top)], 255, cv2.LINE_AA, _FRACTION)
        return Patch(left, top, mask.astype(np.float32) / 255)

    def limb(self, points: np.ndarray, radii: Sequence[float], hull: np.ndarray | None = None) -> Patch:
        """A chain of cones with round ends through `points` (N, 2); `hull` (M, 2) is filled besides."""
        points, radii = np.asarray(points), np.asarray(radii, float)
        every = points if hull is None else np.concatenate([points, hull])
        left, top, mask = self._blank(every, radii.max())
        along = np.diff(points, axis=0)
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        near, far = across * radii[:-1, None], across * radii[1:, None]
        a, b = points[:-1], points[1:]
        for quad in self._places(np.stack([a + near, b + far, b - far, a - near], axis=1), left, top):
            cv2.fillConvexPoly(mask, quad, 255, cv2.LINE_AA, _FRACTION)
        sizes = np.round(radii * (self.side * 2**_FRACTION)).astype(int).tolist()
        for middle, size in zip(self._places(points, left, top).tolist(), sizes, strict=True):
            cv2.circle(mask, middle, size, 255, -1, cv2.LINE_AA, _FRACTION)
        if hull is not None:
            cv2.fillPoly(mask, [self._places(hull, left, top)], 255, cv2.LINE_AA, _FRACTION)
        return Patch(left, top, mask.astype(np.float32) / 255)

    def paint(self, patch: Patch, material: Material, outline: bool = True) -> None:
        """Cover the patch with a material under the light."""
        alpha = patch.alpha
        sigma = max(1.0, material.reach * self.side)
        height = blur(alpha, sigma)
        x, y = (cv2.Sobel(height, cv2.CV_32F, *order, ksize=3, scale=0.125) for order in ((1, 0), (0, 1)))
        lit = -(x * LIGHT[0] + y * LIGHT[1]) * (2.5 * sigma)
        edge = np.clip(2 - 2 * height, 0, 1)
        light = 1 + self.relief * (material.light * lit - material.rim * edge * edge)
        if outline and self.outline:
            light = light * (1 - self.outline * np.clip(1 - self._inner(alpha), 0, 1))
        self.mix(patch, np.asarray(material.colour, np.float32) * tint(light, material.warm))

    def mix(self, patch: Patch, colour, strength: float = 1.0) -> None:
        """Cover the patch with a colour (3,) or colours (h, w, 3)."""
        rows, columns = (
            slice(patch.top, patch.top + len(patch.alpha)),
            slice(patch.left, patch.left + patch.alpha.shape[1]),
        )
        area = self.picture[rows, columns]
        area += (np.asarray(colour, np.float32) - area) * (strength * patch.alpha[..., None])

    def darken(self, patch: Patch, strength: float, warm: float = 0.0) -> None:
        """Let less light fall on the patch."""
        rows, columns = (
            slice(patch.top, patch.top + len(patch.alpha)),
            slice(patch.left, patch.left + patch.alpha.shape[1]),
        )
        self.picture[rows, columns] *= tint(1 - strength * self.relief * patch.alpha, warm)

    def softened(self, patch: Patch, width: float, shift: tuple[float, float] = (0.0, 0.0)) -> Patch:
        """The patch with soft edges `width` frame widths wide, grown by them, and moved."""
        pad = int(np.ceil(2.5 * width * self.side))
        dx, dy = (round(v * self.side) for v in shift)
        left, top = max(0, patch.left - pad + dx), max(0, patch.top - pad + dy)
        right = min(self.side, patch.left + patch.alpha.shape[1] + pad + dx)
        bottom = min(self.side, patch.top + len(patch.alpha) + pad + dy)
        wide = np.pad(patch.alpha, pad)
        y, x = top - (patch.top - pad + dy), left - (patch.left - pad + dx)
        soft = blur(wide, max(0.5, width * self.side), cv2.BORDER_CONSTANT)
        return Patch(left, top, np.ascontiguousarray(soft[y : y + max(0, bottom - top), x : x + max(0, right - left)]))

    def stroke(self, points: np.ndarray, width: float, soft: float = 0.0) -> Patch:
        """A line of a width, in frame widths, with tapered ends and edges as soft as wanted."""
        points = np.asarray(points)
        taper = np.sin(np.linspace(0.25, np.pi - 0.25, len(points))) if len(points) > 2 else np.ones(len(points))
        patch = self.limb(points, np.maximum(0.5 * width * taper, 0.4 / self.side))
        return self.softened(patch, soft) if soft else patch

    def _inner(self, alpha: np.ndarray) -> np.ndarray:
        width = max(1, round(0.0035 * self.side))
        inner = cv2.erode(alpha, np.ones((2 * width + 1,) * 2, np.uint8), borderType=cv2.BORDER_REPLICATE)
        return cv2.blur(inner, (3, 3))

    def _blank(self, points: np.ndarray, pad: float) -> tuple[int, int, np.ndarray]:
        edge = pad * self.side + 3
        low = np.clip(np.floor(points.min(0) * self.side - edge), 0, self.side - 1).astype(int)
        high = np.clip(np.ceil(points.max(0) * self.side + edge), low + 1, self.side).astype(int)
        return int(low[0]), int(low[1]), np.zeros((high - low)[::-1], np.uint8)

    def _places(self, points: np.ndarray, left: int, top: int) -> np.ndarray:
        return np.round((np.asarray(points) * self.side - 0.5 - (left, top)) * 2**_FRACTION).astype(np.int32)


def blur(values: np.ndarray, sigma: float, border: int | None = None) -> np.ndarray:
    """About a Gaussian blur, as fast for any width."""
    width = max(1, round(sigma * 2)) | 1
    for _ in range(3):
        values = cv2.blur(values, (width, width), borderType=cv2.BORDER_REPLICATE if border is None else border)
    return values


def tint(light: np.ndarray, warm: float) -> np.ndarray:
    """Light (h, w) as factors (h, w, 3) of colours; what is dark gets redder by `warm`."""
    if not warm:
        return np.maximum(light, 0.02)[..., None]
    bend = np.array([-0.35, 0.1, 0.2], np.float32) * warm
    return np.maximum(1 + (light[..., None] - 1) * (1 + bend), 0.02)


def spline(points: np.ndarray, closed: bool = False, each: int = 4) -> np.ndarray:
    """A smooth line (Catmull-Rom) through points (N, 2), with `each` points for each of them."""
    points = np.asarray(points, float)
    around = np.concatenate([points[-1:], points, points[:2]] if closed else [points[:1], points, points[-1:]])
    count = len(points) if closed else len(points) - 1
    t = (np.arange(each) / each)[None, :, None]
    a, b, c, d = (around[i : i + count, None] for i in range(4))
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    line = line.reshape(-1, 2)
    return line if closed else np.concatenate([line, points[-1:]])


def shade(colour, factor: float) -> tuple:
    """A colour, darker or lighter."""
    return tuple(float(min(255.0, channel * factor)) for channel in colour)
