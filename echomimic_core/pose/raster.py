"""Lines, dots and limbs as OpenCV draws them, pixel for pixel, in torch: any number of canvases at once, on any device.

Every stroke becomes spans: runs of pixels of one row. Arithmetic is OpenCV's (`cv2.line` of thickness 2,
`cv2.circle` filled, `cv2.ellipse2Poly` and `cv2.fillConvexPoly`): whole numbers with 16 bits of fraction.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

_BITS = 16
_ONE = 1 << _BITS
_HALF = _ONE >> 1
# The ends of a line two pixels wide are dots of this radius.
_END_RADIUS = 1
_ARC_STEP = 5


@dataclass
class Spans:
    """Runs of pixels: the stroke each belongs to, its row, and its first and last column, all (n,) int64."""

    stroke: torch.Tensor
    row: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor

    @classmethod
    def joined(cls, parts: list["Spans"]) -> "Spans":
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ("stroke", "row", "first", "last")))


def line_spans(starts: torch.Tensor, ends: torch.Tensor, height: int, width: int) -> Spans:
    """Lines of thickness 2 from `starts` to `ends`, (n, 2) int64 x and y, on canvases of height x width."""
    stroke = torch.arange(len(starts), device=starts.device)
    a, b = starts << _BITS, ends << _BITS
    across, up = (a[:, 0] - b[:, 0]) / _ONE, (b[:, 1] - a[:, 1]) / _ONE
    across, up = across.double(), up.double()
    length = across.square() + up.square()
    reach = _ONE / length.clamp(min=1e-300).sqrt()
    # Half the thickness at right angles to the line; rounded half to even, as OpenCV does.
    offset = torch.stack([(up * reach).round(), (across * reach).round()], dim=1).long()
    corners = torch.stack([a + offset, a - offset, b - offset, b + offset], dim=1)
    long = length > 0
    parts = [_polygon_spans(corners[long], stroke[long], height, width)]
    return Spans.joined(
        [*parts, _shifted(dot_spans(starts, _END_RADIUS), stroke), _shifted(dot_spans(ends, _END_RADIUS), stroke)]
    )


def dot_spans(points: torch.Tensor, radius: int) -> Spans:
    """Filled circles around points (n, 2) int64."""
    rows, reaches = (torch.tensor(values, device=points.device) for values in _disc(radius))
    stroke = torch.arange(len(points), device=points.device)[:, None].expand(-1, len(rows))
    row, x, reach = points[:, 1:] + rows, points[:, :1], reaches.expand(len(points), -1)
    return Spans(stroke.reshape(-1), row.reshape(-1), (x - reach).reshape(-1), (x + reach).reshape(-1))


def limb_spans(ellipses: torch.Tensor, half_width: int, height: int, width: int) -> Spans:
    """Filled ellipses (n, 4) int64: middle x and y, half length, angle in whole degrees."""
    corners, count = _ellipse_corners(ellipses, half_width)
    stroke = torch.arange(len(ellipses), device=ellipses.device)
    edges = corners.shape[1]
    previous = corners.roll(1, dims=1)
    previous[:, 0] = corners.gather(1, (count - 1)[:, None, None].expand(-1, 1, 2))[:, 0]
    there = torch.arange(edges, device=corners.device) < count[:, None]
    outline = _thin_line_spans(previous[there], corners[there], stroke[:, None].expand(-1, edges)[there], height, width)
    return Spans.joined([outline, _filled_spans(corners << _BITS, count, stroke, height, width)])


def paint(
    spans: Spans, frames: torch.Tensor, colours: torch.Tensor, count: int, height: int, width: int
) -> torch.Tensor:
    """Canvases (count, height, width, 3) uint8, black where nothing is drawn; of two strokes the later one is seen.

    frames : (strokes,) canvas of each stroke. colours : (strokes, 3) uint8.
    """
    first, last = spans.first.clamp(min=0), spans.last.clamp(max=width - 1)
    seen = (spans.row >= 0) & (spans.row < height) & (first <= last)
    stroke, first = spans.stroke[seen], first[seen]
    begin = (frames[stroke] * height + spans.row[seen]) * width + first
    pixels, owner = _expanded(begin, last[seen] - first + 1)
    top = torch.zeros(count * height * width, dtype=torch.int64, device=colours.device)
    top.scatter_reduce_(0, pixels, stroke[owner] + 1, "amax")
    palette = torch.cat([torch.zeros_like(colours[:1]), colours])
    return palette[top].reshape(count, height, width, 3)


def _expanded(begin: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """begin, begin + 1, ... for each run, and the run each value belongs to."""
    owner = torch.repeat_interleave(torch.arange(len(begin), device=begin.device), length)
    start = (length.cumsum(0) - length)[owner]
    return begin[owner] + torch.arange(len(owner), device=begin.device) - start, owner


def _shifted(spans: Spans, stroke: torch.Tensor) -> Spans:
    return Spans(stroke[spans.stroke], spans.row, spans.first, spans.last)


@lru_cache
def _disc(radius: int) -> tuple[list[int], list[int]]:
    """Rows of a filled circle and how far each reaches to both sides, by Bresenham's rule."""
    reaches: dict[int, int] = {}
    x, y, error, plus, minus = radius, 0, 0, 1, 2 * radius - 1
    while x >= y:
        for row, reach in ((y, x), (x, y)):
            for sign in (-row, row):
                reaches[sign] = max(reaches.get(sign, 0), reach)
        y += 1
        error += plus
        plus += 2
        if error > 0:
            error -= minus
            x -= 1
            minus -= 2
    return list(reaches), list(reaches.values())


