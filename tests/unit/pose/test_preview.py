"""Overlays and contact sheets: the pictures they should be, in little memory, and stopped when the user wants."""

import numpy as np
import pytest
from poses import random_pose

from echomimic_core.pose import preview
from echomimic_core.pose.draw import draw_maps


def coloured(frames):
    """A picture of one colour for each frame number."""
    return np.broadcast_to(np.asarray(frames, np.uint8)[:, None, None, None] + 50, (len(frames), 60, 90, 3))


def test_a_long_clip_is_drawn_a_few_frames_at_a_time():
    drawn, told = [], []

    def draw(part):
        drawn.append(len(part))
        return coloured(part)

    frames = np.arange(0, 100, 2)
    pictures = list(preview.in_parts(draw, frames, lambda done, total: told.append((done, total))))
    np.testing.assert_array_equal(pictures, coloured(frames))
    assert max(drawn) <= 16 and sum(drawn) == 50
    assert told[0] == (0, 50) and told[-1] == (50, 50) and len(told) > 3


def test_drawing_stops_when_the_user_cancels():
    class Cancelled(Exception):
        pass

    def cancel(done, total):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(preview.in_parts(coloured, np.arange(100), cancel))


def test_a_contact_sheet_takes_pictures_as_they_come():
    """One after the other, and none is asked for before the last one is on the sheet."""
    waiting = []

    def pictures():
        for frame in range(7):
            waiting.append(frame)
            yield coloured([frame])[0].copy()

    labels = [str(frame) for frame in range(7)]
    sheet = preview.contact_sheet(pictures(), labels)
    np.testing.assert_array_equal(sheet, preview.contact_sheet(coloured(range(7)), labels))
    assert sheet.ndim == 3 and {50 + frame for frame in range(7)} <= set(np.unique(sheet).tolist())
    assert waiting == list(range(7))


def test_a_sheet_is_no_wider_than_asked_for():
    sheet = preview.contact_sheet(coloured(range(30)), [""] * 30, max_width=200)
    assert 100 < sheet.shape[1] <= 200


def test_an_overlay_in_parts_is_the_overlay():
    pose, picture = random_pose(20), np.full((96, 128, 3), 200, np.uint8)
    whole = preview.overlay(pose, picture, range(20))
    parts = list(preview.in_parts(lambda part: preview.overlay(pose, picture, part), np.arange(20)))
    np.testing.assert_array_equal(parts, whole)
    # Of another shape than the pose: cropped, so that the hands are as large as in a square of the longer side.
    assert (whole != preview.overlay(pose, picture, range(20), fit="pad")).any()
    square = draw_maps(pose, [0], 128, 128)[0, 16:112]
    untouched = (square == 0).all(axis=-1)
    assert (whole[0][untouched] == 120).mean() > 0.97 and (whole[0][~untouched] != 120).mean() > 0.5
