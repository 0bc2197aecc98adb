"""A training run as a YAML file: every key named once, with its default; a wrong key or value is a sentence."""

import dataclasses
import difflib
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path

from ..apdh.schedule import DEFAULT_PHASES, APDHPhase, APDHSchedule
from ..config import (
    LARGEST_SIDE,
    MAX_CONTEXT_FRAMES,
    NANO,
    PIXELS_PER_LATENT,
    RELEASED,
    SMALL,
    TINY,
    TRAIN_TIMESTEPS,
    VARIANTS,
    ModelConfig,
)
from .limits import ABOVE_0, BELOW_1, bounded, chosen, find_fault
from .loss.phd import PhDWeights
from .model.networks import AUDIO, MOTION, PARTS, SPATIAL

SIZES = {"released": RELEASED, "tiny": TINY, "nano": NANO, "small": SMALL}
SOURCES = ("nothing", "sd15", "released", "one_file")
STAGE_PARTS = {1: ("reference_unet", SPATIAL, "pose_encoder"), 2: (MOTION, AUDIO)}
PRECISIONS = ("no", "bf16", "fp16")
OPTIMIZERS = ("adamw", "adamw8bit")
FORMATS = ("one_file", "released")
EXPORT_DTYPES = ("float32", "float16", "bfloat16")
LORA_TARGETS = ("attn1", "attn2", "motion_modules")


class SettingsError(ValueError):
    """A configuration is wrong; the message names the key, what it holds and what it may hold."""


@dataclass(frozen=True)
class DataSettings:
    """What is learned from. `folders` come from prepare; `frames` is the length of a clip in stage 2. `keep_latents`
    encodes every semi-body clip once and keeps that next to it, in 1/24 of the size of its pixels. `held_out` is the
    share of clips (below 1) or their number (from 1) that are never learned from, but measured and generated."""

    folders: tuple[str, ...] = ()
    size: int = 768
    frames: int = 24
    headshot_share: float = bounded(0.3, 0, 1)
    held_out: float = 0.0
    workers: int = bounded(2, 0)
    keep_latents: bool = False


