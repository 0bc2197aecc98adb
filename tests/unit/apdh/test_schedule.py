"""APDH over a run, its masks, and Head Partial Attention."""

import dataclasses

import numpy as np
import pytest
import torch
import training_clips as clips

from echomimic_core.apdh.schedule import APDHPhase, APDHSchedule, keep_groups
from echomimic_core.apdh.steering import attention_sizes, level_gains
from echomimic_core.config import HEAD_POINTS
from echomimic_core.training.data.dataset import audio_reach
from echomimic_core.training.data.hpa import (
    FACE_HEIGHT,
    FACE_MIDDLE,
    FACE_TOP,
    choose_placement,
    head_mask,
    latent_mask,
    pad_frames,
    pad_pose,
)

SCHEDULE = APDHSchedule()


def test_initial_phase_draws_everything_and_audio_is_off():
    for step in (0, 9_999):
        state = SCHEDULE.at(step)
        assert set(state.keypoints) == {"hands", "body", "face", "lips"}
        assert (state.pose_dropout, state.audio, state.dropped) == (0.0, "off", ())


def test_iterative_phase_drops_the_pose_ever_more_often():
    dropout = [SCHEDULE.at(step).pose_dropout for step in range(10_000, 20_000, 100)]
    assert dropout[0] == 0.0 and dropout == sorted(dropout)
    assert SCHEDULE.at(19_999).pose_dropout == pytest.approx(0.2)
    assert {SCHEDULE.at(step).audio for step in (10_000, 19_999)} == {"off"}


def test_keypoints_go_and_audio_comes_in_step():
    states = [SCHEDULE.at(step) for step in (20_000, 30_000, 40_000, 10**7)]
    assert [set(state.dropped) for state in states] == [
        {"lips"},
        {"lips", "face"},
        {"lips", "face", "body"},
        {"lips", "face", "body"},
    ]
    assert [state.audio for state in states] == ["lips", "head", "body", "body"]
    assert all("hands" in state.keypoints for state in states)


def test_a_wrong_phase_is_a_sentence():
    with pytest.raises(ValueError, match="keypoint group 'feet' is unknown"):
        APDHPhase("initial", 10, keypoints=("feet",))
    with pytest.raises(ValueError, match="audio 'ears' is unknown"):
        APDHPhase("initial", 10, audio="ears")


def test_without_the_face_the_body_has_no_head():
    pose = clips.make_pose(np.array([0.4, 0.5]))
    kept = keep_groups(pose, ("hands", "body"))
    assert not kept.body_scores[:, HEAD_POINTS].any() and kept.body_scores[:, 1:14].all()
    assert pose.body_scores.all()
    assert keep_groups(pose, ("hands", "body", "face")) is pose


def levels_of(mask):
    cells = len(mask)
    return level_gains(mask[None], attention_sizes(cells, cells, 4))


@pytest.mark.parametrize("reach", ["lips", "head"])
def test_audio_reaches_nothing_outside_in_any_level(reach):
    pose = clips.make_pose(np.full(3, 0.5))
    mask = audio_reach(pose, reach, 96)
    assert 0 < (mask > 0).float().mean() < (0.1 if reach == "lips" else 0.4)
    # What a level's cell covers; it may hear only if the mask reaches into it
    for (height, width), gain in levels_of(mask).items():
        covered = torch.nn.functional.adaptive_max_pool2d(mask[None], (height, width))[0].flatten() > 0
        assert torch.equal(gain[0, :, 0] > 0, covered)
        assert not gain[0, ~covered].any()
    rows, columns = np.nonzero(mask.numpy())
    points = pose.faces[0, 48:] if reach == "lips" else pose.faces[0]
    centre = points.mean(0) * 96
    assert abs(rows.mean() - centre[1]) < 6 and abs(columns.mean() - centre[0]) < 3


def test_reach_grows_from_lips_to_head_to_body():
    pose = clips.make_pose(np.full(3, 0.5))
    lips, head, body = (audio_reach(pose, reach, 96) for reach in ("lips", "head", "body"))
    assert ((head > 0) >= (lips > 0)).all() and (body == 1).all()
    assert not audio_reach(pose, "off", 96).any()


@pytest.mark.parametrize("seed", range(5))
def test_headshots_land_where_faces_are_in_semi_body_clips(seed):
    pose = clips.make_pose(np.full(2, 0.5))
    place = choose_placement(pose, 256, np.random.default_rng(seed))
    moved = pad_pose(pose, place)
    low, high = moved.faces.min((0, 1)), moved.faces.max((0, 1))
    grain = 2 / 256
    assert FACE_TOP[0] - grain <= low[1] <= FACE_TOP[1] + grain
    assert FACE_HEIGHT[0] - grain <= high[1] - low[1] <= FACE_HEIGHT[1] + grain
    assert FACE_MIDDLE[0] - grain <= (low[0] + high[0]) / 2 <= FACE_MIDDLE[1] + grain
    assert not moved.hand_scores.any()


def test_a_headshot_has_no_body_where_its_picture_ends():
    pose = clips.make_pose(np.full(1, 0.5))
    pose = dataclasses.replace(pose, bodies=pose.bodies.copy())
    pose.bodies[:, 5] = (0.4, 1.2)  # Below the headshot, but inside the frame it is placed in
    place = choose_placement(pose, 256, np.random.default_rng(3))
    moved = pad_pose(pose, place)
    assert 0 < moved.bodies[0, 5, 1] < 1 and moved.body_scores[0, 5] == 0
    assert (np.delete(moved.body_scores, 5, axis=1) == 1).all()


def test_points_and_pixels_of_a_headshot_move_together():
    frames = np.zeros((1, 128, 128, 3), np.uint8)
    frames[0, 30:34, 60:64] = 255
    pose = clips.make_pose(np.full(1, 0.5))
    place = choose_placement(pose, 256, np.random.default_rng(3))
    padded, _ = pad_frames(frames, place)
    rows, columns = np.nonzero(padded[0, ..., 0] > 60)
    expected = place.points(np.array([62 / 128, 32 / 128])) * 256
    assert abs(columns.mean() + 0.5 - expected[0]) < 1.0 and abs(rows.mean() + 0.5 - expected[1]) < 1.0


def test_the_head_mask_lies_inside_the_headshot_and_the_padding_is_black():
    rng = np.random.default_rng(0)
    frames = rng.integers(50, 255, (2, 128, 128, 3), np.uint8)
    pose = clips.make_pose(np.full(2, 0.5))
    for _ in range(5):
        place = choose_placement(pose, 256, rng)
        padded, covered = pad_frames(frames, place)
        assert not padded[:, ~covered].any() and padded[:, covered].all()
        mask = head_mask(pad_pose(pose, place), covered)
        assert mask.sum() > 100 and not mask[~torch.from_numpy(covered)].any()
        cells = latent_mask(mask)
        # A latent cell counts only where all of its pixels are head
        whole = mask.unfold(0, 8, 8).unfold(1, 8, 8).amin((2, 3))
        assert torch.equal(cells, whole) and cells.any()


def test_the_picture_of_a_schedule_is_drawn_and_a_wrong_configuration_is_a_sentence(tmp_path):
    pytest.importorskip("matplotlib")
    from echomimic_core.training.run.apdh_picture import main

    main([str(tmp_path / "tiny.png"), "tiny"])
    assert (tmp_path / "tiny.png").stat().st_size > 10_000
    with pytest.raises(SystemExit, match="there is no configuration absent.yaml"):
        main([str(tmp_path / "other.png"), "absent.yaml"])
    assert not (tmp_path / "other.png").exists()
