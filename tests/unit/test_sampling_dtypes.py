"""Any device: half precisions run and stay near, and nothing needs double precision on the device."""

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from echomimic_core.config import SamplingConfig
from echomimic_core.sampling.loop import sample

from .tiny import conditions, denoiser, relative_error

CONFIG = SamplingConfig(steps=2, guidance_scale=2.5, context_frames=8, context_overlap=2)


class Dtypes(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.seen |= {x.dtype for x in tree_iter(out) if isinstance(x, torch.Tensor)}
        return out


def run(dtype: torch.dtype) -> torch.Tensor:
    noise = torch.randn(12, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    return sample(copy.deepcopy(denoiser()).to(dtype), conditions(12), noise, CONFIG)


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.15), (torch.float16, 0.02)])
def test_half_precision_stays_near(dtype, tolerance):
    out = run(dtype)
    assert out.dtype == torch.float32 and out.isfinite().all()
    assert relative_error(out, run(torch.float32)) < tolerance


def test_nothing_is_double():
    with Dtypes() as dtypes:
        run(torch.float32)
    assert torch.float32 in dtypes.seen and torch.float64 not in dtypes.seen