@dataclass(frozen=True)
class InitSettings:
    """What training starts from: `source` and the files it needs."""

    source: str = chosen("nothing", SOURCES)
    folder: str | None = None
    variant: str = chosen("standard", tuple(VARIANTS))
    file: str | None = None
    unet: str | None = None
    motion: str | None = None


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW as siblings of the method use it (Moore-AnimateAnyone, Hallo, V-Express)."""

    name: str = chosen("adamw", OPTIMIZERS)
    learning_rate: float = bounded(1e-5, 0)
    warmup_steps: int = bounded(500, 0)
    betas: tuple[float, float] = bounded((0.9, 0.999), 0, BELOW_1)
    weight_decay: float = bounded(1e-2, 0)
    epsilon: float = bounded(1e-8, 0)
    max_grad_norm: float = bounded(1.0, ABOVE_0)


@dataclass(frozen=True)
class TrainSettings:
    """How training runs. `batch_size` is clips of one process in one pass; `parts` empty is what the stage trains;
    `sampling_steps` above 0 learns only at the timesteps that sampling in so many steps visits, for a fast variant."""

    stage: int = chosen(1, tuple(STAGE_PARTS))
    parts: tuple[str, ...] = chosen((), PARTS)
    steps: int = bounded(20_000, 1)
    sampling_steps: int = bounded(0, 0, TRAIN_TIMESTEPS)
    batch_size: int = bounded(1, 1)
    accumulation: int = bounded(1, 1)
    precision: str = chosen("no", PRECISIONS)
    frozen_bf16: bool = False
    gradient_checkpointing: bool = True
    noise_offset: float = bounded(0.05, 0)
    condition_dropout: float = bounded(0.1, 0, 1)
    ema_decay: float = bounded(0.9999, 0, 1)


@dataclass(frozen=True)
class LossSettings(PhDWeights):
    """Factors of the PhD loss, frames decoded for it, and the files of its networks, `lpips` and `keypoints`: the
    weights of LPIPS, its name `stand-in`, or TorchScript of any other; an empty `keypoints` is the pack's landmark
    networks. `lip_weight` and `hand_weight` are how much an error at the lips and at the hands counts in the latent
    loss; elsewhere it is 1. `decoded_size` is the side in pixels of what is decoded, around the mouth or a hand; 0 is
    the whole frame."""

    lip_weight: float = bounded(1.0, ABOVE_0)
    hand_weight: float = bounded(1.0, ABOVE_0)
    decoded_size: int = bounded(0, 0, LARGEST_SIDE)
    decoded_frames: int = bounded(1, 1)
    lpips: str | None = None
    keypoints: str | None = None


@dataclass(frozen=True)
class APDHSettings:
    """Phases of APDH; `start_step` is where in them the run begins, so that stages share one schedule."""

    start_step: int = bounded(0, 0)
    phases: tuple[APDHPhase, ...] = DEFAULT_PHASES


@dataclass(frozen=True)
class LoRASettings:
    """Train low-rank adapters of attention layers in place of the weights; rank 0 means no LoRA."""

    rank: int = bounded(0, 0)
    alpha: float = bounded(16.0, ABOVE_0)
    dropout: float = bounded(0.0, 0, BELOW_1)
    targets: tuple[str, ...] = chosen(LORA_TARGETS, LORA_TARGETS)


@dataclass(frozen=True)
class CheckpointSettings:
    """Every so many steps; `keep` newest stay. `formats` are exports that ComfyUI loads, `dtype` theirs; with
    `audio_encoder`, a Whisper file, the one-file model needs nothing else. `variant` empty is that of the start."""

    every: int = bounded(1000, 1)
    keep: int = bounded(3, 1)
    formats: tuple[str, ...] = chosen(("one_file",), FORMATS)
    dtype: str = chosen("float16", EXPORT_DTYPES)
    variant: str | None = chosen(None, (None, *VARIANTS))
    audio_encoder: str | None = None


@dataclass(frozen=True)
class ValidationSettings:
    """Clips sampled every so many steps; 0 is never."""

    every: int = bounded(1000, 0)
    clips: int = bounded(1, 1)
    frames: int = bounded(24, 1)
    steps: int = bounded(20, 1)
    guidance: float = bounded(2.5, 0)


@dataclass(frozen=True)
class Settings:
    """A whole run; `output` is the folder for checkpoints and logs, `vae` a file or folder of the SD 1.5 VAE."""

    output: str = "runs/echomimic"
    seed: int = bounded(0, 0, 2**62)
    model: ModelConfig = RELEASED
    vae: str | None = None
    data: DataSettings = field(default_factory=DataSettings)
    init: InitSettings = field(default_factory=InitSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    apdh: APDHSettings = field(default_factory=APDHSettings)
    lora: LoRASettings = field(default_factory=LoRASettings)
    checkpoint: CheckpointSettings = field(default_factory=CheckpointSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)

    def __post_init__(self):
        data, train = self.data, self.train
        fault = find_fault(self)
        if fault is not None:
            raise SettingsError(fault)
        if train.frozen_bf16 and train.precision == "no":
            raise SettingsError("train.frozen_bf16 needs train.precision bf16 or fp16, but it is 'no'")
        step = 8 * PIXELS_PER_LATENT
        if not step <= data.size <= LARGEST_SIDE or data.size % step:
            raise SettingsError(
                f"data.size is {data.size}, but it must be a multiple of {step} pixels up to {LARGEST_SIDE}"
            )
        if self.loss.decoded_size > data.size or self.loss.decoded_size % PIXELS_PER_LATENT:
            raise SettingsError(
                f"loss.decoded_size is {self.loss.decoded_size}, but it must be a multiple of {PIXELS_PER_LATENT} "
                f"pixels up to data.size, {data.size}; 0 decodes whole frames"
            )
        if not 1 <= data.frames <= MAX_CONTEXT_FRAMES:
            raise SettingsError(
                f"data.frames is {data.frames}, but the motion modules support 1 to {MAX_CONTEXT_FRAMES} frames"
            )
        if data.held_out < 0 or (data.held_out > 1 and not data.held_out.is_integer()):
            raise SettingsError(
                f"data.held_out is {data.held_out}, but it must be a fraction below 1 or a whole number of clips"
            )
        if not self.lora.rank and not self.checkpoint.formats:
            raise SettingsError(
                "checkpoint.formats is empty, so the run would save nothing: set one_file, released or both"
            )
        if self.lora.rank and not self.lora.targets:
            raise SettingsError("lora.targets is empty, so nothing would be trained: omit it to use all of them")

    @property
    def clip_frames(self) -> int:
        return 1 if self.train.stage == 1 else self.data.frames

    @property
    def parts(self) -> tuple[str, ...]:
        return self.train.parts or STAGE_PARTS[self.train.stage]

    @property
    def variant(self) -> str:
        """The variant that exports are of, unless they start from a one-file model, which knows (`with_start`)."""
        return self.checkpoint.variant or (self.init.variant if self.init.source == "released" else "standard")

    def schedule(self) -> APDHSchedule:
        return APDHSchedule(self.apdh.phases)


def _choose(key: str, value, allowed: tuple) -> None:
    if value not in allowed:
        raise SettingsError(f"{key} is {value!r}, but it must be one of {', '.join(map(str, allowed))}")


def load_settings(path: str | Path, changes: dict | None = None) -> Settings:
    """Read a run's configuration; `changes` are dotted keys with values, as from the command line.

    Raises
    ------
    SettingsError : no such file, not YAML, a key that does not exist (with the closest one), a value that cannot be.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise SettingsError(f"there is no configuration {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not YAML: it is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} contains a {type(content).__name__}, but a configuration consists of 'key: value'")
    for key, value in (changes or {}).items():
        change(content, key, value)
    try:
        return parse(Settings, content)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def parse_changes(pairs: list[str]) -> dict:
    """Changes by dotted key of the command line's KEY=VALUE, each value as YAML has it; SettingsError for others."""
    import yaml

    changes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            raise SettingsError(f"--set {pair!r} should be KEY=VALUE, such as train.steps=100")
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(
                f"--set {pair!r}: {value!r} is not a value; write 5, 0.1, true, text or [a, b], and quote "
                "anything with brackets or colons in it"
            ) from error
    return changes


