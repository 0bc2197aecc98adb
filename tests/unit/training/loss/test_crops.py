"""Terms on a part of the frame: the part of the latents, of the pictures and of where to look go together."""

import torch

from echomimic_core.training.loss.crops import LossCrop
from echomimic_core.training.loss.diffusion import add_noise, velocity_target
from echomimic_core.training.loss.phd import PhDLoss, PhDWeights

CROP = LossCrop(left=2, top=1, side=4)


def test_cells_and_pixels_of_a_part_go_together():
    latents = torch.arange(64.0).reshape(1, 1, 8, 8)
    pictures = latents.repeat_interleave(8, -1).repeat_interleave(8, -2)
    assert torch.equal(CROP.pixels(pictures)[..., ::8, ::8], CROP.cells(latents))


def test_squares_move_with_the_part_and_others_are_left_out():
    squares = torch.tensor([[[0.5, 0.375, 0.25, 0.3], [0.9, 0.9, 0.25, 0.0]]])
    inside, outside = CROP.squares(squares, 64)[0]
    assert torch.allclose(inside, torch.tensor([0.5, 0.5, 0.5, 0.3]))
    assert (outside == 0).all()


def test_errors_outside_of_the_part_do_not_count():
    """The frame differs only outside: with the part the term is 0, without it is not."""

    def decode(latents):
        return latents[:, :1].repeat_interleave(8, -1).repeat_interleave(8, -2).expand(-1, 3, -1, -1)

    clean = torch.rand(1, 1, 4, 8, 8)
    frames = decode(clean[0])[None].clone()
    frames[..., 48:, :] = 1 - frames[..., 48:, :]
    weights = PhDWeights(pose=0.0, detail=1.0, low=0.0)
    at, picked = torch.tensor([500]), torch.zeros(1, 1, dtype=torch.long)
    noise = torch.zeros_like(clean)
    target = velocity_target(clean, noise, at)
    noisy = add_noise(clean, noise, at)
    found = [
        PhDLoss(weights, decode, decoded_size=size)(target, target, noisy, at, frames, picked, crops=crops)[1]["detail"]
        for size, crops in ((32, torch.tensor([[2, 1]])), (0, None))
    ]
    assert found[0].item() < 1e-6 < found[1].item()
