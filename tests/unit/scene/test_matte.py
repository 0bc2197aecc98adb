"""Mattes follow the edges of the picture."""

import numpy as np
import torch
from PIL import Image

from echomimic_core.landmarks import shared_networks
from echomimic_core.scene.matte import guided, person_matte


def test_a_coarse_mask_snaps_to_the_edge():
    guide = torch.zeros(3, 64, 64)
    guide[:, :, 32:] = 1.0
    coarse = (torch.arange(64) / 63).expand(64, 64)
    coarse = ((coarse - 0.3) / 0.4).clamp(0, 1)
    fine = guided(coarse, guide, 8)
    assert fine[20:44, 26:31].max() < 0.35 and fine[20:44, 33:38].min() > 0.65
    assert coarse[32, 33] - coarse[32, 30] < 0.15


def test_a_person_is_white_and_the_wall_black(samples):
    picture = np.asarray(Image.open(samples / "reference" / "0077.png").convert("RGB").resize((384, 384)))
    matte = person_matte(picture, shared_networks())
    assert matte[200:, 170:220].mean() > 0.97 and matte[:60, :120].max() < 0.05 and matte[:60, 280:].max() < 0.05


def test_an_empty_picture_has_an_empty_matte():
    assert not person_matte(np.full((64, 64, 3), 128, np.uint8), shared_networks()).any()
