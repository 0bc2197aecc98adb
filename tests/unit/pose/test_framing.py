"""Framing is the original's, and a pose is fitted to a canvas as the picture is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from poses import assert_same, random_pose

from echomimic_core.media.picture import fit_picture
from echomimic_core.parity import pose as parity
from echomimic_core.pose.framing import fit_canvas, frame_pose, framing

PARITY = Path(__file__).parents[4] / "shared" / "parity"
needs_parity = pytest.mark.skipif(not PARITY.is_dir(), reason="the parity cases (../shared/parity) are not here")


def person(frames=3, neck=0.5, top=0.2, bottom=0.8):
    """Bodies and faces of one who stands with the neck at x `neck`, brows at y `top`, elbows at y `bottom`."""
    rng = np.random.default_rng(0)
    bodies = rng.uniform(top + 0.1, bottom - 0.1, (frames, 18, 2))
    bodies[:, 1, 0] = neck
    bodies[:, 3, 1] = bottom
    # Legs and the left wrist do not count.
    bodies[:, 7:, 1] = 1.5
    faces = rng.uniform(top + 0.01, top + 0.2, (frames, 68, 2))
    faces[:, 20, 1] = top
    return bodies, faces


@needs_parity
def test_framings_are_those_of_the_original():
    error, tolerance, detail = parity.check_framing({"file": "framing.json"}, PARITY)
    assert error <= tolerance, detail


@needs_parity
@pytest.mark.parametrize(
    "key, change", [("pose_params", 1e-6), ("draw_pose_params", 1), ("video_params", -1), ("width", 64)]
)
def test_parity_notices_a_wrong_framing(tmp_path, key, change):
    cases = json.loads((PARITY / "framing.json").read_text("utf-8"))
    if key == "width":
        cases[0][key] += change
    else:
        cases[0][key][3] += change
    (tmp_path / "framing.json").write_text(json.dumps(cases))
    error, tolerance, _ = parity.check_framing({"file": "framing.json"}, tmp_path)
    assert error > tolerance


@needs_parity
def test_parity_notices_a_wrong_map(tmp_path):
    folder = tmp_path / "poses"
    shutil.copytree(PARITY / "poses", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    records = json.loads((folder / "poses.json").read_text("utf-8"))
    records[0]["hands"] = (np.array(records[0]["hands"]) + 0.01).tolist()
    (folder / "poses.json").unlink()
    (folder / "poses.json").write_text(json.dumps(records))
    error, tolerance, _ = parity.check_pose({"file": "poses/poses.json"}, tmp_path)
    assert error > tolerance


def test_the_frame_is_a_square_with_the_originals_margins():
    bodies, faces = person()
    found = framing(bodies, faces, 1000, 1000)
    top, bottom = 0.2 - 0.1625 * 0.6, 0.8 + 0.0125 * 0.6
    np.testing.assert_allclose(found.pose_params[2:], (top, bottom))
    assert found.video_params == (102, 807, 147, 853)
    assert found.draw_pose_params == (768, 768, 0, 768, 0, 768)


def test_a_person_at_the_left_edge_gets_a_narrow_region_in_the_middle():
    found = framing(*person(neck=0.2), 1000, 1000, size=512)
    assert found.video_params[2:] == (0, 400)
    height, width, row, row_end, column, column_end = found.draw_pose_params
    assert (height, row, row_end) == (512, 0, 512)
    assert width == round(400 / 706 * 512) and column_end - column == width
    assert abs((column + column_end) / 2 - 256) <= 0.5


def test_points_that_were_not_found_do_not_count():
    bodies, faces = person()
    bodies[1, 4] = np.nan
    faces[2] = np.nan
    assert framing(bodies, faces, 640, 480) == framing(*person(), 640, 480)


def test_nobody_in_the_picture_is_a_sentence():
    bodies, faces = person()
    with pytest.raises(ValueError, match="needs a face and the upper body"):
        framing(bodies * np.nan, faces, 640, 480)
    with pytest.raises(ValueError, match="outside the picture"):
        framing(*person(neck=-0.5), 640, 480)


def test_framed_points_lie_where_the_framed_picture_shows_them():
    pose = random_pose(2, width=1280, height=720)
    found = framing(*person(neck=0.3), 1280, 720)
    moved = frame_pose(pose, found).whole_canvas()
    row, row_end, column, column_end = found.video_params
    _, _, to_row, to_row_end, to_column, to_column_end = found.draw_pose_params
    x = to_column + (pose.hands[..., 0] * 1280 - column) / (column_end - column) * (to_column_end - to_column)
    y = to_row + (pose.hands[..., 1] * 720 - row) / (row_end - row) * (to_row_end - to_row)
    # The original cuts rows to whole pixels, keypoints not: up to two pixels of the frame.
    np.testing.assert_allclose(moved.hands[..., 0] * 768, x, atol=1e-6)
    np.testing.assert_allclose(moved.hands[..., 1] * 768, y, atol=3)


def test_the_same_canvas_changes_nothing():
    pose = random_pose(region=(0, 768, 100, 668))
    assert fit_canvas(pose, 768, 768, "crop") is pose


@pytest.mark.parametrize("mode", ("crop", "pad"))
@pytest.mark.parametrize("size", ((480, 640), (640, 480), (400, 400), (1200, 700)))
def test_points_follow_the_picture_into_another_size(mode, size):
    """A bright block at a hand point is found where the fitted pose has the point."""
    height, width = size
    pose = random_pose(1, seed=3, low=0.35, high=0.65, width=768, height=512)
    x, y = pose.hands[0, 0, 0] * (768, 512)
    picture = torch.zeros(1, 512, 768, 3)
    rows, columns = torch.arange(512)[:, None] + 0.5, torch.arange(768)[None] + 0.5
    picture[0] = torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 200)[..., None]
    fitted = fit_picture(picture, height, width, mode)[0, ..., 0].numpy()
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width)[None] + 0.5
    found = np.array([(fitted * columns).sum(), (fitted * rows).sum()]) / fitted.sum()
    placed = fit_canvas(pose, height, width, mode).hands[0, 0, 0] * (width, height)
    np.testing.assert_allclose(placed, found, atol=1.0)


def test_nothing_is_stretched_and_padding_undoes_cropping():
    pose = random_pose(width=768, height=512)
    padded = fit_canvas(pose, 900, 600, "pad")
    steps = np.diff(pose.hands * (768, 512), axis=2)
    np.testing.assert_allclose(np.diff(padded.hands * (600, 900), axis=2), steps * 600 / 768)
    assert_same(fit_canvas(padded, 512, 768, "crop"), pose, 1e-12)


def test_absent_points_stay_absent_wherever_the_pose_goes():
    pose = random_pose(2)
    pose.hand_scores[0, 1] = 0
    moved = fit_canvas(pose, 300, 900, "pad")
    assert (moved.hands[0, 1] == 0).all() and (moved.hands[0, 0] != 0).all()
