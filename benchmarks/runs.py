"""What is measured. Every section gives rows; one that cannot run on a machine says so in its row and others go on."""

import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from echomimic_core.audio import AudioTokens
from echomimic_core.config import (
    AUDIO_DIM,
    AUDIO_STATES,
    CONTEXT_FRAMES,
    RELEASED,
    TINY,
    VARIANTS,
    ModelConfig,
    SamplingConfig,
    Variant,
)
from echomimic_core.files.checkpoints import ModelFiles, open_one_file
from echomimic_core.models.build import config_of
from echomimic_core.models.cpu_linear import fast_linear
from echomimic_core.models.denoising_unet import DenoisingUNet
from echomimic_core.models.pose_encoder import PoseEncoder
from echomimic_core.models.reference_unet import ReferenceFeatures
from echomimic_core.runtime import free_memory
from echomimic_core.sampling.clip import CACHE_BYTES, ClipConditions
from echomimic_core.sampling.denoiser import ClipDenoiser
from echomimic_core.sampling.loop import sample
from echomimic_core.sampling.memory import ON_CPU, Batching, RunSize, estimate, plan_batching
from echomimic_core.sampling.speed import EXACT, PRESETS, SpeedOptions

from .counting import count_flops
from .decoding import decode, decode_rows, load_decoders, pictures_of
from .float8 import float8_rows
from .measure import GIB, Machine, best_time, matrix_rate, psnr
from .pose_files import pose_file_rows
from .poses import pose_rows
from .shapes import fill_randomly, meta_window, reference_tokens, window_pair
from .streaming import GUIDED, STREAMED, UNGUIDED
from .trained import trained_conditions, trained_denoiser

SIZES = {"released": RELEASED, "tiny": TINY}
SHORTCUTS = {
    "guidance in the first 70 % only": SpeedOptions(guidance_phases=(True, True, False)),
    "guidance in the middle only": SpeedOptions(guidance_phases=(False, True, False)),
    "deep features every 2nd step": SpeedOptions(reuse_steps=2),
    "deep features every 3rd step": SpeedOptions(reuse_steps=3),
    "reference merged 2x2": SpeedOptions(merge_reference=2),
    "2nd step, merged, guidance in the first 70 %": SpeedOptions((True, True, False), 2, 2),
}
SHORTCUTS_OF_FEW_STEPS = {
    "deep features every 2nd step": SpeedOptions(reuse_steps=2),
    "reference merged 2x2": SpeedOptions(merge_reference=2),
}
PRESETS_OF_SPEED = {f"preset {name}": speed for name, speed in PRESETS.items() if speed != EXACT}
SHORTCUT_STEPS = 10


