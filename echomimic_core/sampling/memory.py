"""Memory of a run: known before it starts, and what to do when a device has less than it said.

A run fits where weights, the activations of one batch of windows, the clip's conditions and its latents fit. How many
windows go together is planned from that; when a device runs out all the same, the batch is cut down and run again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ..config import PIXELS_PER_LATENT, ModelConfig
from ..models.chunks import CHUNK_ELEMENTS, CPU_CHUNK_ELEMENTS, SMALLEST_CHUNK_ELEMENTS
from ..runtime import Progress, is_out_of_memory, release_memory

GIB = 2**30

# Live tensors of a forward pass in units of one widest feature map, counted with `benchmarks.counting`: what the levels
# hold whatever the ceiling, what a layer adds without one, and what it adds with one, in units of the ceiling.
HELD_MAPS = 10.0
LAYER_MAPS = 14.0
LAYER_CEILINGS = 1.6
KERNEL_WORKSPACE = 1.15  # Scratch of convolutions and gaps between blocks of the allocator

# Samples x tokens that fill a large GPU: a guided window at 768x768. More at once takes memory and saves no time.
SATURATING_TOKENS = 24 * 96 * 96

# Times that latents as long as the clip are held: noise, latents and the velocities being summed by `sampling.loop` and
# by our sampler inside ComfyUI; ComfyUI's own samplers and masks, and other nodes' guidance, hold more.
LATENT_COPIES = 3
CORE_LATENT_COPIES = 8

# ComfyUI's own figure for decoding with the SD 1.5 VAE: bytes for each latent cell and byte of dtype.
DECODE_BYTES_PER_CELL = 2178 * 64


@dataclass(frozen=True)
class Batching:
    """How windows go through the network.

    Attributes
    ----------
    windows : so many at once.
    halves_together : both halves of guidance in one batch.
    chunk_elements : ceiling of a layer's intermediate tensors.
    """

    windows: int = 1
    halves_together: bool = True
    chunk_elements: int = CHUNK_ELEMENTS

    def smaller(self, guided: bool = True) -> "Batching | None":
        """The next that needs less memory: half the windows, the halves apart, smaller chunks; None after the last."""
        if self.windows > 1:
            return replace(self, windows=self.windows // 2)
        if guided and self.halves_together:
            return replace(self, halves_together=False)
        if self.chunk_elements > SMALLEST_CHUNK_ELEMENTS:
            return replace(self, chunk_elements=max(self.chunk_elements // 4, SMALLEST_CHUNK_ELEMENTS))
        return None

    def __str__(self) -> str:
        together = "both halves of guidance together" if self.halves_together else "one half of guidance at a time"
        return f"{self.windows} window(s) at once, {together}, layers up to {self.chunk_elements / 2**20:.0f}M elements"


ON_CPU = Batching(chunk_elements=CPU_CHUNK_ELEMENTS)
"""A processor gains nothing from more windows at once, but from tensors that fit its caches."""


@dataclass(frozen=True)
class RunSize:
    """What decides a run's memory.

    Attributes
    ----------
    height, width : of the latents. frames : of the clip.
    context_frames : in a window.
    guided : whether there is an unconditional half.
    itemsize : bytes of the computing dtype.
    weight_bytes : of the networks that stay on the device.
    cache_bytes : budget of the projected conditions, see `clip`.
    latent_copies : times that latents of the whole clip are held.
    """

    config: ModelConfig
    height: int
    width: int
    frames: int
    context_frames: int
    guided: bool
    itemsize: int
    weight_bytes: int = 0
    cache_bytes: int = 0
    latent_copies: int = LATENT_COPIES

    @property
    def window_frames(self) -> int:
        return min(self.frames, self.context_frames)

    @property
    def cells(self) -> int:
        """Of one frame inside the networks."""
        height, width = self.config.cells(self.height, self.width)
        return height * width

    def widest(self) -> Batching:
        """The largest batching worth trying: enough windows to fill a GPU."""
        tokens = self.window_frames * (1 + self.guided) * self.cells
        return Batching(max(SATURATING_TOKENS // tokens, 1))


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the device, by purpose; decoding comes after sampling and needs only its own."""

    weights: int
    activations: int
    conditions: int
    latents: int
    decode: int

    @property
    def sampling(self) -> int:
        return self.weights + self.activations + self.conditions + self.latents

    def __str__(self) -> str:
        parts = ("weights", "activations", "conditions", "latents", "decode")
        listed = ", ".join(f"{name} {getattr(self, name) / GIB:.2f}" for name in parts)
        return f"{self.sampling / GIB:.2f} GiB while sampling ({listed} a frame afterwards)"


