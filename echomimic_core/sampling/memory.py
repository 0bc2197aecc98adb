"""Memory of a run: known before it starts, and what to do when a device has less than it said.

A run fits where weights, the activations of one batch of windows, the clip's conditions and its latents fit. How many
windows go together, and how much of a layer, is planned from that; when a device runs out all the same, the batch is
cut down and run again. Latents of long clips lie in main memory, and windows of them come and go.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from ..config import PIXELS_PER_LATENT, ModelConfig
from ..models.chunks import CHUNK_ELEMENTS, CPU_CHUNK_ELEMENTS, NARROW_CHUNK_ELEMENTS, SMALLEST_CHUNK_ELEMENTS
from ..models.context import FEED_FORWARD_GROWTH
from ..runtime import Progress, is_out_of_memory, release_memory
from .speed import DEEP_FEATURE_BYTES

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

STREAM_BYTES = 2**29
"""All copies of a clip's latents together: beyond that they lie in main memory, and windows are moved one by one."""

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
    reuse_bytes : deep features that stay on the device where steps reuse them; the others wait in main memory.
    """

    windows: int = 1
    halves_together: bool = True
    chunk_elements: int = CHUNK_ELEMENTS
    reuse_bytes: int = DEEP_FEATURE_BYTES

    def smaller(self, guided: bool = True) -> "Batching | None":
        """The next that needs less memory: half the windows, the halves apart, smaller chunks; None after the last."""
        if self.windows > 1:
            return replace(self, windows=self.windows // 2)
        if guided and self.halves_together:
            return replace(self, halves_together=False)
        if self.chunk_elements > SMALLEST_CHUNK_ELEMENTS:
            return replace(self, chunk_elements=max(self.chunk_elements // 4, SMALLEST_CHUNK_ELEMENTS))
        return None

    def said(self, guided: bool = True) -> str:
        """In words, for a run with guidance or without."""
        together = ", both halves of guidance together" if self.halves_together else ", one half of guidance at a time"
        layers = f", layers up to {self.chunk_elements / 2**20:.0f}M elements"
        return f"{self.windows} window(s) at once{together if guided else ''}{layers}"

    __str__ = said


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
    latent_copies : times that latents of the whole clip are held on the device; 0 where they lie in main memory.
    reused_frames : of all windows together, whose deep features are kept from step to step; 0 where none are.
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
    reused_frames: int = 0

    @property
    def window_frames(self) -> int:
        return min(self.frames, self.context_frames)

    @property
    def cells(self) -> int:
        """Of one frame inside the networks."""
        height, width = self.config.cells(self.height, self.width)
        return height * width

    @property
    def latent_bytes(self) -> int:
        """Of one copy of the clip's latents."""
        return self.frames * self.config.latent_channels * self.height * self.width * 4

    @property
    def reuse_bytes(self) -> int:
        """Of the deep features that are kept from step to step."""
        widest_map = self.cells * self.config.block_out_channels[0] * self.itemsize
        return self.reused_frames * (1 + self.guided) * widest_map

    def streamed(self) -> "RunSize":
        """The same with the clip's latents in main memory, if they are long enough for that."""
        return replace(self, latent_copies=0) if streams(self.latent_copies * self.latent_bytes) else self

    def widest(self) -> Batching:
        """The largest batching worth trying: enough windows to fill a GPU."""
        tokens = self.window_frames * (1 + self.guided) * self.cells
        return Batching(max(SATURATING_TOKENS // tokens, 1))


def streams(latent_bytes: int) -> bool:
    """Whether latents of so many bytes, all copies together, lie in main memory."""
    return latent_bytes > STREAM_BYTES


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the device, by purpose; decoding comes after sampling and needs only its own.

    `decode` is of a frame by ComfyUI's figure for SD 1.5's VAE; smaller VAEs need less.
    """

    weights: int
    activations: int
    conditions: int
    latents: int
    reuse: int
    decode: int

    @property
    def sampling(self) -> int:
        return self.weights + self.activations + self.conditions + self.latents + self.reuse

    def __str__(self) -> str:
        parts = ("weights", "activations", "conditions", "latents", "reuse")
        listed = [f"{name} {value / GIB:.2f}" for name in parts if (value := getattr(self, name))]
        return f"{self.sampling / GIB:.2f} GiB while sampling ({', '.join(listed)})"


def activation_bytes(size: RunSize, samples: int, chunk_elements: int) -> int:
    """Bytes of live tensors while so many samples (frames of either half) go through the denoising U-Net."""
    one_map = size.cells * size.config.block_out_channels[0]
    widest_map = samples * one_map * size.itemsize
    # A sample is never divided
    ceiling = max(chunk_elements, FEED_FORWARD_GROWTH * one_map)
    layer = min(LAYER_CEILINGS * ceiling * size.itemsize, LAYER_MAPS * widest_map)
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
        latents=size.latent_copies * size.latent_bytes,
        reuse=min(size.reuse_bytes, batching.reuse_bytes),
        decode=DECODE_BYTES_PER_CELL * cells * size.itemsize,
    )


def leanest(size: RunSize) -> Batching:
    """The batching that needs the least and still fills a device: one half of one window, in pieces of some size."""
    return Batching(1, halves_together=not size.guided, chunk_elements=NARROW_CHUNK_ELEMENTS, reuse_bytes=0)


def plan_batching(size: RunSize, available: int | None, widest: Batching | None = None) -> Batching:
    """The fastest batching, from `widest` down, whose estimate stays within `available` bytes.

    By default `widest` fills a GPU; where nothing is known of the memory, it is one window at a time. Pieces of a layer
    become smaller before windows or halves go apart, down to a size that still fills a device. What is left goes to
    the deep features that are reused.

    Raises
    ------
    ValueError : not even the smallest fits.
    """
    if available is None:
        return widest or Batching()
    widest = replace(widest or size.widest(), reuse_bytes=0)
    for batching in _from_the_fastest(widest, size.guided):
        needed = estimate(size, batching)
        if needed.sampling <= available:
            return replace(batching, reuse_bytes=min(available - needed.sampling, DEEP_FEATURE_BYTES))
    pixels = f"{size.width * PIXELS_PER_LATENT}x{size.height * PIXELS_PER_LATENT}"
    raise ValueError(
        f"{size.frames} frames at {pixels} need at least {needed.sampling / GIB:.1f} GiB of memory "
        f"({needed.latents / GIB:.1f} of it for the length of the clip), but only {available / GIB:.1f} GiB are free: "
        "use a smaller picture, lower context_frames, use EchoMimicV2 Sampler or Long Sampler for long clips, or close "
        "other programs"
    )


def _from_the_fastest(batching: Batching | None, guided: bool) -> Iterator[Batching]:
    while batching is not None:
        narrow = batching
        while narrow.chunk_elements >= min(NARROW_CHUNK_ELEMENTS, batching.chunk_elements):
            yield narrow
            narrow = replace(narrow, chunk_elements=narrow.chunk_elements // 2)
        batching = batching.smaller(guided)


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
