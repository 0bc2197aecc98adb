"""People found in pictures and videos of ours: who, where, and how their crops lie."""

import numpy as np
import pytest
import torch
from PIL import Image

from echomimic_core.scene.crop import crop_person, cropped_pose, cut
from echomimic_core.scene.footage import Footage
from echomimic_core.scene.masks import with_masks
from echomimic_core.scene.people import find_people, overlay


def still(picture):
    return Footage(lambda: iter([picture]), picture.shape[1], picture.shape[0], 0.0, 1)


def photo(samples, name, side):
    return np.asarray(Image.open(samples / "reference" / name).convert("RGB").resize((side, side), Image.LANCZOS))


@pytest.fixture(scope="module")
def two(samples):
    """Two people side by side."""
    return find_people(
        still(np.concatenate([photo(samples, "0035.png", 480), photo(samples, "0077.png", 480)], axis=1))
    )


@pytest.fixture(scope="module")
def room(samples):
    """One person, 200 pixels high, in a wide room."""
    picture = np.full((1080, 1920, 3), (180, 170, 150), np.uint8)
    picture[500:760, 1300:1560] = photo(samples, "0222.png", 260)
    return find_people(still(picture))


def test_two_people_are_numbered_from_left_to_right(two):
    assert len(two) == 2
    first, second = (two.person(number) for number in (1, 2))
    assert first.box[0, 2] < second.box[0, 0] + 60 and second.box[0, 2] > 800
    assert (first.pose.hand_scores.max(axis=-1) > 0.5).all() and (second.pose.hand_scores.max(axis=-1) > 0.5).all()
    with pytest.raises(ValueError, match="no person 3: 2 were found"):
        two.person(3)


def test_a_mask_covers_its_person_and_not_the_other(two):
    mask = two.person(1).mask(0, np.eye(2, 3), 480, 960)
    assert mask[300:480, 200:280].mean() > 0.9 and mask[:, 480:].max() < 0.3 and mask[:20].max() < 0.3


def test_a_small_person_in_a_wide_room_needs_the_second_look(room):
    assert len(room) == 1
    left, top, right, bottom = room.person(1).box[0]
    assert 1300 < left < right < 1560 and 500 < top < bottom < 765
    with pytest.raises(ValueError, match="nobody was found"):
        find_people(room.footage, small=False)


def test_a_crop_frames_head_and_elbows_and_its_pose_lies_on_the_person(two, room):
    for people, number in ((two, 1), (two, 2), (room, 1)):
        person = people.person(number)
        crop = crop_person(person, 512)
        pose = cropped_pose(person.pose, crop)
        nose, neck = pose.bodies[0, 0], pose.bodies[0, 1]
        assert 0.35 < neck[0] < 0.65 and 0.1 < nose[1] < neck[1] < 0.6
        found = find_people(still(cut(people.footage.first(), crop)), small=False).person(1).pose
        assert np.abs(found.bodies[0, :8] - pose.bodies[0, :8]).max() < 0.04


def test_the_overlay_shows_everybody(two):
    shown = overlay(two)
    assert shown.shape == (480, 960, 3) and shown.dtype == np.uint8


def test_a_segmenter_s_mask_replaces_ours(two):
    mask = torch.zeros(1, 240, 480)
    mask[0, 100:200, 350:400] = 1.0
    people = with_masks(two, mask)
    assert people.person(1) is two.person(1)
    ours = people.person(2).mask(0, np.eye(2, 3), 480, 960)
    assert ours[210:390, 710:790].min() > 0.9
    ours[195:405, 695:805] = 0
    assert ours.max() < 0.05
    with pytest.raises(ValueError, match="100x100"):
        with_masks(two, torch.zeros(1, 100, 100))


def test_a_crop_that_follows_keeps_a_moving_person_in_place(samples):
    picture = photo(samples, "0035.png", 480)
    shifts = (30 * np.sin(np.arange(24) / 24 * 2 * np.pi)).round().astype(int)
    frames = [np.roll(picture, shift, axis=1) for shift in shifts]
    people = find_people(Footage(lambda: iter(frames), 480, 480, 24.0, 24), small=False)
    person = people.person(1)
    noses = {
        camera: cropped_pose(person.pose, crop_person(person, 256, camera=camera)).bodies[:, 0]
        for camera in ("still", "follow")
    }
    assert np.ptp(noses["still"][:, 0]) > 0.08
    assert np.ptp(noses["follow"][:, 0]) < 0.5 * np.ptp(noses["still"][:, 0])
    moving = crop_person(person, 256, camera="follow", mask="face")
    assert len(moving.matrices) == len(moving.masks) == 24
    # The face's mask is where chin, eyes and lips are, in every frame.
    faces = cropped_pose(person.pose, moving).faces[:, [*range(5, 12), *range(36, 68)]] * 64
    for mask, face in zip(moving.masks, faces, strict=True):
        inside = mask[face[:, 1].astype(int).clip(0, 63), face[:, 0].astype(int).clip(0, 63)]
        assert (inside > 100).all()
        assert 0.03 < (mask > 100).float().mean() < 0.3
    lower = crop_person(person, 256, camera="follow", mask="lower face")
    assert (lower.masks <= moving.masks).all()
    points = cropped_pose(person.pose, lower).faces * 64
    for mask, face in zip(lower.masks, points.round().astype(int), strict=True):
        assert (mask[face[48:, 1], face[48:, 0]] > 200).all() and not mask[face[36:48, 1], face[36:48, 0]].any()
