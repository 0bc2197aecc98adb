"""Convolutions of one pass are the layers' own, and nothing fails where torch has no such operators."""

import pytest
import torch

from echomimic_core.landmarks import load_networks, one_pass

NETWORKS = ("palm", "hand", "body", "face")


@pytest.fixture(scope="module")
def networks():
    return load_networks(NETWORKS)


def outputs(graph) -> list[torch.Tensor]:
    pictures = torch.rand(2, 3, graph.size, graph.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return graph(pictures.contiguous(memory_format=torch.channels_last))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_what_its_layers_give(name, networks, monkeypatch):
    calls = []
    convolve = one_pass.convolve
    monkeypatch.setattr(one_pass, "convolve", lambda *given: calls.append(1) or convolve(*given))
    fast = outputs(networks[name])
    assert bool(calls) == one_pass.available()
    monkeypatch.setattr(one_pass, "available", lambda: False)
    for one, other in zip(fast, outputs(networks[name]), strict=True):
        assert (one - other).abs().max() < 1e-3 * other.abs().max()


def test_gradients_go_through_the_layers(networks, monkeypatch):
    monkeypatch.setattr(one_pass, "convolve", None)
    pictures = torch.rand(1, 3, 224, 224, requires_grad=True)
    networks["hand"](pictures)[0].sum().backward()
    assert pictures.grad.abs().sum() > 0


@pytest.mark.parametrize("fault", [AttributeError("no such operator"), RuntimeError("not on this machine")])
def test_a_torch_without_the_operators_is_told_apart(fault, monkeypatch):
    def missing(*given):
        raise fault

    one_pass.available.cache_clear()
    monkeypatch.setattr(one_pass, "convolve", missing)
    assert one_pass.available() is False
    one_pass.available.cache_clear()