def change(content: dict, key: str, value) -> None:
    """Put a value at a dotted key into the nested content of a configuration; SettingsError where it cannot lie."""
    *sections, leaf = key.split(".")
    target = content
    for depth, section in enumerate(sections, 1):
        if target.get(section) is None:
            target[section] = {}  # Not there, or a section that is left empty
        if not isinstance(target[section], dict):
            path = ".".join(sections[:depth])
            raise SettingsError(
                f"{key} cannot be set: {path} is {target[section]!r}, which has no settings in it: set {path} itself"
            )
        target = target[section]
    target[leaf] = value


def parse(kind: type, content: dict, prefix: str = ""):
    """A settings dataclass from nested dictionaries; see `load_settings`."""
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]
    values = {}
    for key, value in content.items():
        if key not in known:
            raise SettingsError(_unknown(f"{prefix}{key}", key, known))
        values[key] = convert(hints[key], value, f"{prefix}{key}")
    try:
        return kind(**values)
    except SettingsError:
        raise
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{prefix.rstrip('.') or 'the configuration'}: {error}") from error


def _unknown(path: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}."
    return f"there is no setting '{path}': {hint}"


def convert(hint, value, path: str):
    """A value of YAML as the type that a field asks for; SettingsError where it cannot be that."""
    if hint is ModelConfig and isinstance(value, str):
        _choose(path, value, tuple(SIZES))
        return SIZES[value]
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            inner = dataclasses.fields(hint)[0].name
            raise SettingsError(f"{path} is {value!r}, but it must be a section of settings, such as {path}.{inner}")
        return parse(hint, value, f"{path}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kind = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else convert(kind, value, path)
    if origin is tuple:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, (list, tuple)):
            raise SettingsError(f"{path} is {value!r}, but it must be a list")
        open_ended = arguments[-1] is Ellipsis
        if not open_ended and len(values) != len(arguments):
            raise SettingsError(f"{path} has {len(values)} values, but it must have {len(arguments)}")
        kinds = [arguments[0]] * len(values) if open_ended else arguments
        return tuple(convert(k, v, f"{path}[{i}]") for i, (k, v) in enumerate(zip(kinds, values, strict=True)))
    return _scalar(hint, value, path)


NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _scalar(kind: type, value, path: str):
    # YAML 1.1 reads 1e-5, without a dot, as a text
    if kind in (int, float) and isinstance(value, str):
        try:
            value = float(value)
        except ValueError as error:
            raise SettingsError(f"{path} is {value!r}, but it must be {NAMES[kind]}") from error
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is str and value is False:
        value = "no"  # YAML 1.1 again
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{path} is {value}, but it must be a finite number")
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise SettingsError(f"{path} is {value!r}, but it must be {NAMES[kind]}")
    return value
