"""Kernels give what plain torch gives; without a card they run in Triton's interpreter, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton")
REPO = Path(__file__).parents[3]

SHAPES = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
import torch.nn.functional as F
from echomimic_core.models import kernels

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = getattr(torch, sys.argv[2])
random = lambda *shape: torch.randn(*shape, device=device).to(dtype)


def report(name, got, wanted):
    assert got.shape == wanted.shape and got.dtype == wanted.dtype and got.stride() == wanted.stride(), name
    print(name, float((got.float() - wanted.float()).abs().max() / wanted.float().abs().max()))


for width in (24, 1030):
    projected = random(2, 3, 2 * width)
    hidden, gate = projected.float().chunk(2, dim=-1)
    report("geglu", kernels.geglu(projected), (hidden * F.gelu(gate)).to(dtype))

for samples, tokens, width in ((2, 5, 24), (3, 7, 320)):
    weight, bias, places = random(width), random(width), random(tokens, width)
    for more in (random(samples, tokens, width), random(1, 1, width), None):
        for positions in (places, None):
            hidden = 3 + random(samples, tokens, width)
            plain = hidden.clone() if more is None else hidden + 0.5 * more
            normed = F.layer_norm(plain, (width,), weight, bias, 1e-5)
            normed = normed if positions is None else normed + positions
            report("add_norm", kernels.add_norm(hidden, more, 0.5, weight, bias, 1e-5, positions), normed)
            report("sum", hidden, plain)

for channels, groups, size, offset in ((24, 4, (5, 7), 0.0), (96, 32, (40, 36), 50.0)):
    weight, bias = random(channels), random(channels)
    hidden = (offset + random(2, channels, *size)).contiguous(memory_format=torch.channels_last)
    for silu in (False, True):
        plain = F.group_norm(hidden.double(), groups, weight.double(), bias.double(), 1e-6)
        plain = (F.silu(plain) if silu else plain).to(dtype).contiguous(memory_format=torch.channels_last)
        report("group_norm", kernels.group_norm(hidden, groups, weight, bias, 1e-6, silu), plain)

for frames, size in ((12, 40), (5, 8), (24, 16)):
    q, k, v = (random(6, frames, 2 * size) for _ in range(3))
    heads = (x.float().unflatten(-1, (2, size)).transpose(1, 2) for x in (q, k, v))
    plain = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2).to(dtype)
    report("frames", kernels.attend_over_frames(q, k, v, 2), plain)

if len(sys.argv) < 4:
    sys.exit()
# The whole network, whose every step finds its kernel
sys.path.insert(0, sys.argv[1] + "/tests/unit")
from tiny import network, reference
from echomimic_core.models.context import WindowContext
from echomimic_core.models.trial import CHANNELS_LAST, ways_in_use
from echomimic_core.models import trial

unet = network("denoising_unet").to(device, dtype)
used = set()
for step in ("geglu", "group_norm", "add_norm", "layer_norm", "attend_over_frames"):
    def noted(*given, step=step, kernel=getattr(kernels, step)):
        used.add(step)
        return kernel(*given)
    setattr(kernels, step, noted)
latents = random(3, 4, 8, 8).contiguous(memory_format=torch.channels_last)
tokens = [x.to(device, dtype) for x in reference(8, 8).tokens]
with torch.inference_mode():
    audio = unet.project_audio(random(3, 50, 384))
    context = WindowContext(3, reference=unet.project_reference(tokens), audio=audio)
    time = torch.tensor([500.0], device=device)
    plain = unet(latents, time, context)
    with ways_in_use((CHANNELS_LAST, *trial._KERNEL_CASES)):
        report("network", unet(latents, time, context), plain)
assert len(used) == 5, used
"""


@pytest.fixture(scope="module", params=["float32", pytest.param("float16", marks=pytest.mark.release)])
def differences(request) -> tuple[str, list[tuple[str, float]]]:
    """The largest difference in every shape, by kernel, as a part of the largest value."""
    return request.param, measure(request.param)


def measure(*arguments: str) -> list[tuple[str, float]]:
    command = [sys.executable, "-c", SHAPES, str(REPO), *arguments]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [(name, float(value)) for name, value in (line.split() for line in ended.stdout.splitlines())]


@pytest.mark.parametrize("kernel", ["geglu", "add_norm", "sum", "group_norm", "frames"])
def test_a_kernel_is_plain_torch(kernel, differences):
    dtype, found = differences
    worst = [value for name, value in found if name == kernel]
    assert worst and max(worst) < {"float32": 5e-6, "float16": 1.5e-3}[dtype]


@pytest.mark.release
def test_the_network_is_itself_with_kernels():
    ((_, worst),) = [found for found in measure("float32", "network") if found[0] == "network"]
    assert worst < 5e-6


TENSORS = {
    "_geglu": "projected out",
    "_add_norm": "hidden more weight bias positions out",
    "_moments": "hidden moments",
    "_scale": "hidden gain shift out",
    "_frames": "q k v out",
}
CONSTANTS = {"COLUMNS": 1024, "PIXELS": 32, "CHANNELS": 64, "PART": 512, "FRAMES": 16, "SIZE": 64}


@pytest.mark.parametrize("card", [80, 90])
@pytest.mark.parametrize("name", TENSORS)
def test_a_kernel_compiles_for_a_card(name, card, tmp_path, monkeypatch):
    """The interpreter takes more of Python than the compiler does, which needs no card."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from echomimic_core.models import kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(kernels, name)
    signature, constants = {}, {}
    for argument in kernel.arg_names:
        if argument.isupper():
            signature[argument], constants[argument] = "constexpr", CONSTANTS.get(argument, True)
        elif argument in TENSORS[name].split():
            signature[argument] = "*fp32" if argument in ("moments", "gain", "shift") else "*fp16"
        else:
            signature[argument] = "fp32" if argument in ("scale", "eps") else "i32"
    made = triton.compile(ASTSource(kernel, signature, constexprs=constants), target=GPUTarget("cuda", card, 32))
    assert made.asm["cubin"]
