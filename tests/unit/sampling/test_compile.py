"""Compiled as ComfyUI does it: one graph for a window, whole, and the same for clips of any length."""

import pytest
import torch

from echomimic_core.config import SamplingConfig
from echomimic_core.sampling.denoiser import ClipDenoiser
from echomimic_core.sampling.loop import sample

from ..tiny import conditions, denoiser, relative_error

CONFIG = SamplingConfig(steps=2, guidance_scale=2.5, context_frames=8, context_overlap=2)


class AsModule(ClipDenoiser):
    """The loop over windows as the `forward` that core compiles, as bridge/model.py has it."""

    @torch.compiler.disable(recursive=False)
    def forward(self, *arguments, **named):
        return self.predict(*arguments, **named)


@pytest.fixture
def dynamo():
    import torch._dynamo as dynamo

    dynamo.reset()
    yield dynamo
    dynamo.reset()


@pytest.mark.release
def test_one_whole_graph_serves_clips_of_any_length(dynamo):
    from torch._dynamo.utils import counters

    counters.clear()
    graphs = []

    def backend(graph, example):
        graphs.append(len(graph.graph.nodes))
        return graph

    plain = denoiser()
    module = AsModule(plain.denoising_unet, plain.pose_encoder)
    compiled = torch.compile(module, backend=backend)
    front = AsModule(plain.denoising_unet, plain.pose_encoder)
    front.predict = lambda *arguments, **named: compiled(*arguments, **named)
    for frames in (20, 26, 41):
        noise = torch.randn(frames, 4, 8, 8)
        expected = sample(plain, conditions(frames), noise, CONFIG)
        assert relative_error(sample(front, conditions(frames), noise, CONFIG), expected) < 1e-4
    # The pose encoder and the projections of conditions stay outside: their shapes follow the clip
    assert [nodes for nodes in graphs if nodes > 100] == graphs
    assert len(graphs) == 1
    assert not counters["graph_break"]
