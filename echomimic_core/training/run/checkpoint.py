"""Checkpoints of a run: its exact state, and exports that ComfyUI and the original's code load.

A checkpoint is the folder `step-00001000`; it appears whole or not at all, so a run that is killed while it saves
resumes from the one before.
"""

import dataclasses
import json
import logging
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import torch

from ...files.checkpoints import AUDIO_ENCODER, VAE, TensorFile, save_one_file, write_tensors
from ...files.checkpoints import MOTION as MOTION_NAMES
from ...files.durable import Draft, settle_folder, write_json
from ...files.vae import open_vae
from ...runtime import is_out_of_memory
from ..model.ema import EMA
from ..model.lora import save_lora
from ..model.networks import TrainingModel
from ..settings import COSINE, Settings, SettingsError
from .about import write_card
from .sharding import local, whole

logger = logging.getLogger(__name__)

STATE, TRAINED, AVERAGES, RUN = "state", "trained.safetensors", "ema.safetensors", "run.json"
ONE_FILE, LORA, RELEASED = "echomimicv2.safetensors", "lora.safetensors", "released"
# In what torch (of its zip writer) and safetensors (of Rust) say when a file cannot be written.
WRITERS_WORDS = ("os error", "No space left", "PytorchStreamWriter", "inline_container")
_NAME = re.compile(r"step-(\d{8})")
# What may differ between a run and the checkpoint it resumes from: how far and where to, not what is computed.
FREE_TO_CHANGE = {"output", "checkpoint", "validation"}
FREE_TO_CHANGE_INSIDE = (("train", "steps"), ("train", "batch_size"), ("train", "accumulation"), ("data", "workers"))


def folder_name(step: int) -> str:
    return f"step-{step:08d}"


def find_checkpoints(output: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    found = [path for path in output.glob("step-*") if _NAME.fullmatch(path.name) and (path / RUN).is_file()]
    return sorted(found)


def read_run(checkpoint: Path) -> dict:
    """What a checkpoint says of its run: "step", "settings" and "samples_per_step".

    Raises
    ------
    SettingsError : its run.json cannot be read, or is not one.
    """
    path = checkpoint / RUN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        int(content["step"]), content["settings"]["train"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} is damaged ({error}), so nothing can be resumed from {checkpoint.name}: move that folder "
            "away, and --resume continues from the previous checkpoint"
        ) from error
    return content


def step_of(checkpoint: Path) -> int:
    return read_run(checkpoint)["step"]


def choose_checkpoint(output: Path, resume: str | None) -> Path | None:
    """The checkpoint to resume from: the newest for "latest" or, if there is one, for "auto", or the one named; None to
    start afresh.

    Raises
    ------
    SettingsError : there is none, a run is in `output` already and nobody asked to resume it, or going on at the
        one named would overwrite what was made after it.
    """
    found = find_checkpoints(output)
    if resume is None:
        if found:
            raise SettingsError(
                f"{output} already contains a run, up to {found[-1].name}: continue it with --resume, "
                "or choose another 'output'. Nothing was overwritten."
            )
        return None
    if resume == "auto":
        return found[-1] if found else None
    if resume == "latest":
        if not found:
            raise SettingsError(f"there is nothing to resume: {output} contains no checkpoint")
        return found[-1]
    path = Path(resume)
    if not (path / RUN).is_file():
        raise SettingsError(f"{path} is not a checkpoint: it has no {RUN}")
    _check_nothing_is_overwritten(path, output, found)
    return path


def _check_nothing_is_overwritten(path: Path, output: Path, found: list[Path]) -> None:
    """SettingsError where continuing from the checkpoint `path` would prune or overwrite others in `output`."""
    if not found:
        return
    if path.resolve().parent != output.resolve():
        raise SettingsError(
            f"{output} already contains a run, up to {found[-1].name}, and {path} belongs to another: choose "
            "another 'output' to continue from it. Nothing was overwritten."
        )
    step = step_of(path)
    newer = [other.name for other in found if step_of(other) > step]
    if newer:
        raise SettingsError(
            f"{output} contains newer checkpoints than {path.name}: {', '.join(newer)}. Continuing from "
            f"{path.name} would "
            "overwrite them: resume the newest by --resume alone, or set another 'output' to branch off from "
            f"{path.name}. Nothing was overwritten."
        )


def as_json(settings: Settings) -> dict:
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def samples_per_step(settings: Settings, processes: int) -> int:
    """Clips that one optimizer step learns from, over all processes."""
    return settings.train.batch_size * settings.train.accumulation * processes


