"""Convolutions of fewer products on the CPU: the same numbers as torch's own, and only where they are meant."""

import pytest
import torch
from torch import nn

from echomimic_core.models import cpu_convolution
from echomimic_core.models.cpu_convolution import convolution, lay_out_weights

WIDE = cpu_convolution.NARROWEST


def layer(inputs: int, outputs: int, seed: int = 0, **settings) -> nn.Conv2d:
    torch.manual_seed(seed)
    return nn.Conv2d(inputs, outputs, 3, **{"padding": 1} | settings)


def both(network: nn.Conv2d, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        exact = network.double()(pictures.double())
        return convolution(network.float(), pictures), exact


@pytest.mark.parametrize("height, width", [(8, 8), (7, 10), (5, 3), (1, 2), (2, 2)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions_of_any_size_are_those_of_torch(height, width, last, bias):
    pictures = torch.randn(9, WIDE, height, width, generator=torch.Generator().manual_seed(1))
    if last:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    made, exact = both(layer(WIDE, WIDE + 16, bias=bias), pictures)
    assert made.shape == exact.shape
    assert (made - exact).norm() / exact.norm() < 3e-6


def test_pieces_of_a_batch_are_those_of_the_whole(monkeypatch):
    network, pictures = layer(WIDE, WIDE), torch.randn(7, WIDE, 8, 6, generator=torch.Generator().manual_seed(2))
    whole, _ = both(network, pictures)
    monkeypatch.setattr(cpu_convolution, "PIECE_ELEMENTS", 2 * 16 * 12 * WIDE)
    pieces, _ = both(network, pictures)
    assert torch.allclose(pieces, whole, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"stride": 2}, {"padding": 0}, {"dilation": 2, "padding": 2}, {"groups": 2}, {"padding": "same"}]
)
def test_other_convolutions_are_left_to_torch(settings, monkeypatch):
    monkeypatch.setattr(cpu_convolution, "convolve", None)
    made, exact = both(layer(WIDE, WIDE, **settings), torch.randn(2, WIDE, 8, 8))
    assert (made - exact).norm() / exact.norm() < 1e-5


def test_what_needs_a_gradient_is_left_to_torch():
    network = layer(WIDE, WIDE)
    convolution(network, torch.randn(9, WIDE, 8, 8)).sum().backward()
    assert network.weight.grad is not None


def test_fewer_products_are_made_than_torch_makes(monkeypatch):
    """A way that fell back to torch everywhere would pass every other test here."""
    called, convolve = [], cpu_convolution.convolve
    monkeypatch.setattr(cpu_convolution, "convolve", lambda *args: called.append(1) or convolve(*args))
    both(layer(WIDE, WIDE), torch.randn(9, WIDE, 8, 8))
    assert called


def test_weights_are_laid_out_once_and_stay_the_same_numbers():
    network = nn.Sequential(layer(WIDE, WIDE), nn.Linear(2, 2)).requires_grad_(False)
    before = network[0].weight.clone()
    lay_out_weights(network)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(network[0].weight, before)
    kept = network[0].weight.data_ptr()
    lay_out_weights(network)
    assert network[0].weight.data_ptr() == kept


def test_weights_that_are_trained_are_not_laid_out():
    network = nn.Sequential(layer(WIDE, WIDE))
    lay_out_weights(network)
    assert network[0].weight.is_contiguous()
