"""Memory: one ceiling for every layer, estimates that hold, and a run that survives a device running out."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from benchmarks.counting import LiveBytes, count_flops, peak_live_bytes
from benchmarks.original import original_velocity
from benchmarks.shapes import meta_window
from echomimic_core.audio import AudioTokens
from echomimic_core.config import RELEASED, TINY, SamplingConfig
from echomimic_core.models.chunks import CHUNK_ELEMENTS
from echomimic_core.models.context import WindowContext
from echomimic_core.models.denoising_unet import DenoisingUNet
from echomimic_core.models.pose_encoder import PoseEncoder
from echomimic_core.runtime import is_out_of_memory
from echomimic_core.sampling import clip as clip_module
from echomimic_core.sampling import denoiser as denoiser_module
from echomimic_core.sampling import memory as memory_module
from echomimic_core.sampling.clip import PreparedClip
from echomimic_core.sampling.denoiser import ClipDenoiser, WindowAverage
from echomimic_core.sampling.loop import sample
from echomimic_core.sampling.map_cache import MapCache
from echomimic_core.sampling.memory import (
    GIB,
    Batching,
    RunSize,
    WindowRunner,
    activation_bytes,
    estimate,
    plan_batching,
)
from echomimic_core.sampling.speed import SpeedOptions

from ..tiny import conditions, denoiser, network, relative_error

CPU = torch.device("cpu")
FRAMES = 20
CONFIG = SamplingConfig(steps=2, guidance_scale=2.5, context_frames=8, context_overlap=2)
MIB = 2**20


def noise(frames: int = FRAMES) -> torch.Tensor:
    return torch.randn(frames, 4, 8, 8, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def expected() -> torch.Tensor:
    return sample(denoiser(), conditions(FRAMES), noise(), CONFIG)


@pytest.mark.parametrize(
    "batching",
    [Batching(3), Batching(1, halves_together=False), Batching(2, True, 20_000), Batching(1, False, 1)],
    ids=str,
)
def test_batching_changes_nothing_but_rounding(batching, expected):
    assert relative_error(sample(denoiser(), conditions(FRAMES), noise(), CONFIG, batching), expected) < 1e-5


def test_windows_run_out_of_memory_and_the_run_goes_on(expected, monkeypatch):
    model = denoiser()
    forward, calls, taken = model.denoising_unet.forward, [], []

    def failing(latents, *arguments):
        calls.append(len(latents))
        # The second batch fails until one half of one window is left, and once more after that
        if len(calls) in (2, 3, 4, 5):
            raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")
        taken.append(len(latents))
        return forward(latents, *arguments)

    monkeypatch.setattr(model.denoising_unet, "forward", failing)
    result = sample(model, conditions(FRAMES), noise(), CONFIG, Batching(2))
    assert calls[:6] == [32, 32, 16, 8, 8, 8]  # Two windows, one, half, half in smaller chunks
    assert max(taken[1:]) == 8
    assert relative_error(result, expected) < 1e-5


@pytest.mark.parametrize(
    "said",
    [
        "MPS backend out of memory (MPS allocated: 9 GB)",
        "HIP out of memory. Tried to allocate 2.00 GiB",
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
        "level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "Could not allocate tensor with 9 bytes. There is not enough GPU video memory available!",
    ],
)
def test_every_kind_of_device_has_its_own_words_for_no_memory(said):
    assert is_out_of_memory(RuntimeError(said))


def test_deep_features_leave_a_device_that_is_short_of_memory():
    model, deep = denoiser(), torch.randn(4)
    clip = model.prepare(conditions(4), CPU, torch.float32)
    clip.set_speed(SpeedOptions(reuse_steps=2), step=0)
    clip.deep_features.put("both", [0], deep)
    assert clip.deep_features.budget > 0
    clip.runner.shrink(guided=True, shortage="out of memory")
    assert clip.deep_features.budget == 0
    clip.set_speed(SpeedOptions(reuse_steps=2), step=1)
    assert torch.equal(clip.deep_features.get("both", [0], deep), deep), "a step that goes on needs them still"


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    model = denoiser()

    def broken(*arguments):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(model.denoising_unet, "forward", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        sample(model, conditions(FRAMES), noise(), CONFIG)


def test_the_last_resort_is_a_sentence():
    def evaluate(first, windows, batching):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    with pytest.raises(MemoryError, match="use a smaller picture.*2 GiB"):
        WindowRunner(Batching(4)).run([[0], [1]], evaluate, guided=True)


def test_released_window_costs_what_the_facts_say():
    ours, original = meta_window(RELEASED, pixels=768, frames=12)
    assert count_flops(ours) / 1e12 == pytest.approx(74.6, abs=0.05)
    assert count_flops(original) / 1e12 == pytest.approx(93.0, abs=0.05)


@pytest.mark.parametrize("pixels, guided", [(768, True), (768, False), (512, True), (256, True), (1024, False)])
@pytest.mark.parametrize("ceiling", [128 * MIB, 16 * MIB])
def test_the_estimate_covers_the_tensors_alive(pixels, guided, ceiling):
    run, _ = meta_window(RELEASED, pixels, 12, guided, torch.float16, ceiling)
    size = RunSize(RELEASED, pixels // 8, pixels // 8, 12, 12, guided, 2)
    needed = activation_bytes(size, 12 * (1 + guided), ceiling)
    alive = peak_live_bytes(run)
    assert alive <= needed <= 1.6 * alive


def test_guided_window_at_768_fits_six_gigabytes_with_weights():
    size = RunSize(RELEASED, 96, 96, 60, 12, True, 2, weight_bytes=int(2.63e9), cache_bytes=512 * MIB)
    assert estimate(size, plan_batching(size, 6 * 10**9)).sampling <= 6 * 10**9


def test_a_plan_takes_what_there_is_and_refuses_what_cannot_be():
    size = RunSize(RELEASED, 96, 96, 240, 12, True, 2, weight_bytes=int(2.63e9))
    assert plan_batching(size, 80 * GIB) == Batching(1)  # One guided window fills a GPU at this size
    tight = plan_batching(size, int(3.7 * GIB))
    assert not tight.halves_together
    narrow = plan_batching(size, int(4.5 * GIB))
    assert narrow.halves_together and narrow.chunk_elements == CHUNK_ELEMENTS // 2, "pieces do not follow the memory"
    assert plan_batching(RunSize(RELEASED, 32, 32, 240, 12, True, 2), 80 * GIB).windows > 4
    with pytest.raises(ValueError, match="240 frames at 768x768 need at least .* Long Sampler"):
        plan_batching(size, 2 * GIB)


def test_ten_times_the_frames_take_ten_times_the_latents_and_nothing_else(monkeypatch):
    """Of the clip's length are the noise, the latents and the sum of the windows' velocities, and no more."""
    # What is kept for speed has a budget, which clips of this size would not fill
    monkeypatch.setattr(denoiser_module, "PreparedClip", partial(PreparedClip, cache_bytes=0))
    monkeypatch.setattr(clip_module, "MapCache", partial(MapCache, budget=0))
    config = SamplingConfig(steps=1, guidance_scale=1.0, context_frames=30, context_overlap=0)
    model, peaks = denoiser(), {}
    for frames in (60, 600):
        audio = AudioTokens(torch.randn(2 * frames + 60, 5, 384), frames=frames)
        given = replace(conditions(1, 4, 4), audio=audio, pose_maps=lambda wanted: torch.rand(len(wanted), 3, 32, 32))
        with LiveBytes() as live:
            sample(model, given, torch.randn(frames, 4, 4, 4), config)
        peaks[frames] = live.peak
    copy = (600 - 60) * 4 * 4 * 4 * 4
    grown = peaks[600] - peaks[60]
    assert 2.5 * copy < grown < 3.2 * copy
    few, many = (estimate(RunSize(RELEASED, 4, 4, frames, 30, False, 4), Batching()) for frames in (60, 600))
    assert 0.9 * grown < many.sampling - few.sampling < 1.2 * grown, "the estimate knows another growth"


def test_latents_of_a_long_clip_stay_in_main_memory(monkeypatch):
    """Only the windows that run reach the device, here one without numbers, and their velocities come back."""
    meta, arrived, came_back = torch.device("meta"), [], []
    with meta:
        model = ClipDenoiser(DenoisingUNet(TINY), PoseEncoder(TINY))
    windows = model.noisy_windows
    model.noisy_windows = lambda *given: arrived.append(windows(*given)) or arrived[-1]
    monkeypatch.setattr(WindowAverage, "add", lambda self, index, values: came_back.append((self.sums, values)))
    monkeypatch.setattr(memory_module, "STREAM_BYTES", 1000)
    with torch.no_grad():
        result = sample(model, conditions(FRAMES), noise(), CONFIG, device=meta)
    assert result.device == CPU and len(result) == FRAMES
    assert {(len(x), x.device) for x in arrived} == {(8, meta)}
    assert {(sums.device, values.device) for sums, values in came_back} == {(CPU, meta)}
    size = RunSize(RELEASED, 96, 96, 14_400, 12, True, 2)
    assert size.streamed().latent_copies == 0 and estimate(size.streamed(), Batching()).sampling < 3 * GIB


def test_masks_of_every_frame_reach_the_device_window_by_window():
    meta, frames = torch.device("meta"), 600
    given = conditions(1, audio_mask=torch.rand(frames, 8, 8))
    clip = PreparedClip(given, network("denoising_unet"), network("pose_encoder"), meta, torch.float32)
    gains = clip.audio_gain([3, 599], strength=2.0)
    assert {len(gain) for gain in gains.values()} == {2} and {gain.device for gain in gains.values()} == {meta}
    assert {gain.device for gain in clip._gains.values()} == {CPU}, "masks as long as the clip lie on the device"
    here = PreparedClip(given, network("denoising_unet"), network("pose_encoder"), CPU, torch.float32)
    values = here.audio_gain([3, 599], strength=2.0)[8, 8].squeeze(-1)
    assert torch.allclose(values, 2.0 * given.audio_mask[[3, 599]].flatten(1))


def test_reused_features_are_counted_and_take_what_is_left():
    size = RunSize(RELEASED, 96, 96, 60, 12, True, 2, reused_frames=84)
    whole = estimate(size, Batching())
    one_window = 2 * 12 * 96 * 96 * 320 * 2
    assert whole.reuse == 7 * one_window and "reuse 0.92" in str(whole)
    without = whole.sampling - whole.reuse
    tight = plan_batching(size, without + one_window)
    assert tight == Batching(1, reuse_bytes=one_window), "windows went apart for what can wait in main memory"
    clip = denoiser().prepare(conditions(4), CPU, torch.float32, tight)
    clip.set_speed(SpeedOptions(reuse_steps=2), step=0)
    assert clip.deep_features.budget == one_window


def test_maps_come_back_as_drawn_and_within_the_budget():
    maps = torch.zeros(30, 3, 40, 50, dtype=torch.uint8)
    maps[:, :, 10:14, 20:28] = torch.randint(1, 255, (30, 3, 4, 8), dtype=torch.uint8)
    maps[7] = 0
    drawn = []

    def draw(frames):
        drawn.extend(frames)
        return maps[frames]

    cache = MapCache(draw, budget=10 * 3 * 4 * 8)
    order = [list(range(start, start + 6)) for start in range(0, 30, 6)]
    for _ in range(2):
        for frames in order:
            assert torch.equal(cache(frames), maps[frames])
    assert cache.bytes <= 10 * 3 * 4 * 8
    assert torch.equal(cache([7, 3, 29, 3]), maps[[7, 3, 29, 3]])
    assert drawn.count(0) == 1 and drawn.count(29) > 1


def test_a_window_has_no_gradient_to_chunk_for():
    unet = denoiser().denoising_unet
    latents = torch.randn(8, 4, 8, 8, requires_grad=True)
    unet(latents, torch.tensor([3.0]), WindowContext(8, chunk_elements=1)).sum().backward()
    assert latents.grad.abs().sum() > 0


def test_the_yardstick_computes_the_same():
    model, clip = denoiser(), conditions(8)
    unet = model.denoising_unet
    with torch.no_grad():
        pose = model.pose_encoder(clip.pose_maps(list(range(8))))
        context = WindowContext(
            8, 8, unet.project_reference(clip.reference.tokens), unet.project_audio(clip.audio.tokens)
        )
        latents, timesteps = noise(8), torch.tensor([500.0])
        ours = unet(torch.cat([latents, latents]), timesteps, context, pose)
        theirs = original_velocity(unet, latents, timesteps, clip.reference.tokens, clip.audio.tokens, pose)
    assert relative_error(ours, theirs) < 1e-5