def check_same_run(checkpoint: Path, settings: Settings, processes: int = 1) -> None:
    """SettingsError if something that changes what is computed differs from the checkpoint's run.

    A step's samples may be shared out again, between processes, batch and accumulation, as long as they are as many.
    """
    run = read_run(checkpoint)
    before, now = run["settings"], as_json(settings)
    for key, default in as_json(Settings()).items():
        # Settings that came after the checkpoint was made
        before[key] = {**default, **before.get(key, {})} if isinstance(default, dict) else before.get(key, default)
    for noted in (before, now):
        if noted["optimizer"]["schedule"] == COSINE:
            # Where the cosine ends is computed, though the run may go on to any step
            noted["optimizer"]["decay_steps"] = noted["optimizer"]["decay_steps"] or noted["train"]["steps"]
    for section, key in FREE_TO_CHANGE_INSIDE:
        before.get(section, {}).pop(key, None), now[section].pop(key, None)
    for key in now.keys() - FREE_TO_CHANGE:
        if now[key] == before.get(key):
            continue
        inner = now[key] if isinstance(now[key], dict) else {}
        changed = next((f"{key}.{k}" for k in inner if inner[k] != (before.get(key) or {}).get(k)), key)
        raise SettingsError(
            f"{changed} is not what it was in {checkpoint}: resuming continues the same run. "
            "To use other settings, start a new run with init.source: one_file."
        )
    expected, found = run.get("samples_per_step"), samples_per_step(settings, processes)
    if expected is not None and expected != found:
        raise SettingsError(
            f"a step of the run in {checkpoint.parent} learns from {expected} samples, but now from {found} "
            f"(train.batch_size {settings.train.batch_size} x train.accumulation {settings.train.accumulation} x "
            f"{processes} process{'es' * (processes > 1)}): change them so that their product is {expected}"
        )


def warn_of_other_clips(checkpoint: Path, clips: str) -> None:
    """Warn if a run continues with other clips than it learned from so far."""
    before = read_run(checkpoint).get("clips")
    if before is not None and before != clips:
        logger.warning(
            "the clips in data.folders are not those that %s learned from: the run continues with the current "
            "ones, and no longer equals an uninterrupted run",
            checkpoint,
        )


