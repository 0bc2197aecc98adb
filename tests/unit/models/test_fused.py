"""Functions between the products: the same as an operator, in plain torch and with gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from echomimic_core.models import fused
from echomimic_core.models.fused import add, add_norm, as_picture, as_tokens, geglu, group_norm, layer_norm


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


TOKENS, MORE, POSITIONS = random(6, 5, 8), random(6, 5, 8, seed=1), random(5, 8, seed=2)
PICTURES = random(3, 8, 4, 6, seed=3)
NORM, GROUPS = nn.LayerNorm(8), nn.GroupNorm(4, 8)

CASES = {
    "geglu": (lambda x: geglu(x), TOKENS, lambda x: x[..., :4] * F.gelu(x[..., 4:])),
    "layer norm": (lambda x: layer_norm(NORM, x, POSITIONS), TOKENS, lambda x: NORM(x) + POSITIONS),
    "group norm": (lambda x: group_norm(GROUPS, x), PICTURES, lambda x: GROUPS(x)),
    "group norm and SiLU": (lambda x: group_norm(GROUPS, x, silu=True), PICTURES, lambda x: F.silu(GROUPS(x))),
    "sum": (lambda x: add(x, MORE, 3.0), TOKENS, lambda x: x + 3.0 * MORE),
    "normed sum": (lambda x: add_norm(NORM, x, MORE, 3.0)[1], TOKENS, lambda x: NORM(x + 3.0 * MORE)),
    "sum that is normed": (lambda x: add_norm(NORM, x, MORE)[0], TOKENS, lambda x: x + MORE),
    "positions": (
        lambda x: add_norm(NORM, x, MORE, positions=POSITIONS)[1],
        TOKENS,
        lambda x: NORM(x + MORE) + POSITIONS,
    ),
    "one row for all": (lambda x: add_norm(NORM, x, MORE[:1, :1])[1], TOKENS, lambda x: NORM(x + MORE[:1, :1])),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("operator", [False, True])
def test_a_function_is_what_it_stands_for(case, operator, monkeypatch):
    monkeypatch.setattr(fused, "_in_the_open", lambda hidden: not operator)
    function, given, plain = CASES[case]
    with torch.no_grad():
        assert torch.allclose(function(given.clone()), plain(given), atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_plain_terms(case):
    function, given, plain = CASES[case]
    one, other = (given.clone().requires_grad_() for _ in range(2))
    function(one).square().sum().backward()
    plain(other).square().sum().backward()
    assert torch.allclose(one.grad, other.grad, atol=1e-4)


def test_sums_are_made_in_place_only_without_gradients():
    hidden = TOKENS.clone()
    add(hidden, MORE)
    assert torch.equal(hidden, TOKENS)
    with torch.no_grad():
        assert add(hidden, MORE) is hidden


@pytest.mark.parametrize("last", [False, True])
def test_pictures_and_their_norm_stay_as_they_lie(last):
    layout = torch.channels_last if last else torch.contiguous_format
    pictures = PICTURES.contiguous(memory_format=layout)
    with torch.no_grad():
        assert group_norm(GROUPS, pictures, silu=True).is_contiguous(memory_format=layout)
    tokens = as_tokens(pictures)
    assert tokens.is_contiguous() and torch.equal(as_picture(tokens, (4, 6)), PICTURES)
    assert (tokens.data_ptr() == pictures.data_ptr()) == last
