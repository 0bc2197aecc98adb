"""The training loop: samples in, weights out; devices, precision and processes are accelerate's."""

import logging
import math
import signal
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from ...apdh.schedule import APDHState
from ...networks.frozen_vae import FrozenVAE, load_vae
from ...runtime import Progress
from ..data.dataset import ClipDataset, StepSampler
from ..data.latents import keep_latents
from ..loss.diffusion import add_noise, offset_noise, velocity_target
from ..loss.keypoints import build_keypoints
from ..loss.perceptual import build_perceptual
from ..loss.phd import PhDLoss, latent_loss
from ..model.ema import EMA
from ..model.initialise import build_model, with_start
from ..model.lora import add_lora
from ..model.networks import Conditions, TrainingModel
from ..settings import Settings, SettingsError
from .about import checkpoint_bytes, device_name, tell_space, versions
from .checkpoint import (
    check_same_run,
    choose_checkpoint,
    load_checkpoint,
    register_state_hooks,
    samples_per_step,
    save_checkpoint,
    step_of,
    warn_of_other_clips,
    whisper,
)
from .engine import learning_rate, make_accelerator, make_optimizer, set_rates, usable
from .leaving import LeftError, Requests
from .pace import Pace
from .phases import tell_phases
from .records import Records
from .sharding import whole, whole_weights
from .validation import validate

logger = logging.getLogger(__name__)

# What the validation loss is measured on: so many held-out clips, at the middles of quarters of the schedule.
MEASURED_CLIPS = 8
MEASURED_TIMESTEPS = (125, 375, 625, 875)


def build_loss(settings: Settings, vae: FrozenVAE, device: torch.device) -> PhDLoss:
    """The PhD loss with its frozen networks on the device."""
    weights = settings.loss
    keypoints = build_keypoints(weights.keypoints) if weights.pose else None
    perceptual = build_perceptual(weights.lpips) if weights.low else None
    decode = vae.decode if any(weights.of_terms().values()) else None
    return PhDLoss(weights, decode, keypoints, perceptual, weights.decoded_size).to(device)