def save_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    write_tensors(path, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    return TensorFile(path).state_dict(copy=True)


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


def export(
    folder: Path,
    model: TrainingModel,
    settings: Settings,
    step: int,
    weights: dict[str, torch.Tensor] | None = None,
) -> list[Path]:
    """Write what ComfyUI loads: a LoRA, or the formats asked for.

    Parameters
    ----------
    weights : the model's whole state, where the model itself holds only a part of it; None is what is now in it.
    """
    dtype = getattr(torch, settings.checkpoint.dtype)
    weights = model.state_dict() if weights is None else weights
    if settings.lora.rank:
        save_lora(folder / LORA, weights, settings.lora, dtype)
        return [folder / LORA]
    networks = {
        name: {key.removeprefix(f"{name}."): t for key, t in weights.items() if key.startswith(f"{name}.")}
        for name, _ in model.named_children()
    }
    written = []
    if "one_file" in settings.checkpoint.formats:
        size = str(settings.data.size)  # What Reference Encode takes unless told otherwise
        information = {"trained_steps": str(step), "stage": str(settings.train.stage), "size": size}
        everything = networks | whisper(settings.checkpoint.audio_encoder) | own_vae(settings.vae)
        written.append(save_one_file(folder / ONE_FILE, everything, settings.variant, model.config, dtype, information))
    if "released" in settings.checkpoint.formats:
        written.append(save_released(folder / RELEASED, networks, settings.variant, dtype))
    return written


def whisper(path: str | None) -> dict[str, dict[str, torch.Tensor]]:
    """The audio encoder of a Whisper file, as a network of a one-file model; nothing for None."""
    if path is None:
        return {}
    from ...models.audio_encoder import build_audio_encoder

    return {AUDIO_ENCODER: build_audio_encoder(TensorFile(path).state_dict()).encoder.state_dict()}


def own_vae(path: str | None) -> dict[str, dict[str, torch.Tensor]]:
    """The VAE inside the one-file model that a run's `vae` names, as a network of another; nothing for other VAEs.

    Without it the model would be decoded by a VAE that it was not trained with. Others are found where they always lie.
    """
    if path is None or Path(path).is_dir():
        return {}
    file, prefix = open_vae(path)
    return {VAE: file.state_dict(prefix)} if prefix else {}


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
        with Draft(folder / f"{name}.pth") as made:
            torch.save({n: t.detach().to("cpu", dtype).contiguous() for n, t in tensors.items()}, made.open())
    return folder


def save_checkpoint(
    accelerator, model: TrainingModel, ema: EMA | None, settings: Settings, step: int, clips: str | None = None
) -> Path:
    """Save the run after `step` optimizer steps, export it, and remove checkpoints beyond those to keep.

    clips : the digest of what it learned from (`ClipDataset.digest`).

    Raises
    ------
    FloatingPointError : weights are not finite; OSError : they cannot be written. Earlier checkpoints stay.
    """
    output = Path(settings.output)
    final = output / folder_name(step)
    partial = final.with_name(final.name + ".partial")
    check_finite(accelerator, model, ema, settings, step)
    try:
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(partial / STATE))
        _write(partial, accelerator, model, ema, settings, step, clips)
        if accelerator.is_main_process:
            settle_folder(partial, final)
    except Exception as error:
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        if not _is_of_the_disk(error):
            raise
        raise OSError(
            f"{final} could not be written ({_first_line(error)}). Earlier checkpoints are intact: free disk "
            "space, then rerun with --resume"
        ) from error
    if accelerator.is_main_process:
        for old in find_checkpoints(output)[: -settings.checkpoint.keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return final


def _is_of_the_disk(problem: Exception) -> bool:
    # torch and safetensors have their own kinds of error for a disk that is full
    return isinstance(problem, OSError) or any(word in str(problem) for word in WRITERS_WORDS)


def _write(folder: Path, accelerator, model, ema: EMA | None, settings: Settings, step: int, clips: str | None) -> None:
    """Averages, exports and run.json: made whole by all processes together, written by the first."""
    main, plain = accelerator.is_main_process, accelerator.unwrap_model(model)
    if ema is not None:
        averages = {}
        for name, tensor in ema.shadow.items():
            tensor = whole(tensor)
            if main:
                averages[name] = tensor.cpu()
        if main:
            save_tensors(folder / AVERAGES, averages)
    with nullcontext() if ema is None else ema.in_place(plain):
        weights = accelerator.get_state_dict(model)
        if main:
            export(folder, plain, settings, step, weights)
    if main:
        samples = samples_per_step(settings, accelerator.num_processes)
        content = {"step": step, "settings": as_json(settings), "samples_per_step": samples, "clips": clips}
        write_json(folder / RUN, content)
        write_card(folder, Path(settings.output), content)


def check_finite(accelerator, model: TrainingModel, ema: EMA | None, settings: Settings, step: int) -> None:
    """FloatingPointError, in all processes, if a trained weight or average is not a number the export can hold."""
    largest = torch.finfo(getattr(torch, settings.checkpoint.dtype)).max
    weights = {n: p for n, p in accelerator.unwrap_model(model).named_parameters() if p.requires_grad}
    everything = [weights] if ema is None else [weights, ema.shadow]
    broken = [name for tensors in everything for name, t in tensors.items() if not _within(local(t.detach()), largest)]
    count = torch.tensor(float(len(broken)), device=accelerator.device)
    if accelerator.reduce(count, reduction="sum").item() == 0:
        return
    kept = find_checkpoints(Path(settings.output))
    last = f"{kept[-1]} is the last good one" if kept else "there is no earlier one"
    raise FloatingPointError(
        f"after step {step} the weights are not finite in {settings.checkpoint.dtype}"
        f"{f', such as {broken[0]}' if broken else ''}, so no checkpoint was saved; {last}. Start again, from "
        "its export (init.source: one_file), with a lower optimizer.learning_rate or with train.precision: no"
    )


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]


def _within(values: torch.Tensor, largest: float) -> bool:
    # NaN is not smaller than anything
    return values.numel() == 0 or bool(values.abs().max() <= largest)


def load_checkpoint(accelerator, checkpoint: Path, ema: EMA | None) -> int:
    """Put the state of a checkpoint into the prepared objects; number of steps it had done.

    Raises
    ------
    SettingsError : a file of it is missing or damaged.
    """
    try:
        accelerator.load_state(str(checkpoint / STATE))
        # Its count of micro-batches comes with the state, but of other shares: a checkpoint lies between two steps,
        # so counting begins anew, in processes that found a count and in those that did not.
        accelerator.step = 0
        if ema is not None:
            ema.load(load_tensors(checkpoint / AVERAGES))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise SettingsError(
            f"{checkpoint} is damaged or of another run ({_first_line(error)}): move it away, and --resume "
            "continues from the previous checkpoint"
        ) from error
    return step_of(checkpoint)
