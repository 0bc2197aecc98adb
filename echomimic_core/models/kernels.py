"""What `fused` does, as one pass over memory each: kernels in Triton, of which `trial` picks those that help.

Read only where Triton is installed. Sums are float32 and in a fixed order, so the same card gives the same numbers.
"""

import torch
import triton
import triton.language as tl

_ROOT_HALF = tl.constexpr(0.7071067811865476)
_GEGLU_COLUMNS = 1024
_PIXELS, _CHANNELS = 32, 64
# Pixels of a sample whose sums one program makes
_PART = 512


@triton.jit
def _geglu(projected, out, width, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < width
    source = projected + 2 * row * width + column
    hidden = tl.load(source, inside).to(tl.float32)
    gate = tl.load(source + width, inside).to(tl.float32)
    gate = 0.5 * gate * (1 + tl.erf(gate * _ROOT_HALF))
    tl.store(out + row * width + column, hidden * gate, inside)


def geglu(projected: torch.Tensor) -> torch.Tensor:
    """As `fused.geglu`, of a contiguous tensor."""
    width = projected.shape[-1] // 2
    out = projected.new_empty(*projected.shape[:-1], width)
    _geglu[(out.numel() // width, triton.cdiv(width, _GEGLU_COLUMNS))](projected, out, width, _GEGLU_COLUMNS)
    return out


@triton.jit
def _add_norm(
    hidden, more, weight, bias, positions, out, width, tokens, outer, inner, frames, scale, eps,
    COLUMNS: tl.constexpr, ADD: tl.constexpr, PLACE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, COLUMNS)
    inside = column < width
    place = hidden + row * width + column
    read = tl.load(place, inside, 0.0)
    value = read.to(tl.float32)
    if ADD:
        step = tl.load(more + (row // tokens) * outer + (row % tokens) * inner + column, inside, 0.0)
        # Rounded as it is kept, for that is what a norm of its own would read
        total = (value + scale * step.to(tl.float32)).to(read.dtype)
        tl.store(place, total, inside)
        value = total.to(tl.float32)
    mean = tl.sum(value, 0) / width
    distance = tl.where(inside, value - mean, 0.0)
    normed = distance * tl.rsqrt(tl.sum(distance * distance, 0) / width + eps)
    normed = normed * tl.load(weight + column, inside, 0.0).to(tl.float32)
    normed += tl.load(bias + column, inside, 0.0).to(tl.float32)
    if PLACE:
        normed += tl.load(positions + (row % frames) * width + column, inside, 0.0).to(tl.float32)
    tl.store(out + row * width + column, normed, inside)


def add_norm(
    hidden: torch.Tensor,
    more: torch.Tensor | None,
    scale: float,
    weight: torch.Tensor,
    bias: torch.Tensor,
    eps: float,
    positions: torch.Tensor | None,
) -> torch.Tensor:
    """Layer norm of tokens (n, tokens, c) into which scale * `more` was written, if it is there, plus `positions`
    (tokens, c) if they are there."""
    width, tokens = hidden.shape[-1], hidden.shape[-2]
    out = torch.empty_like(hidden)
    step = hidden if more is None else more.expand_as(hidden)
    places = hidden if positions is None else positions.contiguous()
    _add_norm[(hidden.numel() // width,)](
        *(hidden, step, weight, bias, places, out, width, tokens, step.stride(0), step.stride(1), tokens, scale, eps),
        triton.next_power_of_2(width),
        more is not None,
        positions is not None,
    )
    return out


def layer_norm(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float, positions: torch.Tensor
) -> torch.Tensor:
    """Layer norm of tokens (n, tokens, c) plus `positions` (tokens, c)."""
    return add_norm(hidden, None, 0.0, weight, bias, eps, positions)


@triton.jit
def _moments(
    hidden, moments, pixels, channels, parts, PIXELS: tl.constexpr, CHANNELS: tl.constexpr, PART: tl.constexpr
):
    sample, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < channels
    start = hidden + sample * pixels * channels + channel
    # Distances from the first pixel: sums of squares of large numbers would lose the small ones
    origin = tl.load(start, known, 0.0).to(tl.float32)
    first = tl.zeros((CHANNELS,), tl.float32)
    second = tl.zeros((CHANNELS,), tl.float32)
    for begin in range(0, PART, PIXELS):
        pixel = part * PART + begin + tl.arange(0, PIXELS)
        inside = (pixel < pixels)[:, None] & known[None, :]
        value = tl.load(start[None, :] + pixel[:, None] * channels, inside, 0.0).to(tl.float32)
        distance = tl.where(inside, value - origin[None, :], 0.0)
        first += tl.sum(distance, 0)
        second += tl.sum(distance * distance, 0)
    place = moments + ((sample * parts + part) * 2) * channels + channel
    tl.store(place, first, known)
    tl.store(place + channels, second, known)


@triton.jit
def _scale(
    hidden, gain, shift, out, pixels, channels, SILU: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr
):
    sample = tl.program_id(0).to(tl.int64)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < channels
    inside = (pixel < pixels)[:, None] & known[None, :]
    place = (sample * pixels + pixel[:, None]) * channels + channel[None, :]
    value = tl.load(hidden + place, inside).to(tl.float32)
    value *= tl.load(gain + sample * channels + channel, known)[None, :]
    value += tl.load(shift + sample * channels + channel, known)[None, :]
    if SILU:
        value *= tl.sigmoid(value)
    tl.store(out + place, value, inside)


def group_norm(
    hidden: torch.Tensor, groups: int, weight: torch.Tensor, bias: torch.Tensor, eps: float, silu: bool
) -> torch.Tensor:
    """Group norm, then SiLU if wanted, of (n, c, height, width) whose channels come last in memory."""
    samples, channels, height, width = hidden.shape
    pixels = height * width
    parts, blocks = triton.cdiv(pixels, _PART), triton.cdiv(channels, _CHANNELS)
    moments = hidden.new_empty((samples, parts, 2, channels), dtype=torch.float32)
    _moments[(samples, parts, blocks)](hidden, moments, pixels, channels, parts, _PIXELS, _CHANNELS, _PART)
    first, second = (moments.sum(1) / pixels).unflatten(-1, (groups, -1)).unbind(1)
    means = hidden[:, :, 0, 0].float().unflatten(1, (groups, -1)) + first
    mean = means.mean(-1, keepdim=True)
    variance = (second - first.square() + (means - mean).square()).mean(-1, keepdim=True)
    gain = weight.float().unflatten(0, (groups, -1)) * torch.rsqrt(variance + eps)
    shift = bias.float().unflatten(0, (groups, -1)) - mean * gain
    out = torch.empty_like(hidden)
    grid = (samples, triton.cdiv(pixels, _PIXELS), blocks)
    _scale[grid](hidden, gain.contiguous(), shift.contiguous(), out, pixels, channels, silu, _PIXELS, _CHANNELS)
    return out


@triton.jit
def _frames(q, k, v, out, frames, width, size, scale, FRAMES: tl.constexpr, SIZE: tl.constexpr):
    pixel, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    frame, channel = tl.arange(0, FRAMES), tl.arange(0, SIZE)
    inside = (frame < frames)[:, None] & (channel < size)[None, :]
    place = (pixel * frames + frame[:, None]) * width + head * size + channel[None, :]
    query, key = tl.load(q + place, inside, 0.0), tl.load(k + place, inside, 0.0)
    value = tl.load(v + place, inside, 0.0)
    score = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
    score = tl.where((frame < frames)[None, :], score, float("-inf"))
    weight = tl.exp(score - tl.max(score, 1)[:, None])
    weight = (weight / tl.sum(weight, 1)[:, None]).to(value.dtype)
    tl.store(out + place, tl.dot(weight, value, input_precision="ieee"), inside)


def attend_over_frames(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int) -> torch.Tensor:
    """Attention of `heads` over the frames of each pixel: q, k, v and the result (pixels, frames, c), contiguous."""
    pixels, frames, width = q.shape
    size, out = width // heads, torch.empty_like(q)
    most = max(16, triton.next_power_of_2(frames))  # No matrix product is smaller
    wide = max(16, triton.next_power_of_2(size))
    _frames[(pixels, heads)](q, k, v, out, frames, width, size, size**-0.5, most, wide)
    return out