def activation_bytes(size: RunSize, samples: int, chunk_elements: int) -> int:
    """Bytes of live tensors while so many samples (frames of either half) go through the denoising U-Net."""
    widest_map = samples * size.cells * size.config.block_out_channels[0] * size.itemsize
    layer = min(LAYER_CEILINGS * chunk_elements * size.itemsize, LAYER_MAPS * widest_map)
    return int(KERNEL_WORKSPACE * (HELD_MAPS * widest_map + layer))


def picture_bytes(config: ModelConfig, latents: torch.Tensor) -> int:
    """Bytes of live tensors while one picture's latents (1, 4, height, width) go through the reference U-Net."""
    size = RunSize(config, *latents.shape[-2:], frames=1, context_frames=1, guided=False, itemsize=4)
    return activation_bytes(size, 1, CHUNK_ELEMENTS) + reference_bytes(size)


def reference_bytes(size: RunSize) -> int:
    """Bytes of the reference's keys and values in all transformer blocks."""
    total, (height, width) = 0, size.config.cells(size.height, size.width)
    channels, depth = size.config.block_out_channels, size.config.layers_per_block
    for level, width_of_level in enumerate(channels):
        blocks = 1 if level == len(channels) - 1 else 2 * depth + 1
        total += blocks * height * width * width_of_level
        height, width = -(-height // 2), -(-width // 2)
    return 2 * total * size.itemsize


def estimate(size: RunSize, batching: Batching) -> MemoryEstimate:
    """Bytes that a run of this size needs on the device with windows batched so."""
    halves = 2 if size.guided and batching.halves_together else 1
    cells = size.height * size.width
    return MemoryEstimate(
        weights=size.weight_bytes,
        activations=activation_bytes(size, size.window_frames * halves * batching.windows, batching.chunk_elements),
        conditions=reference_bytes(size) + size.cache_bytes,
        latents=size.latent_copies * size.frames * size.config.latent_channels * cells * 4,
        decode=DECODE_BYTES_PER_CELL * cells * size.itemsize,
    )


def plan_batching(size: RunSize, available: int | None, widest: Batching | None = None) -> Batching:
    """The fastest batching, from `widest` down, whose estimate stays within `available` bytes.

    By default `widest` fills a GPU; where nothing is known of the memory, it is one window at a time.

    Raises
    ------
    ValueError : not even the smallest fits.
    """
    if available is None:
        return widest or Batching()
    batching = widest or size.widest()
    while batching is not None:
        needed = estimate(size, batching)
        if needed.sampling <= available:
            return batching
        batching = batching.smaller(size.guided)
    pixels = f"{size.width * PIXELS_PER_LATENT}x{size.height * PIXELS_PER_LATENT}"
    raise ValueError(
        f"{size.frames} frames at {pixels} need at least {needed.sampling / GIB:.1f} GiB of memory "
        f"({needed.latents / GIB:.1f} of it for the length of the clip), but only {available / GIB:.1f} GiB are free: "
        "use a smaller picture, lower context_frames, use EchoMimicV2 Long Sampler for long clips, or close other "
        "programs"
    )


class WindowRunner:
    """Runs windows batch by batch, in smaller batches when memory runs out, and remembers what worked."""

    def __init__(self, batching: Batching | None = None, on_shortage: Callable[[Batching], None] | None = None):
        """`on_shortage` is called for every smaller batching, before it is tried."""
        self.batching = batching or Batching()
        self.on_shortage = on_shortage

    @torch.compiler.disable(recursive=False)
    def run(
        self,
        windows: list[list[int]],
        evaluate: Callable[[int, list[list[int]], Batching], None],
        guided: bool,
        progress: Progress | None = None,
    ) -> None:
        """Call `evaluate(index of the first window, windows, batching)` until all windows are done.

        `evaluate` must leave no trace when it fails, so that it can be asked again with fewer windows.
        """
        first = 0
        while first < len(windows):
            if progress is not None:
                progress(first, len(windows))
            batch = windows[first : first + self.batching.windows]
            shortage = None
            try:
                evaluate(first, batch, self.batching)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                shortage = str(error)
            # Outside of the handler, where the traceback no longer holds the failed batch's tensors
            if shortage is None:
                first += len(batch)
            else:
                self.shrink(guided, shortage)

    def shrink(self, guided: bool, shortage: str) -> None:
        smaller = self.batching.smaller(guided)
        if smaller is None:
            raise MemoryError(
                "there is not enough memory even for one window with cond and uncond separate, in small pieces: "
                f"use a smaller picture or lower context_frames ({shortage.splitlines()[0]})"
            )
        self.batching = smaller
        release_memory()
        if self.on_shortage is not None:
            self.on_shortage(smaller)
