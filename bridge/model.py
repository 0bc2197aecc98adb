"""The bridge: EchoMimicV2 as a native ComfyUI MODEL, so that core samplers, patches, LoRA and previews work on it."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_sampling
import comfy.supported_models_base
import torch

from ..echomimic_core.config import (
    FRAME_SIZE,
    LATENT_CHANNELS,
    LATENT_SCALE,
    NOISE_CLAMP,
    ModelConfig,
    Variant,
)
from ..echomimic_core.models.trial import ways_in_use
from ..echomimic_core.runtime import free_memory
from ..echomimic_core.sampling.clip import CLIP_CACHES
from ..echomimic_core.sampling.denoiser import ClipDenoiser, Halves, Moment, WindowBatch
from ..echomimic_core.sampling.memory import (
    GIB,
    ON_CPU,
    Batching,
    RunSize,
    WindowRunner,
    activation_bytes,
    estimate,
    leanest,
    plan_batching,
)
from ..echomimic_core.sampling.schedule import comfy_sigmas
from ..echomimic_core.sampling.speed import EXACT
from .compatibility import UnetConfig, check_patches
from .payload import (
    BATCHING,
    MOMENT,
    PAYLOAD,
    RUN_SHAPE,
    SPEED,
    WINDOWS,
    ClipCond,
    ClipPayload,
    PreparedHalf,
    check_latents,
    sampling_step,
)
from .progress import window_report
from .windows import WindowHandler

# ComfyUI runs halves of guidance together only where so many times what `memory_required` says is free. What ours says
# is counted, so this margin is taken out: else the plan would say what ComfyUI does not do.
CORE_MARGIN = 1.5
# Layers whose weights are on the device at once where they come from main memory: one computes, one arrives.
LAYERS_UNDER_WAY = 2


class GraphDenoiser(ClipDenoiser):
    """`diffusion_model` as core calls it: a batch of one or both halves of guidance.

    With `WindowHandler` at work each half is some windows of the clip; without it, each is the whole clip.
    """

    @property
    def in_channels(self) -> int:
        """Of the latents, as ComfyUI's nodes ask for it."""
        return self.denoising_unet.config.latent_channels

    # Only this stays out of a compiled graph, so one graph of the networks serves every clip length
    @torch.compiler.disable(recursive=False)
    def forward(
        self, x, timesteps, context=None, control=None, transformer_options=None, echomimic=None, **kwargs
    ) -> torch.Tensor:
        """Velocity (halves * frames, c, height, width) for scaled noisy latents of the same shape."""
        options = transformer_options or {}
        halves: list[PreparedHalf] = [half.on(self, x.device) for half in echomimic]
        self.compute_dtype = halves[0].computes_in
        windows, speed = options.get(WINDOWS), options.get(SPEED, EXACT)
        # Reading numbers from a device waits for it, so `WindowHandler` has read them once for all windows of a step
        step, timestep = options.get(MOMENT) or (sampling_step(options), float(timesteps[0]))
        for half in halves:
            if half.clip is not None:
                half.clip.set_speed(speed, step)
        if windows is None:
            frames = len(x) // len(halves)
            if frames != halves[0].frames:
                raise ValueError(
                    f"Another node cut the clip of {halves[0].frames} frames down to {frames}: remove the Context "
                    "Windows node: EchoMimicV2 has its own (context_frames of the sampler or of APDH Conditioning)."
                )
            windows = halves[0].windows.at_step(frames, step, speed)
            run = self._whole_clip
        else:
            run = self._few_windows
        chunks = list(x.chunk(len(halves)))
        plain = [index for index, half in enumerate(halves) if half.clip is None]
        results: dict[int, torch.Tensor] = {}
        for index, half in enumerate(halves):
            if half.clip is None:
                continue
            shared = bool(plain) and not results
            *silent, results[index] = run(chunks[index], timestep, windows, half, shared, options)
            if shared:
                results.update(dict.fromkeys(plain, silent[0]))
        if not results:
            only = run(chunks[plain[0]], timestep, windows, halves[plain[0]], True, options)
            results = dict.fromkeys(plain, only[0])
        return torch.cat([results[index] for index in range(len(halves))])

    @torch.compiler.disable(recursive=False)
    def _whole_clip(self, latents, timestep, windows, half: PreparedHalf, unconditional: bool, options: dict):
        halves = Halves(half.clip, unconditional)
        with self._ways(latents.device, options):
            return self.predict(latents, timestep, windows, halves, half.runner, options, window_report(options))

    @torch.compiler.disable(recursive=False)
    def _few_windows(self, latents, timestep, windows, half: PreparedHalf, unconditional: bool, options: dict):
        rows = torch.arange(len(latents), device=latents.device).unflatten(0, (len(windows), -1))
        # ComfyUI has already decided whether the halves go together.
        batch = WindowBatch(windows, rows, replace(options[BATCHING], halves_together=True))
        moment = Moment.at(timestep, latents.device, options)
        with self._ways(latents.device, options):
            return self.run_windows(latents, moment, batch, Halves(half.clip, unconditional)).unbind(0)

    def _ways(self, device: torch.device, options: dict):
        """A context in which the ways of the run's Speed Options are taken."""
        return ways_in_use(options.get(SPEED, EXACT).ways_on(device, self.compute_dtype or self.dtype))


class ZeroSNRSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION):
    """The original's noise schedule and its clamped noise, for every sampler of core."""

    def __init__(self, model_config=None):
        # Nodes that derive a class from it hand over the model's settings, as ComfyUI's own classes take them.
        super().__init__()
        self.zsnr = True
        self.set_sigmas(comfy_sigmas())

    def noise_scaling(self, sigma, noise, latent_image, max_denoise=False):
        return super().noise_scaling(sigma, noise.clamp(-NOISE_CLAMP, NOISE_CLAMP), latent_image, max_denoise)


class OwnLatents(comfy.latent_formats.LatentFormat):
    """Latents of a model's own VAE: more channels than SD 1.5's, scaled alike."""

    scale_factor = LATENT_SCALE

    def __init__(self, channels: int):
        self.latent_channels = channels


class EchoMimicModelConfig(comfy.supported_models_base.BASE):
    """What core wants to know of a model it did not detect itself."""

    unet_config = UnetConfig(disable_unet_model_creation=True)
    latent_format = comfy.latent_formats.SD15
    memory_usage_factor = 1.0


class EchoMimicModel(comfy.model_base.BaseModel):
    """Denoising U-Net, motion modules and pose encoder behind core's model interface.

    Attributes
    ----------
    picture_size : side in pixels of the pictures it was trained on.
    vae_file, vae_stamp : the one-file model it comes from, where that has a VAE inside, and its stamp at loading.
    about : what its metadata say of it (`ModelFiles.about`).
    """

    picture_size = FRAME_SIZE
    vae_file: Path | None = None
    vae_stamp: tuple[int, int] | None = None
    about: Mapping[str, str] = MappingProxyType({})

    def __init__(self, denoiser: GraphDenoiser, config: ModelConfig, variant: Variant, manual_cast_dtype):
        model_config = EchoMimicModelConfig(EchoMimicModelConfig.unet_config)
        model_config.manual_cast_dtype = manual_cast_dtype
        if config.latent_channels != LATENT_CHANNELS:
            model_config.latent_format = OwnLatents(config.latent_channels)
        super().__init__(model_config, comfy.model_base.ModelType.V_PREDICTION)
        self.model_sampling = ZeroSNRSampling()
        self.diffusion_model = denoiser
        self.config = config
        self.variant = variant

    def compute_dtype(self) -> torch.dtype:
        return self.manual_cast_dtype or self.get_dtype()

    def extra_conds_shapes(self, **kwargs) -> dict[str, list[int]]:
        payload: ClipPayload | None = kwargs.get(PAYLOAD)
        # The unconditional half knows nothing of the sampler
        told = payload is not None and payload.conditions is not None
        return {RUN_SHAPE: payload.run_shape} if told else {}

    def extra_conds(self, **kwargs):
        payload: ClipPayload | None = kwargs.get(PAYLOAD)
        if payload is None:
            raise ValueError(
                "This EchoMimicV2 model got the wrong kind of conditioning: "
                "connect both outputs of 'APDH Conditioning' to positive and negative, or use the EchoMimicV2 Sampler."
            )
        noise, device = kwargs["noise"], kwargs["device"]
        check_latents(noise, payload, self.config.latent_channels)
        # Of this run: core's ModelComputeDtype changes it after loading
        dtype, device = self.compute_dtype(), torch.device(device)
        if payload.conditions is None:
            return {PAYLOAD: ClipCond(PreparedHalf(len(noise), None, payload.windows, WindowRunner(), dtype))}
        if self.current_patcher is not None:
            check_patches(self.current_patcher, self.model_sampling, ZeroSNRSampling, WindowHandler)
        batching = self.plan(noise, payload, device)
        clip = self.diffusion_model.prepare(payload.conditions, device, dtype, batching)
        return {PAYLOAD: ClipCond(PreparedHalf(len(noise), clip, payload.windows, clip.runner, dtype))}

    def run_size(self, height: int, width: int, run_shape: list[int]) -> RunSize:
        """What decides the memory of a run besides its weights; `run_shape` is `ClipPayload.run_shape`."""
        frames, context_frames, copies, guided, reused = run_shape
        return RunSize(
            *(self.config, height, width, frames, context_frames, bool(guided), self.compute_dtype().itemsize),
            cache_bytes=CLIP_CACHES,
            latent_copies=copies,
            reused_frames=reused,
        )

    def plan(self, noise: torch.Tensor, payload: ClipPayload, device: torch.device) -> Batching:
        """How windows will go through the network, by the memory that is left; logged. ValueError if none can."""
        frames, _, height, width = noise.shape
        size = self.run_size(height, width, [frames, *payload.run_shape[1:]])
        if self.are_weights_streamed():
            size = replace(size, weight_bytes=self.layers_under_way())
        devices = 1 + len(copies_elsewhere(self.current_patcher))
        apart = size.guided and devices > 1
        if apart:  # Each device computes one half
            size = replace(size, guided=False)
        widest = ON_CPU if comfy.model_management.is_device_cpu(device) else None
        batching = plan_batching(size, self.room(size, device), widest)
        said = batching.said(size.guided) + (f", halves of guidance on {devices} devices" if apart else "")
        needed, weights = estimate(size, batching), self.said_of_weights(device)
        logging.info("EchoMimicV2: %d frames, %s; %s, %s", frames, said, needed, weights)
        return batching

    def room(self, size: RunSize, device: torch.device) -> int | None:
        """Bytes that are left for everything but the resident weights.

        Where ComfyUI moves weights page by page it can give all memory away: not what they need, if a run fits so.
        """
        patcher = self.current_patcher
        if not is_dynamic(patcher):
            return free_memory(device)
        free = int(patcher.get_free_memory(device))
        beside = free - patcher.model_size()
        return beside if beside >= estimate(size, leanest(size)).sampling else free

    def are_weights_streamed(self) -> bool:
        """Whether some weights are in main memory and go to the device for each layer."""
        return bool(getattr(self, "model_lowvram", False)) or is_dynamic(self.current_patcher)

    def layers_under_way(self) -> int:
        """Most bytes of weights that are on the device at once where none stay there."""
        largest = max(sum(p.numel() for p in module.parameters(recurse=False)) for module in self.modules())
        return LAYERS_UNDER_WAY * largest * self.compute_dtype().itemsize

    def said_of_weights(self, device: torch.device) -> str:
        """Where the weights are while sampling."""
        patcher = self.current_patcher
        if patcher is None or comfy.model_management.is_device_cpu(device):
            return "weights in main memory"
        whole = patcher.model_size() / GIB
        if is_dynamic(patcher):
            return f"besides {whole:.2f} GiB of weights, which ComfyUI moves as memory allows"
        if not self.are_weights_streamed():
            return f"besides {whole:.2f} GiB of weights, all on the device"
        on_device = patcher.loaded_size() / GIB
        return f"besides weights, {on_device:.2f} of {whole:.2f} GiB on the device, the rest read from main memory"

    def memory_required(self, input_shape, cond_shapes=None) -> float:
        """Bytes besides the weights.

        ComfyUI asks three times: before a run for both halves of the whole clip, the answer to which it makes room for;
        for one half, which it leaves free of weights at the least; and in every step for the windows that are next,
        beside which everything else of the run is already there.
        """
        samples, _, height, width = input_shape
        runs = (cond_shapes or {}).get(RUN_SHAPE)
        if runs:
            size = self.run_size(height, width, runs[0])
            if samples >= 2 * size.frames:
                return estimate(size, size.widest()).sampling
            return estimate(replace(size, weight_bytes=self.layers_under_way()), leanest(size)).sampling
        ceiling, frames = map(max, zip(*(cond_shapes or {}).get(PAYLOAD, [(0, 0)]), strict=True))
        size = self.run_size(height, width, [samples, max(frames, 1), 0, 0, 0])
        return activation_bytes(size, min(samples, 2 * frames), ceiling) / CORE_MARGIN


def is_dynamic(patcher) -> bool:
    """Whether ComfyUI moves a model's weights page by page, which older versions cannot."""
    return patcher is not None and getattr(patcher, "is_dynamic", lambda: False)()


def copies_elsewhere(patcher) -> list:
    """The copies of a MODEL on other devices, which ComfyUI's MultiGPU CFG Split makes."""
    of_kind = getattr(patcher, "get_additional_models_with_key", None)
    return [] if of_kind is None else of_kind("multigpu")


def require_echomimic(model, what: str) -> EchoMimicModel:
    """The `EchoMimicModel` in a MODEL; ValueError for any other kind of model."""
    inner = getattr(model, "model", None)
    if not isinstance(inner, EchoMimicModel):
        raise ValueError(
            f"{what} needs the MODEL of 'Load EchoMimicV2' (optionally through LoRA or other patches), "
            f"but got a {type(inner).__name__}."
        )
    return inner