class Trainer:
    """One run of training: built from settings or a checkpoint, then `run`.

    Raises
    ------
    SettingsError, CheckpointError, ShardError, VAEError : what is missing or wrong, before any time is spent.
    """

    def __init__(self, settings: Settings, resume: str | None = None):
        self.settings = settings = usable(with_start(settings))
        self.output = Path(settings.output)
        checkpoint = choose_checkpoint(self.output, resume)
        self.dataset = ClipDataset(settings)
        whisper(settings.checkpoint.audio_encoder)  # A wrong file is better known now than at the first checkpoint
        self.accelerator = make_accelerator(settings)
        if checkpoint is not None:
            check_same_run(checkpoint, settings, self.accelerator.num_processes)
            warn_of_other_clips(checkpoint, self.dataset.digest())
        device = self.accelerator.device
        self.vae = load_vae(settings.vae).to(device)
        if self.vae.channels != settings.model.latent_channels:
            raise SettingsError(
                f"vae: {settings.vae} has {self.vae.channels} latent channels, but the model has "
                f"{settings.model.latent_channels}: they must be the same"
            )
        self.loss = build_loss(settings, self.vae, device)
        if settings.data.keep_latents:
            share = self.accelerator.process_index, self.accelerator.num_processes
            mark = keep_latents(self.dataset.found, self.vae, settings.data.size, log_progress, *share)
            self.accelerator.wait_for_everyone()
            self.dataset.latents_mark = mark

        self.plain = build_model(settings)
        self.trained = prepare_parameters(self.plain, settings)
        parameters = {name: parameter for name, parameter in self.plain.named_parameters() if parameter.requires_grad}
        self.plain.to(device)
        count = sum(parameter.numel() for parameter in parameters.values())
        space = checkpoint_bytes(count, sum(parameter.numel() for parameter in self.plain.parameters()), settings)
        optimizer = make_optimizer(settings, parameters)
        self.model, self.optimizer = self.accelerator.prepare(self.plain, optimizer)
        # After the engine has perhaps cut the weights up, so that averages are cut up alike
        self.plain = self.accelerator.unwrap_model(self.model)
        self.ema = EMA(self.plain, settings.train.ema_decay) if settings.train.ema_decay else None
        if self.accelerator.distributed_type.value not in ("DEEPSPEED", "FSDP"):
            register_state_hooks(self.accelerator, self.model, self.trained)
        self.step = 0
        self.pace = Pace(samples_per_step(settings, self.accelerator.num_processes), device)
        # For lora.dropout, the one thing drawn from torch's own generator; a checkpoint brings its state along
        torch.manual_seed(settings.seed + self.accelerator.process_index)
        if checkpoint is not None:
            self.step = load_checkpoint(self.accelerator, checkpoint, self.ema)
            logger.info("resumed from %s", checkpoint)
        trained = f"a LoRA of {', '.join(settings.lora.targets)}" if settings.lora.rank else ", ".join(settings.parts)
        logger.info("%.1f million parameters are trained: %s", count / 1e6, trained)
        said, fits = tell_space(self.output, space, settings.checkpoint.keep)
        logger.log(logging.INFO if fits else logging.WARNING, "%s", said)
        tell_phases(settings, self.step)

    def loader(self) -> DataLoader:
        train, accelerator = self.settings.train, self.accelerator
        sampler = StepSampler(
            self.step,
            train.steps,
            train.batch_size,
            train.accumulation,
            accelerator.process_index,
            accelerator.num_processes,
        )
        return DataLoader(
            self.dataset,
            batch_size=train.batch_size,
            sampler=sampler,
            num_workers=self.settings.data.workers,
            worker_init_fn=_calm_worker,
            pin_memory=accelerator.device.type == "cuda",
            # Else it would draw from torch's own generator at every start, and a resumed run would go another way
            generator=torch.Generator().manual_seed(self.settings.seed),
        )

    def run(self, progress: Progress | None = None) -> Path | None:
        """Train to `train.steps`; the folder of the last checkpoint. `progress` is called before every step."""
        settings, accelerator = self.settings, self.accelerator
        last = choose_last(self.output, self.step)
        records = None
        if accelerator.is_main_process:
            records = Records(self.output, self.step)
            made_by = {"device": device_name(accelerator.device), "processes": accelerator.num_processes, **versions()}
            records.start({"step": self.step, **made_by})
        samples = iter(self.loader())
        with Requests() as requests, self.pace:
            while self.step < settings.train.steps:
                if progress is not None:
                    progress(self.step, settings.train.steps)
                last = self.advance(samples, records, requests) or last
        if progress is not None:
            progress(settings.train.steps, settings.train.steps)
        if records is not None:
            records.close()
        return last

    def advance(self, samples, records: Records | None, requests: Requests) -> Path | None:
        """One step with all that comes after it; the checkpoint, if it is time for one.

        Raises
        ------
        FloatingPointError : the loss is not finite. LeftError : one of the processes was asked to stop; all have saved.
        """
        settings, accelerator, last = self.settings, self.accelerator, None
        with self.pace.step(self.step + 1):
            values = self.train_step(samples)
            self.step += 1
            values["asked"] = torch.tensor([float(requests.asked or 0)], device=accelerator.device)
            values = self.gather(values)
        asked = values.pop("asked")
        if not math.isfinite(values["loss"]):
            # The mean over all processes, so all of them stop
            raise FloatingPointError(
                f"the loss of step {self.step} is {values['loss']}: start again from the last checkpoint's export "
                "(init.source: one_file) with a lower optimizer.learning_rate, or with train.precision: no"
            )
        if records is not None:
            values |= {"learning_rate": learning_rate(settings, self.step - 1), **self.pace.values}
            records.write(self.step, values, self.dataset.state(self.step - 1))
        end = self.step == settings.train.steps
        if end or asked or self.step % settings.checkpoint.every == 0:
            last = save_checkpoint(accelerator, self.model, self.ema, settings, self.step, self.dataset.digest())
        if asked and not end:
            raise LeftError(requests.asked or signal.SIGTERM, last)
        if settings.validation.every and (end or self.step % settings.validation.every == 0):
            self.validate(records)
        return last

    def train_step(self, samples) -> dict[str, torch.Tensor]:
        """One optimizer step over `accumulation` batches; its losses for the log."""
        settings = self.settings
        state = self.dataset.state(self.step)
        set_rates(self.optimizer, learning_rate(settings, self.step))
        logged: dict[str, list[torch.Tensor]] = {}
        for _ in range(settings.train.accumulation):
            with self.pace.waiting():
                drawn = next(samples)
            batch = {name: t.to(self.accelerator.device, non_blocking=True) for name, t in drawn.items()}
            with self.accelerator.accumulate(self.model):
                loss, parts = self.losses(batch, audio=state.audio != "off")
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    parameters = [p for p in self.model.parameters() if p.requires_grad]
                    norm = self.accelerator.clip_grad_norm_(parameters, settings.optimizer.max_grad_norm)
                    if norm is not None:  # DeepSpeed does not always know it
                        logged["gradient_norm"] = [whole(torch.as_tensor(norm)).float().reshape(1)]
                self.optimizer.step()
                self.optimizer.zero_grad()
            logged.setdefault("loss", []).append(loss.detach().float().reshape(1))
            for name, values in parts.items():
                logged.setdefault(f"loss_{name}", []).append(values.float())
        if self.ema is not None:
            self.ema.update(self.plain, self.step)
        return {name: torch.cat(values) for name, values in logged.items()}

    def losses(self, batch: dict[str, torch.Tensor], audio: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The PhD loss of a batch of samples as `ClipDataset` makes them."""
        clean, conditions = self.encode(batch, audio)
        noise = offset_noise(batch["noise"], batch["offset"], self.settings.train.noise_offset)
        timesteps = batch["timestep"]
        noisy = add_noise(clean, noise, timesteps)
        target = velocity_target(clean, noise, timesteps)
        with self.accelerator.autocast():
            velocity = self.model(noisy, timesteps, conditions)
            picked = batch["picked"]
            rows = torch.arange(len(picked), device=picked.device)[:, None]
            frames = batch["frames"][rows, picked].float() / 255
            return self.loss(
                velocity.float(),
                target,
                noisy,
                timesteps,
                frames,
                picked,
                squares=batch["squares"][rows, picked],
                mask=batch["loss_mask"],
                pixel_mask=batch["pixel_mask"],
                crops=batch.get("crop"),
            )

    def encode(self, batch: dict[str, torch.Tensor], audio: bool) -> tuple[torch.Tensor, Conditions]:
        """Clean scaled latents (B, F, 4, h, w) and conditions of a batch."""
        pictures = torch.cat([batch["frames"], batch["reference"][:, None]], dim=1)
        if "latents" not in batch:
            latents = self.vae_latents(pictures)
        else:
            latents, missing = batch["latents"].clone(), ~batch["has_latents"]
            if missing.any():
                latents[missing] = self.vae_latents(pictures[missing])
        conditions = Conditions(
            reference=latents[:, -1],
            dropped=batch["dropped"],
            picture_kept=batch["picture_kept"],
            audio_kept=batch["audio_kept"],
            pose_maps=batch["pose_maps"].float() / 255,
            pose_kept=batch["pose_kept"],
            audio=batch["audio"] if audio else None,
            audio_mask=batch["audio_mask"] if audio else None,
        )
        return latents[:, :-1], conditions

    def vae_latents(self, pictures: torch.Tensor) -> torch.Tensor:
        """Scaled latents (B, F, 4, h, w) of pictures (B, F, 3, H, W) uint8."""
        with self.accelerator.autocast():
            return self.vae.encode(pictures.flatten(0, 1).float() / 255).float().unflatten(0, pictures.shape[:2])

    def gather(self, values: dict[str, torch.Tensor]) -> dict[str, float]:
        """Means over all processes; terms that no sample of the step had are left out."""
        names = ["loss", "gradient_norm", "loss_latent", "loss_pose", "loss_detail", "loss_low", "asked"]
        device = self.accelerator.device
        table = torch.zeros(len(names), 2, device=device)
        for row, name in enumerate(names):
            found = values.get(name)
            if found is not None:
                kept = found[~found.isnan()] if name.startswith("loss_") else found
                table[row] = torch.stack([kept.sum(), torch.tensor(float(len(kept)), device=device)])
        table = self.accelerator.reduce(table, reduction="sum").tolist()
        return {name: total / count for name, (total, count) in zip(names, table, strict=True) if count}

    def validate(self, records: Records | None) -> None:
        """Measure and generate validation clips in the process that has the records; the others wait."""
        plain, state = self.plain, self.dataset.state(self.step - 1)
        folder = self.output / "validation"
        averages = nullcontext() if self.ema is None else self.ema.in_place(plain)
        plain.eval()
        # Frozen weights may be kept in bfloat16, which only autocast mixes with the others
        with averages, whole_weights(plain), self.accelerator.autocast():
            if records is not None:
                clips = validate(plain, self.vae, self.dataset, state, self.settings, folder, self.step)
                for index, frames in enumerate(clips):
                    records.clip(self.step, f"validation/{index}", frames)
                if self.dataset.held_out:
                    records.measure(self.step, self.validation_loss(state))
            self.accelerator.wait_for_everyone()
        plain.train()

    @torch.no_grad()
    def validation_loss(self, state: APDHState) -> float:
        """Mean latent loss on held-out clips, with the same frames, noise and timesteps every time."""
        losses = []
        for index, clip in enumerate(self.dataset.held_out[:MEASURED_CLIPS]):
            rng = np.random.default_rng([self.settings.seed, index])
            batch = {
                name: t[None].to(self.accelerator.device) for name, t in self.dataset.sample(clip, state, rng).items()
            }
            batch["dropped"] = torch.zeros_like(batch["dropped"])
            batch |= {name: torch.ones_like(batch[name]) for name in ("picture_kept", "audio_kept", "pose_kept")}
            clean, conditions = self.encode(batch, audio=state.audio != "off")
            for timestep in MEASURED_TIMESTEPS:
                at = torch.tensor([timestep], device=clean.device)
                noisy = add_noise(clean, batch["noise"], at)
                # Not called as a module: engines would want all processes to take part
                velocity = self.plain.forward(noisy, at, conditions)
                target = velocity_target(clean, batch["noise"], at)
                gamma = self.settings.loss.min_snr_gamma
                losses.append(latent_loss(velocity, target, at, gamma, batch["loss_mask"]).item())
        return sum(losses) / len(losses)


def prepare_parameters(model: TrainingModel, settings: Settings) -> list[str]:
    """Freeze what is not trained and set the model up for the stage; names of the trained parameters."""
    model.set_motion(settings.train.stage > 1)
    model.set_gradient_checkpointing(settings.train.gradient_checkpointing)
    names = (
        add_lora(model, settings.lora, settings.seed) if settings.lora.rank else model.train_parts(list(settings.parts))
    )
    if settings.train.frozen_bf16:
        for parameter in model.parameters():
            if not parameter.requires_grad and parameter.ndim > 1:
                parameter.data = parameter.data.bfloat16()
    return names


def log_progress(done: int, total: int) -> None:
    """Say now and then how many videos have their latents."""
    if total and done % max(1, total // 10) == 0:
        logger.info("latents of %d of %d videos", done, total)


def choose_last(output: Path, step: int) -> Path | None:
    from .checkpoint import find_checkpoints

    found = [path for path in find_checkpoints(output) if step_of(path) <= step]
    return found[-1] if found else None


def _calm_worker(_: int) -> None:
    """Workers share the cores: OpenCV's own threads would fight over them. Ctrl-C is for the run, which ends them."""
    from ...media.opencv import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