def _polygon_spans(corners: torch.Tensor, stroke: torch.Tensor, height: int, width: int) -> Spans:
    """Filled polygons (n, k, 2) with 16 bits of fraction, with their outlines."""
    count = torch.full((len(corners),), corners.shape[1], device=corners.device)
    previous, owners = corners.roll(1, dims=1).reshape(-1, 2), stroke.repeat_interleave(corners.shape[1])
    outline = _fine_line_spans(previous, corners.reshape(-1, 2), owners, height, width)
    return Spans.joined([outline, _filled_spans(corners, count, stroke, height, width)])


def _filled_spans(corners: torch.Tensor, count: torch.Tensor, stroke: torch.Tensor, height: int, width: int) -> Spans:
    """The inside of convex polygons (n, k, 2), of whose corners the first `count` (n,) are there."""
    there = torch.arange(corners.shape[1], device=corners.device) < count[:, None]
    far = torch.iinfo(torch.int64).max
    x, y = corners[..., 0], corners[..., 1]
    lowest = torch.where(there, y, far).argmin(dim=1)
    rows = (y + _HALF) >> _BITS
    top = rows.gather(1, lowest[:, None])[:, 0]
    bottom = torch.where(there, rows, -far).amax(dim=1)
    right = torch.where(there, (x + _HALF) >> _BITS, -far).amax(dim=1)
    left = torch.where(there, (x + _HALF) >> _BITS, far).amin(dim=1)
    seen = (count > 2) & (right >= 0) & (bottom >= 0) & (left < width) & (top < height)
    corners, rows, count, stroke = corners[seen], rows[seen], count[seen], stroke[seen]
    # The last row is the outline's alone.
    lowest, top, bottom = lowest[seen], top[seen], bottom[seen].clamp(max=height)
    begin = top.clamp(min=0)
    row, owner = _expanded(begin, (bottom - begin).clamp(min=0))
    sides = [_side(corners, rows, count, lowest, top, row, owner, step) for step in (1, -1)]
    first = (torch.minimum(*sides) + _HALF) >> _BITS
    last = (torch.maximum(*sides) + _HALF) >> _BITS
    return Spans(stroke[owner], row, first, last)


def _side(corners, rows, count, lowest, top, row, owner, step: int) -> torch.Tensor:
    """Where one side of each polygon, walked from its first corner in steps of `step`, meets each row."""
    here = lowest
    current = top.clone()
    x = torch.full_like(row, -_ONE)
    start = corners[:, :, 0].gather(1, here[:, None])[:, 0]
    for _ in range(corners.shape[1]):
        here = (here + step) % count
        reached = rows.gather(1, here[:, None])[:, 0]
        next_x = corners[:, :, 0].gather(1, here[:, None])[:, 0]
        down = reached > current
        drop = torch.where(down, reached - current, 1)
        slope = torch.div((next_x - start) * 2 + drop, 2 * drop, rounding_mode="trunc")
        # An edge holds from its first row on, until the next one takes over.
        mine = down[owner] & (row >= current[owner])
        x = torch.where(mine, start[owner] + (row - current[owner]) * slope[owner], x)
        current, start = torch.where(down, reached, current), next_x
    return x


def _clipped(a: torch.Tensor, b: torch.Tensor, width: int, height: int):
    """Lines cut at the edges of [0, width) x [0, height), and which of them are inside at all."""
    limits = (width - 1, height - 1)

    def outside(points: torch.Tensor, axis: int) -> torch.Tensor:
        return (points[:, axis] < 0) * 1 + (points[:, axis] > limits[axis]) * 2

    def cut(points, others, axis, todo):
        code = outside(points, axis)
        edge = torch.where(code < 2, 0, limits[axis])
        delta = others - points
        along = delta[:, axis]
        moved = (edge - points[:, axis]).double() * delta[:, 1 - axis].double()
        shift = torch.div(moved, torch.where(along == 0, 1, along).double()).trunc().long()
        new = points.clone()
        new[:, axis], new[:, 1 - axis] = edge, points[:, 1 - axis] + shift
        return torch.where((todo & (code > 0))[:, None], new, points)

    apart = torch.zeros(len(a), dtype=torch.bool, device=a.device)
    for axis in (0, 1):
        apart |= (outside(a, axis) & outside(b, axis)) > 0
    for axis in (1, 0):
        a = cut(a, b, axis, ~apart)
        b = cut(b, a, axis, ~apart)
        apart |= (outside(a, 0) & outside(b, 0)) > 0
    inside = ~apart
    for axis in (0, 1):
        inside &= (outside(a, axis) == 0) & (outside(b, axis) == 0)
    return a, b, inside


