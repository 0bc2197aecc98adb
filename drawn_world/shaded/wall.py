"""The background: a wall in soft light with blurred things."""

import numpy as np

from .canvas import Canvas, Material, shade
from .character import Character

# Of what stands behind the person, in frame widths.
OUT_OF_FOCUS = 0.006


def paint_wall(canvas: Canvas, who: Character) -> None:
    """Cover the whole canvas."""
    side = canvas.side
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    top, bottom = (np.array(colour, np.float32) for colour in who.walls)
    light = 1.06 - 0.3 * canvas.relief * ((x - who.daylight) ** 2 + 0.6 * (y - 0.25) ** 2)
    canvas.picture[:] = (top + (bottom - top) * (0.15 + 0.7 * y[..., None])) * light[..., None]
    for index, (left, upper, width, height, colour) in enumerate(who.things):
        corners = np.array(
            [(left, upper), (left + width, upper), (left + width, upper + height), (left, upper + height)]
        )
        thing = canvas.area(corners)
        canvas.darken(canvas.softened(thing, 0.012, (0.008, 0.012)), 0.3)
        canvas.paint(canvas.softened(thing, OUT_OF_FOCUS), Material(colour, 0.12, 0.1, 0.01), outline=False)
        if index == 0:
            # A picture in a frame
            middle = corners.mean(0)
            inside = middle + (corners - middle) * 0.8
            canvas.mix(canvas.softened(canvas.area(inside), OUT_OF_FOCUS), shade(colour, 1.3))
            hill = np.array(
                [inside[3], inside[3] * 0.4 + inside[0] * 0.6, middle, inside[2] * 0.7 + inside[1] * 0.3, inside[2]]
            )
            canvas.mix(canvas.softened(canvas.area(hill), OUT_OF_FOCUS), shade(colour, 0.75))
