"""Any device: half precisions run and stay near, and nothing needs double precision on the device."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from echomimic_core.config import SamplingConfig
from echomimic_core.sampling.denoiser import Halves
from echomimic_core.sampling.loop import sample
from echomimic_core.sampling.schedule import ddim_step, noise_to, sigma_ddim_step, trailing_sigmas, trailing_timesteps

from ..tiny import conditions, denoiser, relative_error

CONFIG = SamplingConfig(steps=2, guidance_scale=2.5, context_frames=8, context_overlap=2)


class Dtypes(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = set()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.names.add(str(function))
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


class Reads(TorchFunctionMode):
    """How often a yes or no is asked of a tensor, for which a device has to finish all it was given to do."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += getattr(function, "__name__", "") in {"__bool__", "item", "__float__"}
        return function(*args, **(kwargs or {}))


def test_a_step_moves_no_number_to_the_device():
    latents = torch.empty(2, 4, 2, 2, device="meta")
    with Dtypes() as operations:
        ddim_step(latents, latents, 500, 30)
        noise_to(latents, latents, 500)
    assert operations.names and not any("copy" in name for name in operations.names)


def test_windows_find_their_mask_without_waiting():
    """An index that is a list would be copied to the device, and that be waited for, in every window."""

    class Lists(TorchFunctionMode):
        found = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.found += getattr(function, "__name__", "") == "__getitem__" and isinstance(args[1], list)
            return function(*args, **(kwargs or {}))

    noise, mask = torch.randn(12, 4, 8, 8), torch.rand(12, 64, 64)
    with Lists() as lists:
        sample(denoiser(), conditions(12, audio_mask=mask, pose_maps=None), noise, replace(CONFIG, steps=1))
    assert lists.found == 0


def test_a_step_asks_nothing_of_the_device_but_the_last():
    sigmas, x = trailing_sigmas(4), torch.randn(3, 4, 2, 2)
    asked = []
    for step, timestep in enumerate(trailing_timesteps(4)):
        with Reads() as reads:
            sigma_ddim_step(x, x, sigmas[step], sigmas[step + 1], timestep, 4)
        asked.append(reads.count)
    assert asked[:-1] == [0, 0, 0] and asked[-1] > 0


def test_the_unconditional_half_alone_is_computed_in_the_dtype_of_the_other(monkeypatch):
    """Where weights are cast for computing, because the device is slow or wrong in their own dtype."""
    model, seen = denoiser(), []
    monkeypatch.setattr(model.denoising_unet, "forward", lambda noisy, *rest: seen.append(noisy.dtype) or noisy)
    for dtype in (None, torch.bfloat16):
        model.compute_dtype = dtype
        model.predict(torch.randn(4, 4, 2, 2), 500, [[0, 1, 2, 3]], Halves(None, unconditional=True))
    assert seen == [torch.float32, torch.bfloat16]


def test_no_tensor_is_float64():
    with Dtypes() as dtypes:
        run(torch.float32)
    assert torch.float32 in dtypes.seen and torch.float64 not in dtypes.seen