def _fine_line_spans(a: torch.Tensor, b: torch.Tensor, stroke: torch.Tensor, height: int, width: int) -> Spans:
    """Thin lines between points (n, 2) with 16 bits of fraction."""
    a, b, inside = _clipped(a, b, width << _BITS, height << _BITS)
    a, b, stroke = a[inside], b[inside], stroke[inside]
    delta = b - a
    flat = delta[:, 0].abs() > delta[:, 1].abs()
    main = torch.where(flat, 0, 1)[:, None]
    backwards = delta.gather(1, main) < 0
    begin, end = torch.where(backwards, b, a), torch.where(backwards, a, b)
    delta = end - begin
    along, across = delta.gather(1, main)[:, 0], delta.gather(1, 1 - main)[:, 0]
    slope = torch.div(across * _ONE, along | 1, rounding_mode="trunc")
    steps = (end.gather(1, main)[:, 0] - begin.gather(1, main)[:, 0]) >> _BITS
    begin_main, begin_other = begin.gather(1, main)[:, 0] + _HALF, begin.gather(1, 1 - main)[:, 0] + _HALF
    step, owner = _expanded(torch.zeros_like(steps), steps + 1)
    on_main = (begin_main[owner] >> _BITS) + step
    on_other = (begin_other[owner] + step * slope[owner]) >> _BITS
    x, y = torch.where(flat[owner], on_main, on_other), torch.where(flat[owner], on_other, on_main)
    last = (end + _HALF) >> _BITS
    x, y, owner = torch.cat([x, last[:, 0]]), torch.cat([y, last[:, 1]]), torch.cat([stroke[owner], stroke])
    return _points(x, y, owner, width)


def _thin_line_spans(a: torch.Tensor, b: torch.Tensor, stroke: torch.Tensor, height: int, width: int) -> Spans:
    """Thin lines between whole points (n, 2), from left to right, by Bresenham's rule."""
    a, b, inside = _clipped(a, b, width, height)
    a, b, stroke = a[inside], b[inside], stroke[inside]
    backwards = (b[:, :1] - a[:, :1]) < 0
    begin, end = torch.where(backwards, b, a), torch.where(backwards, a, b)
    delta = end - begin
    flat = delta[:, 0] >= delta[:, 1].abs()
    main = torch.where(flat, 0, 1)[:, None]
    along, across = delta.gather(1, main)[:, 0], delta.gather(1, 1 - main)[:, 0]
    step, owner = _expanded(torch.zeros_like(along), along.abs() + 1)
    length = along.abs()[owner]
    moved = torch.div(2 * across.abs()[owner] * step + length - 1, (2 * length).clamp(min=1), rounding_mode="floor")
    on_main = begin.gather(1, main)[:, 0][owner] + step * along.sign()[owner]
    on_other = begin.gather(1, 1 - main)[:, 0][owner] + moved * across.sign()[owner]
    x, y = torch.where(flat[owner], on_main, on_other), torch.where(flat[owner], on_other, on_main)
    return _points(x, y, stroke[owner], width)


def _points(x: torch.Tensor, y: torch.Tensor, stroke: torch.Tensor, width: int) -> Spans:
    """Single pixels; those outside the canvas are left out by a row that no canvas has."""
    row = torch.where((x >= 0) & (x < width), y, -1)
    return Spans(stroke, row, x, x)


def _ellipse_corners(ellipses: torch.Tensor, half_width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners (n, k, 2) int64 of ellipses, repeated ones left out, and how many each has (n,)."""
    sines = torch.from_numpy(_sines()).to(ellipses.device)
    angle = ellipses[:, 3] % 360
    cosine, sine = sines[450 - angle], sines[angle]
    arc = torch.arange(0, 361, _ARC_STEP, device=ellipses.device)
    x = ellipses[:, 2:3] * sines[450 - arc]
    y = half_width * sines[arc].expand(len(ellipses), -1)
    middle = ellipses[:, :2].double()
    corners = torch.stack(
        [
            middle[:, :1] + x * cosine[:, None] - y * sine[:, None],
            middle[:, 1:] + x * sine[:, None] + y * cosine[:, None],
        ],
        dim=-1,
    )
    corners = corners.round().long()
    new = torch.ones(corners.shape[:2], dtype=torch.bool, device=corners.device)
    new[:, 1:] = (corners[:, 1:] != corners[:, :-1]).any(-1)
    order = (~new).long().argsort(dim=1, stable=True)
    return corners.gather(1, order[..., None].expand(-1, -1, 2)), new.sum(dim=1)


@lru_cache
def _sines() -> np.ndarray:
    """OpenCV's table of sines of whole degrees from 0 to 450: seven decimals, in float32."""
    return np.sin(np.radians(np.arange(451))).round(7).astype(np.float32).astype(np.float64)
