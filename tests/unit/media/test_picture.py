"""A picture's background is replaced where a mask says so, and nowhere else."""

import pytest
import torch

from echomimic_core.choices import COLOURS, FILLS
from echomimic_core.media.picture import fill_background


def person_and_mask():
    picture = torch.rand(1, 48, 64, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 24, 32)
    mask[:, 6:18, 8:24] = 1.0
    return picture, mask


@pytest.mark.parametrize("fill", [fill for fill in FILLS if fill != "keep"])
def test_the_person_stays_and_the_rest_is_filled(fill):
    picture, mask = person_and_mask()
    filled = fill_background(picture, mask, fill, torch.full((1, 10, 10, 3), 0.25))
    assert filled.shape == picture.shape
    assert torch.allclose(filled[:, 16:32, 20:44], picture[:, 16:32, 20:44])
    if fill in COLOURS:
        assert torch.allclose(filled[0, 0, 0], torch.tensor(COLOURS[fill]))
    if fill == "picture":
        assert torch.allclose(filled[0, 0, 0], torch.full((3,), 0.25))


def test_a_blur_knows_nothing_of_the_person():
    picture, mask = person_and_mask()
    other = picture.clone()
    other[:, 14:34, 18:46] = 1.0
    corner = [fill_background(image, mask, "blur")[0, 0, 0] for image in (picture, other)]
    assert torch.allclose(*corner, atol=0.02) and (corner[0] - picture[0, 0, 0]).abs().max() > 0.05


def test_an_alpha_channel_is_a_mask():
    picture, mask = person_and_mask()
    alpha = torch.nn.functional.interpolate(mask[None], size=(48, 64), mode="bilinear")[0, ..., None]
    assert torch.allclose(
        fill_background(torch.cat([picture, alpha], dim=-1), None, "green"), fill_background(picture, mask, "green")
    )


def test_keep_changes_nothing_and_missing_inputs_are_refused():
    picture, mask = person_and_mask()
    assert fill_background(picture, mask, "keep") is picture
    with pytest.raises(ValueError, match="connect a mask"):
        fill_background(picture, None, "green")
    with pytest.raises(ValueError, match="fill_picture is not connected"):
        fill_background(picture, mask, "picture")
