"""What is pinned: outside a mask everything, except where arms and hands are going to be."""

from dataclasses import replace

import numpy as np
import torch

from echomimic_core.pose import gestures
from echomimic_core.scene.crop import Crop
from echomimic_core.scene.pin import Pin, at_cells, mask_of_crop


def crop_with(masks):
    return Crop(np.eye(2, 3)[None], (256, 256), 256, 256, masks)


def test_a_crop_without_a_mask_pins_nothing():
    assert (mask_of_crop(crop_with(None), None, 32, 32) == 1).all()


def test_a_crop_s_person_is_free_with_a_cell_of_room_and_a_soft_rim():
    masks = torch.zeros(1, 64, 64, dtype=torch.uint8)
    masks[0, 16:32, 16:32] = 255
    free = mask_of_crop(crop_with(masks), None, 32, 32)
    assert (free[0, 0, 8:16, 8:16] == 1).all()
    assert not free[0, 0, :5].any() and not free[0, 0, 19:].any()
    rim = free[0, 0, [5, 18], 12]
    assert (rim > 0).all() and (rim <= 0.25).all()


def test_hands_of_the_pose_are_free_wherever_they_go():
    pose = gestures.clip("waving", 48)
    free = mask_of_crop(crop_with(torch.zeros(1, 64, 64, dtype=torch.uint8)), pose, 32, 32)
    places = (pose.hands[pose.hand_scores > 0] * 32).astype(int)
    inside = ((places >= 0) & (places < 32)).all(axis=1)
    assert inside.sum() > 500 and (free[0, 0][places[inside, 1], places[inside, 0]] == 1).all()
    assert 0.1 < free.mean() < 0.8


def test_masks_for_each_frame_stay_as_they_are():
    masks = torch.zeros(3, 64, 64, dtype=torch.uint8)
    for frame in range(3):
        masks[frame, :, 16 * frame : 16 * frame + 8] = 255
    free = mask_of_crop(crop_with(masks), gestures.clip("waving", 3), 32, 32)
    assert len(free) == 3 and [int(frame.amax(dim=(0, 1)).argmax()) for frame in free] == [0, 7, 15]


def test_cells_that_are_touched_a_little_are_held():
    mask = torch.zeros(1, 256, 256)
    mask[0, 0, 0] = 1.0
    mask[0, 128:, 128:] = 1.0
    cells = at_cells(mask, 32, 32, "crop")
    assert cells[0, 0, 0, 0] == 0 and (cells[0, 0, 18:, 18:] == 1).all()


def test_a_part_of_a_pin_repeats_its_last_frame():
    pin = Pin(torch.arange(3.0)[:, None, None, None].expand(3, 4, 2, 2), torch.ones(1, 1, 2, 2))
    latents, mask = pin.part([1, 2, 5])
    assert latents[:, 0, 0, 0].tolist() == [1, 2, 2] and mask.shape == (3, 1, 2, 2)
    assert replace(pin, mask=None).part([0])[1] is None
