"""APDH at inference: phases, strengths, keypoint groups and the reach of audio."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import conditions, denoiser, reference, relative_error

from echomimic_core.apdh.steering import (
    ORIGINAL,
    APDHOptions,
    attention_sizes,
    box_mask,
    face_box,
    feather_mask,
    level_gains,
    phase_of,
    strength_at,
)
from echomimic_core.config import SamplingConfig
from echomimic_core.pose import HandPose
from echomimic_core.sampling.assemble import assemble, audio_mask
from echomimic_core.sampling.loop import sample

FRAMES = 3
RUN = SamplingConfig(steps=4, guidance_scale=1.0)


@pytest.mark.parametrize("timestep, phase", [(999, 0), (900, 0), (899, 1), (300, 1), (299, 2), (0, 2)])
def test_timesteps_at_the_borders_belong_to_the_right_phase(timestep, phase):
    assert phase_of(timestep) == phase


def test_timesteps_outside_the_schedule_are_refused():
    with pytest.raises(ValueError, match="1000"):
        phase_of(1000)


def test_strength_follows_phase_and_span():
    strengths = (0.1, 0.2, 0.3)
    assert [strength_at(t, strengths, (0.0, 1.0)) for t in (999, 500, 0)] == [0.1, 0.2, 0.3]
    assert strength_at(999, strengths, (0.2, 1.0)) == 0.0
    assert strength_at(799, strengths, (0.2, 1.0)) == 0.2
    assert strength_at(0, strengths, (0.0, 0.9)) == 0.0


def noise() -> torch.Tensor:
    return torch.randn(FRAMES, 4, 8, 8, generator=torch.Generator().manual_seed(5))


def run(options: APDHOptions = ORIGINAL, **changes) -> torch.Tensor:
    return sample(denoiser(), conditions(FRAMES, apdh=options, **changes), noise(), RUN)


def test_defaults_are_exactly_the_original():
    assert torch.equal(run(), run(APDHOptions()))
    assert torch.equal(run(), run(APDHOptions(audio_strength=(1.0, 1.0, 1.0), pose_range=(0.0, 1.0))))


def test_no_audio_strength_is_silence():
    off = APDHOptions(audio_strength=(0.0, 0.0, 0.0))
    assert torch.equal(run(off), run(audio=None))
    assert relative_error(run(off), run()) > 1e-3


def test_no_pose_strength_is_no_pose():
    off = APDHOptions(pose_strength=(0.0, 0.0, 0.0))
    assert torch.equal(run(off), run(pose_maps=None))
    assert relative_error(run(off), run()) > 1e-3


def test_strength_in_one_phase_only_differs_from_all_phases():
    early = run(APDHOptions(audio_strength=(0.0, 1.0, 1.0)))
    assert relative_error(early, run()) > 1e-5
    assert relative_error(early, run(audio=None)) > 1e-5


def test_a_white_mask_changes_nothing_and_a_black_one_silences():
    white, black = torch.ones(1, 8, 8), torch.zeros(1, 8, 8)
    assert relative_error(run(audio_mask=white), run()) < 1e-6
    assert relative_error(run(audio_mask=black), run(audio=None)) < 1e-6


def test_mask_is_zero_outside_at_every_level():
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1.0
    gains = level_gains(mask, attention_sizes(16, 16, 4))
    assert set(gains) == {(16, 16), (8, 8), (4, 4), (2, 2)}
    for (height, width), gain in gains.items():
        grid = gain.reshape(height, width)
        assert (grid[: height // 2] == 1).all() and (grid[height // 2 :] == 0).all()


def test_odd_sizes_round_up_as_the_network_does():
    assert attention_sizes(15, 9, 4) == [(15, 9), (8, 5), (4, 3), (2, 2)]


def face_pose(frames: int = 2) -> HandPose:
    faces = np.zeros((frames, 68, 2))
    faces[:, :48] = np.linspace([0.4, 0.2], [0.6, 0.4], 48)
    faces[:, 48:] = np.linspace([0.45, 0.34], [0.55, 0.38], 20)
    ones = np.ones((frames, 68))
    return HandPose(np.zeros((frames, 2, 21, 2)), np.zeros((frames, 2, 21)), faces=faces, face_scores=ones)


def test_lips_lie_inside_the_head():
    faces = torch.from_numpy(face_pose().faces)
    lips, head = face_box(faces, None, "lips"), face_box(faces, None, "head")
    assert head[0] < lips[0] < lips[2] < head[2] and head[1] < lips[1] < lips[3] < head[3]
    assert lips[0] < 0.45 and lips[2] > 0.55


def test_unseen_face_points_do_not_count():
    faces, scores = torch.from_numpy(face_pose().faces), torch.ones(2, 68)
    faces[0, 60], scores[0, 60] = 5.0, 0.0
    assert face_box(faces, scores, "lips") == face_box(torch.from_numpy(face_pose().faces), None, "lips")


def test_box_mask_covers_its_box():
    mask = box_mask((0.25, 0.5, 0.75, 1.0), 8, 8)
    assert mask.sum() == 4 * 4 and (mask[0, 4:, 2:6] == 1).all()


def test_feather_softens_the_edge_only():
    mask = box_mask((0.25, 0.25, 0.75, 0.75), 40, 40)
    soft = feather_mask(mask, 0.05)
    assert soft[0, 20, 20] == 1 and soft[0, 0, 0] == 0 and 0 < soft[0, 10, 20] < 1
    assert torch.equal(feather_mask(mask, 0.0), mask)


def test_reach_without_a_face_gets_a_sentence():
    pose = replace(face_pose(), faces=None, face_scores=None)
    with pytest.raises(ValueError, match="no face points: connect a mask"):
        audio_mask(APDHOptions(reach="lips"), pose, 2, 64, 64)


def test_reach_with_a_face_that_was_never_seen_gets_a_sentence():
    pose = replace(face_pose(), face_scores=np.zeros((2, 68)))
    with pytest.raises(ValueError, match="shows no face"):
        audio_mask(APDHOptions(reach="head"), pose, 2, 64, 64)


def test_mask_of_another_length_gets_a_sentence():
    with pytest.raises(ValueError, match="5 frames, but the clip has 2"):
        audio_mask(APDHOptions(mask=torch.ones(5, 8, 8)), face_pose(), 2, 64, 64)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"keypoints": ("hands", "feet")}, "'feet' is unknown"),
        ({"reach": "toes"}, "'toes' is unknown"),
        ({"audio_range": (0.8, 0.2)}, "starts at 0.8 and ends at 0.2"),
    ],
)
def test_wrong_options_get_a_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        APDHOptions(**wrong)


@pytest.mark.parametrize("fit, white", [("crop", slice(16, 48)), ("pad", slice(24, 40))])
def test_the_mask_is_cropped_and_padded_like_the_picture(fit, white):
    mask = torch.zeros(1, 512, 1024)
    mask[:, :, 384:640] = 1.0
    fitted = audio_mask(APDHOptions(mask=mask, feather=0.0), None, 2, 64, 64, fit)[0]
    expected = torch.zeros(64)
    expected[white] = 1.0
    assert torch.allclose(fitted[32], expected, atol=0.1)
    assert (fitted[0] == 0).all() == (fit == "pad")


def test_a_black_mask_gets_a_sentence():
    with pytest.raises(ValueError, match="the voice would move nothing"):
        audio_mask(APDHOptions(mask=torch.zeros(1, 8, 8)), None, 2, 64, 64)


def test_keypoint_groups_reach_the_map():
    pose = face_pose(FRAMES)
    hands_only = assemble(reference(), None, pose, FRAMES).pose_maps([0])
    with_lips = assemble(reference(), None, pose, FRAMES, apdh=APDHOptions(keypoints=("hands", "lips"))).pose_maps([0])
    assert hands_only.shape == (1, 3, 64, 64)
    assert not hands_only.any() and with_lips.any()
