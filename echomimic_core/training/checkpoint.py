"""Checkpoints of a run: its exact state, and exports that ComfyUI and the original's code load.

A checkpoint is the folder `step-00001000`; it appears whole or not at all, so a run that is killed while it saves
resumes from the one before.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import torch

from ..checkpoints import AUDIO_ENCODER, TensorFile, save_one_file
from ..checkpoints import MOTION as MOTION_NAMES
from .ema import EMA
from .lora import save_lora
from .networks import TrainingModel
from .settings import Settings, SettingsError

STATE, TRAINED, AVERAGES, RUN = "state", "trained.safetensors", "ema.safetensors", "run.json"
ONE_FILE, LORA, RELEASED = "echomimicv2.safetensors", "lora.safetensors", "released"
_NAME = re.compile(r"step-(\d{8})")
# What may differ between a run and the checkpoint it resumes from: how far and where to, not what is computed.
FREE_TO_CHANGE = {"output", "checkpoint", "validation"}


def folder_name(step: int) -> str:
    return f"step-{step:08d}"


def find_checkpoints(output: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    found = [path for path in output.glob("step-*") if _NAME.fullmatch(path.name) and (path / RUN).is_file()]
    return sorted(found)


def step_of(checkpoint: Path) -> int:
    return json.loads((checkpoint / RUN).read_text(encoding="utf-8"))["step"]


def choose_checkpoint(output: Path, resume: str | None) -> Path | None:
    """The checkpoint to resume from: the newest for "latest", or the one named; None to start afresh.

    Raises
    ------
    SettingsError : there is none, or a run lies in `output` already and nobody asked to resume it.
    """
    found = find_checkpoints(output)
    if resume is None:
        if found:
            raise SettingsError(
                f"{output} already holds a run, up to {found[-1].name}: continue it with --resume, "
                "or choose another 'output'. Nothing was overwritten."
            )
        return None
    if resume == "latest":
        if not found:
            raise SettingsError(f"there is nothing to resume: {output} holds no checkpoint")
        return found[-1]
    path = Path(resume)
    if not (path / RUN).is_file():
        raise SettingsError(f"{path} is no checkpoint: it has no {RUN}")
    return path


def as_json(settings: Settings) -> dict:
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def check_same_run(checkpoint: Path, settings: Settings) -> None:
    """SettingsError if a setting that changes what is computed differs from that of the checkpoint."""
    before = json.loads((checkpoint / RUN).read_text(encoding="utf-8"))["settings"]
    now = as_json(settings)
    before["train"].pop("steps", None), now["train"].pop("steps", None)
    before["data"].pop("workers", None), now["data"].pop("workers", None)
    for key in now.keys() - FREE_TO_CHANGE:
        if now[key] == before.get(key):
            continue
        inner = now[key] if isinstance(now[key], dict) else {}
        changed = next((f"{key}.{k}" for k in inner if inner[k] != (before.get(key) or {}).get(k)), key)
        raise SettingsError(
            f"{changed} is not what it was in {checkpoint}: resuming continues the same run. "
            "To go on with other settings, start a new run with init.source: one_file."
        )


def save_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def register_state_hooks(accelerator, model: TrainingModel, trained: list[str]) -> None:
    """Keep frozen weights out of saved states: they are read again from where they came from.

    Sharded engines (DeepSpeed, FSDP) save what they hold in their own way and are left alone.
    """

    def save(models, weights, folder):
        if accelerator.is_main_process:
            parameters = dict(accelerator.unwrap_model(model).named_parameters())
            save_tensors(Path(folder) / TRAINED, {name: parameters[name] for name in trained})
        weights.clear()

    def load(models, folder):
        tensors = load_tensors(Path(folder) / TRAINED)
        with torch.no_grad():
            parameters = dict(accelerator.unwrap_model(model).named_parameters())
            for name in trained:
                parameters[name].copy_(tensors[name])
        models.clear()

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def export(folder: Path, model: TrainingModel, settings: Settings, step: int) -> list[Path]:
    """Write what ComfyUI loads, from the weights now in the model: a LoRA, or the formats asked for."""
    dtype = getattr(torch, settings.checkpoint.dtype)
    if settings.lora.rank:
        save_lora(folder / LORA, dict(model.named_parameters()), settings.lora, dtype)
        return [folder / LORA]
    networks = {name: module.state_dict() for name, module in model.named_children()}
    written = []
    if "one_file" in settings.checkpoint.formats:
        information = {"trained_steps": str(step), "stage": str(settings.train.stage)}
        everything = networks | whisper(settings.checkpoint.audio_encoder)
        variant = settings.checkpoint.variant
        written.append(save_one_file(folder / ONE_FILE, everything, variant, model.config, dtype, information))
    if "released" in settings.checkpoint.formats:
        written.append(save_released(folder / RELEASED, networks, settings.checkpoint.variant, dtype))
    return written


def whisper(path: str | None) -> dict[str, dict[str, torch.Tensor]]:
    """The audio encoder of a Whisper file, as a network of a one-file model; nothing for None."""
    if path is None:
        return {}
    from ..models.audio_encoder import build_audio_encoder

    return {AUDIO_ENCODER: build_audio_encoder(TensorFile(path).state_dict()).encoder.state_dict()}


def save_released(folder: Path, networks: dict[str, dict], variant: str, dtype: torch.dtype) -> Path:
    """Write the four .pth files of the released layout; the denoiser's holds no motion modules."""
    folder.mkdir(parents=True)
    suffix = "_acc" if variant == "accelerated" else ""
    denoiser = networks["denoising_unet"]
    files = {
        f"denoising_unet{suffix}": {n: t for n, t in denoiser.items() if MOTION_NAMES not in n},
        f"motion_module{suffix}": {n: t for n, t in denoiser.items() if MOTION_NAMES in n},
        "reference_unet": networks["reference_unet"],
        "pose_encoder": networks["pose_encoder"],
    }
    for name, tensors in files.items():
        torch.save({n: t.detach().to("cpu", dtype).contiguous() for n, t in tensors.items()}, folder / f"{name}.pth")
    return folder


def save_checkpoint(accelerator, model: TrainingModel, ema: EMA | None, settings: Settings, step: int) -> Path:
    """Save the run after `step` optimizer steps, export it, and remove checkpoints beyond those to keep."""
    output = Path(settings.output)
    final = output / folder_name(step)
    partial = final.with_name(final.name + ".partial")
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial / STATE))
    if accelerator.is_main_process:
        plain = accelerator.unwrap_model(model)
        if ema is not None:
            save_tensors(partial / AVERAGES, ema.shadow)
            with ema.in_place(plain):
                export(partial, plain, settings, step)
        else:
            export(partial, plain, settings, step)
        content = {"step": step, "settings": as_json(settings)}
        (partial / RUN).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        for old in find_checkpoints(output)[: -settings.checkpoint.keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return final


def load_checkpoint(accelerator, checkpoint: Path, ema: EMA | None) -> int:
    """Put the state of a checkpoint into the prepared objects; number of steps it had done."""
    accelerator.load_state(str(checkpoint / STATE))
    if ema is not None:
        for name, tensor in load_tensors(checkpoint / AVERAGES).items():
            ema.shadow[name].copy_(tensor)
    return step_of(checkpoint)