@dataclass
class Settings:
    machine: Machine
    size: str
    pixels: list[int]
    frames: int
    sections: list[str]
    repeat: int
    vae_files: list[Path] = field(default_factory=list)
    model: Path | None = None
    _seen_and_heard: dict[tuple[int, int], ClipConditions] = field(init=False, default_factory=dict)

    @cached_property
    def files(self) -> ModelFiles | None:
        """A trained model in one file; None for random weights."""
        return None if self.model is None else open_one_file(self.model)

    @property
    def variants(self) -> list[Variant]:
        """What is run: a trained model as what it was trained for, random weights as everything there is."""
        return list(VARIANTS.values()) if self.files is None else [VARIANTS[self.files.variant]]

    @cached_property
    def decoders(self) -> dict:
        """VAEs by name, see `decoding`; a trained model's own, none where neither file nor diffusers is there."""
        files = self.vae_files or ([] if self.model is None else [self.model])
        if not files and importlib.util.find_spec("diffusers") is None:
            return {}
        return load_decoders(self.machine, files)

    @property
    def decoder_bytes(self) -> int:
        """What the VAEs hold of the device while something else is measured."""
        return sum(p.nbytes for vae in self.decoders.values() for p in vae.parameters())

    @property
    def config(self) -> ModelConfig:
        return SIZES[self.size] if self.files is None else config_of(self.files)

    @cached_property
    def denoiser(self) -> ClipDenoiser:
        """A trained model, or seeded random weights: what they compute means nothing, how long it takes does."""
        if self.files is not None:
            return trained_denoiser(self.files, self.machine)
        torch.manual_seed(0)
        return ClipDenoiser(
            *(fill_randomly(p.to_empty(device=self.machine.device)) for p in meta_networks(self.config, self.machine))
        )

    def make_denoiser(self) -> ClipDenoiser:
        """The denoiser, made now if it is not yet, so that nothing of that is measured."""
        return self.denoiser

    def conditions(self, pixels: int, frames: int) -> ClipConditions:
        if self.files is not None:
            if (pixels, frames) not in self._seen_and_heard:
                vae = next(iter(self.decoders.values()))
                given = trained_conditions(self.files, self.machine, vae, pixels, frames)
                self._seen_and_heard[pixels, frames] = given
            return self._seen_and_heard[pixels, frames]
        cells = pixels // 8
        factory = {"dtype": self.machine.dtype, "device": self.machine.device}
        tokens = reference_tokens(self.config, cells, cells, **factory)
        maps = torch.zeros(1, 3, pixels, pixels, dtype=torch.uint8)
        maps[:, :, pixels // 2 : pixels // 2 + pixels // 4, pixels // 4 : pixels // 2] = 200
        reference = ReferenceFeatures(tokens, cells, cells)
        audio = AudioTokens(torch.randn(math.ceil(frames * 50 / 24) + 8, AUDIO_STATES, AUDIO_DIM), frames=frames)
        return ClipConditions(reference, audio, lambda wanted: maps.expand(len(wanted), -1, -1, -1))

    def batching(self, pixels: int, frames: int, context_frames: int) -> Batching:
        """How the nodes would batch windows, by the memory that is left."""
        device, itemsize = self.machine.device, self.machine.dtype.itemsize
        cells = pixels // 8
        size = RunSize(self.config, cells, cells, frames, context_frames, True, itemsize, cache_bytes=2 * CACHE_BYTES)
        return plan_batching(size, free_memory(device), ON_CPU if device.type == "cpu" else None)

    def run(
        self,
        pixels: int,
        frames: int,
        config: SamplingConfig,
        speed: SpeedOptions = EXACT,
        batching: Batching | None = None,
    ) -> torch.Tensor:
        """Latents of a clip, its windows batched as the nodes would."""
        batching = batching or self.batching(pixels, frames, config.context_frames)
        denoiser = self.denoiser  # Made before the seed of the conditions, so that the first run is like every other
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(frames, 4, pixels // 8, pixels // 8, generator=generator).to(self.machine.device)
        torch.manual_seed(2)
        return sample(denoiser, self.conditions(pixels, frames), noise, config, batching, speed=speed)


def meta_networks(config: ModelConfig, machine: Machine) -> list[torch.nn.Module]:
    """Denoising U-Net and pose encoder without numbers, in the dtype they are wanted in: none is held in another."""
    with torch.device("meta"):
        return [part(config, dtype=machine.dtype) for part in (DenoisingUNet, PoseEncoder)]


def run_all(settings: Settings) -> Iterator[dict]:
    rate = matrix_rate(settings.machine)
    yield {"name": "matrix product", "tflops": rate / 1e12}
    sections: dict[str, Callable[[Settings, float], Iterator[dict]]] = {
        "window": window_rows,
        "memory": memory_rows,
        "decode": decode_rows,
        "clip": clip_rows,
        "shortcuts": shortcut_rows,
        "float8": float8_rows,
        "compile": compile_rows,
        "files": pose_file_rows,
        "poses": pose_rows,
    }
    for name in settings.sections:
        try:
            with torch.no_grad():
                yield from sections[name](settings, rate)
        except Exception as error:
            yield {"name": name, "error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}


def window_rows(settings: Settings, rate: float) -> Iterator[dict]:
    """One guided window, and the same by our layers in the original's order of work, which must give the same.

    How fast the original's own code is, `beside` measures.
    """
    machine = settings.machine
    ceiling = settings.denoiser.prepare(settings.conditions(64, 1), machine.device, machine.dtype).runner.batching
    for pixels in settings.pixels:
        ours, original = window_pair(
            settings.denoiser.denoising_unet, pixels, CONTEXT_FRAMES, True, ceiling.chunk_elements
        )
        work = count_flops(meta_window(settings.config, pixels, CONTEXT_FRAMES)[0])
        work_original = count_flops(meta_window(settings.config, pixels, CONTEXT_FRAMES)[1])

        def fast(function) -> torch.Tensor:
            with fast_linear(machine.device):
                return function()

        results = fast(ours), fast(original)  # Also warms both up
        error = float((results[0] - results[1]).float().norm() / results[1].float().norm())
        del results
        machine.reset_peak()
        mine = best_time(partial(fast, ours), machine, settings.repeat, warm=False)
        peak = machine.peak_gib()
        machine.reset_peak()
        theirs = best_time(partial(fast, original), machine, settings.repeat, warm=False)
        name = f"guided window, {pixels}x{pixels}"
        yield {
            "name": name,
            "seconds": mine.seconds,
            "tflop": work / 1e12,
            "tflops": work / mine.seconds / 1e12,
            "share_of_matrix_rate": work / mine.seconds / rate,
            "peak_gib": peak,
            "cpu_seconds": mine.cpu_seconds if machine.device.type == "cpu" else None,
            "relative_error": error,
        }
        yield {
            "name": f"{name}, our layers in the original's order",
            "seconds": theirs.seconds,
            "tflop": work_original / 1e12,
            "tflops": work_original / theirs.seconds / 1e12,
            "peak_gib": machine.peak_gib(),
        }
        if machine.device.type != "cpu":
            yield from layout_rows(settings, pixels, mine.seconds)


def layout_rows(settings: Settings, pixels: int, seconds: float) -> Iterator[dict]:
    """A step with channels last, which a device may or may not like."""
    config = SamplingConfig(1, 2.5)
    times = {}
    for layout in (False, True):
        settings.denoiser.channels_last = layout
        run = best_time(partial(settings.run, pixels, CONTEXT_FRAMES, config), settings.machine, settings.repeat)
        times[layout] = run.seconds
    settings.denoiser.channels_last = None
    yield {
        "name": f"  the same with channels last, {pixels}x{pixels}",
        "seconds": times[True],
        "speedup": times[False] / times[True],
    }


def memory_rows(settings: Settings, rate: float) -> Iterator[dict]:
    """Memory of a step at 60 and at 600 frames, each in a process of its own, next to what the estimate says.

    On a GPU also that of the accelerated model, and of weights that stay in main memory.
    """
    pixels = max(settings.pixels)
    on_gpu = settings.machine.device.type == "cuda"
    size = settings.size if on_gpu else "tiny"  # Growth is the same for any width, and a processor has no time
    pixels = pixels if on_gpu else min(pixels, 128)
    itemsize = settings.machine.dtype.itemsize
    whole = sum(p.nbytes for part in meta_networks(SIZES[size], settings.machine) for p in part.parameters())
    peaks = {}
    for way, frames in [(GUIDED, 60), (GUIDED, 600)] + ([(UNGUIDED, 60), (STREAMED, 60)] if on_gpu else []):
        command = [sys.executable, "-m", "benchmarks.memory", str(settings.machine.device), size]
        command += [str(settings.machine.dtype).removeprefix("torch."), str(pixels), str(frames), way]
        run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        if run.returncode:
            raise RuntimeError(run.stderr.strip().splitlines()[-1])
        peaks[way, frames] = int(run.stdout.split()[-1])
        weights = 0 if way == STREAMED else whole
        run_size = RunSize(
            SIZES[size], pixels // 8, pixels // 8, frames, CONTEXT_FRAMES, way != UNGUIDED, itemsize, weights
        )
        yield {
            "name": f"{frames} frames at {pixels}x{pixels}, {size}, one step, {way}",
            "peak_gib": peaks[way, frames] / GIB,
            "estimate_gib": estimate(run_size, Batching()).sampling / GIB if on_gpu else None,
            "weights_gib": weights / GIB if on_gpu else None,
        }
    latents = (600 - 60) * 4 * (pixels // 8) ** 2 * 4
    growth = peaks[GUIDED, 600] - peaks[GUIDED, 60]
    allowed = latents + 0.05 * peaks[GUIDED, 60]
    row = {"name": "growth from 60 to 600 frames", "growth_mib": growth / 2**20, "allowed_mib": allowed / 2**20}
    if growth > allowed:
        row["error"] = "memory grows with the clip"
    yield row


def clip_rows(settings: Settings, rate: float) -> Iterator[dict]:
    """Whole runs as the variants are meant to be run: latents alone, then with every VAE."""
    for variant in reversed(settings.variants):
        config = SamplingConfig(variant.steps, variant.guidance_scale)
        for pixels in settings.pixels:
            if settings.machine.device.type != "cpu":  # The first run of a shape also loads its kernels
                settings.run(pixels, CONTEXT_FRAMES, replace(config, steps=1))
            kept = {}

            def run(pixels: int = pixels, config: SamplingConfig = config, kept: dict = kept) -> None:
                kept["latents"] = settings.run(pixels, settings.frames, config)

            settings.conditions(pixels, settings.frames)  # Made once for a trained model
            settings.machine.reset_peak()
            sampling = best_time(run, settings.machine, 1, warm=False).seconds
            name = f"{variant.name}, {settings.frames} frames at {pixels}x{pixels}"
            peak = settings.machine.peak_gib(besides=settings.decoder_bytes)
            yield clip_row(f"{name}, without decoding", settings.frames, sampling) | {"peak_gib": peak}
            for vae_name, vae in settings.decoders.items():
                decoding = best_time(partial(decode, vae, kept["latents"]), settings.machine, 1, warm=False).seconds
                yield clip_row(f"{name}, {vae_name}", settings.frames, sampling + decoding)


def clip_row(name: str, frames: int, seconds: float) -> dict:
    return {"name": name, "seconds": seconds, "frames_per_second": frames / seconds}


def shortcut_rows(settings: Settings, rate: float) -> Iterator[dict]:
    """Every shortcut next to the exact run. With random weights the distance says little of real pictures."""
    for variant in settings.variants:
        guided = variant.guidance_scale > 1.0
        steps = variant.steps if settings.files is not None or not guided else SHORTCUT_STEPS
        config = SamplingConfig(steps, variant.guidance_scale)
        yield from beside_exact(
            settings, variant.name, config, (SHORTCUTS if guided else SHORTCUTS_OF_FEW_STEPS) | PRESETS_OF_SPEED
        )


def beside_exact(settings: Settings, name: str, config: SamplingConfig, shortcuts: dict) -> Iterator[dict]:
    """Time, latents and decoded frames of each shortcut, of windows without overlap, and of both."""
    pixels, vae = max(settings.pixels), next(iter(settings.decoders.values()), None)
    apart = replace(config, context_overlap=0)
    runs = {shortcut: (config, speed) for shortcut, speed in shortcuts.items()}
    runs["overlap 0"] = (apart, EXACT)
    runs["overlap 0, deep features every 2nd step"] = (apart, SpeedOptions(reuse_steps=2))
    kept = {}

    def run(config: SamplingConfig, speed: SpeedOptions) -> None:
        kept["latents"] = settings.run(pixels, settings.frames, config, speed)

    # The first run also loads kernels, and makes what a trained model sees and hears
    settings.run(pixels, settings.frames, replace(config, steps=1))
    exact_time = best_time(lambda: run(config, EXACT), settings.machine, 1, warm=False)
    exact = kept["latents"]
    pictures = None if vae is None else pictures_of(vae, exact)
    for shortcut, (changed, speed) in runs.items():
        timing = best_time(partial(run, changed, speed), settings.machine, 1, warm=False)
        yield {
            "name": f"{name}, {shortcut}, {pixels}x{pixels}, {config.steps} steps",
            "seconds": timing.seconds,
            "frames_per_second": settings.frames / timing.seconds,
            "speedup": exact_time.seconds / timing.seconds,
            "cpu_speedup": exact_time.cpu_seconds / timing.cpu_seconds
            if settings.machine.device.type == "cpu"
            else None,
            "psnr_latents": psnr(kept["latents"], exact),
            "psnr_frames": None if vae is None else psnr(pictures_of(vae, kept["latents"]), pictures),
        }


def compile_rows(settings: Settings, rate: float) -> Iterator[dict]:
    """A window by `torch.compile` with its default backend."""
    if settings.machine.device.type == "cpu":
        yield {"name": "compiled window", "note": "measured on GPUs only"}
        return
    pixels = max(settings.pixels)
    unet = settings.denoiser.denoising_unet
    ours, _ = window_pair(unet, pixels, CONTEXT_FRAMES)
    before = best_time(ours, settings.machine, settings.repeat).seconds
    compiled, _ = window_pair(torch.compile(unet), pixels, CONTEXT_FRAMES)
    after = best_time(compiled, settings.machine, settings.repeat).seconds
    yield {"name": f"compiled window, {pixels}x{pixels}", "seconds": after, "speedup": before / after}
