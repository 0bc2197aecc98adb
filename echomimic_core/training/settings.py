"""A training run as a YAML file: every key named once, with its default; a wrong key or value is a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..apdh.schedule import DEFAULT_PHASES, APDHPhase, APDHSchedule
from ..config import (
    LARGEST_SIDE,
    MAX_CONTEXT_FRAMES,
    PIXELS_PER_LATENT,
    RELEASED,
    TRAIN_TIMESTEPS,
    VARIANTS,
    ModelConfig,
)
from .limits import ABOVE_0, BELOW_1, bounded, chosen, find_fault
from .loss.phd import PhDWeights
from .model.networks import AUDIO, MOTION, PARTS, SPATIAL
from .reading import SettingsError, change, parse

SOURCES = ("nothing", "sd15", "released", "one_file")
# Pictures; clips, of which the layers for time and audio learn; clips, of which everything learns, at a low rate.
STAGE_PARTS = {1: ("reference_unet", SPATIAL, "pose_encoder"), 2: (MOTION, AUDIO), 3: PARTS}
PRECISIONS = ("no", "bf16", "fp16")
OPTIMIZERS = ("adamw", "adamw8bit")
CONSTANT, COSINE = "constant", "cosine"
FORMATS = ("one_file", "released")
EXPORT_DTYPES = ("float32", "float16", "bfloat16")
# What LoRA adapts, and the part of the networks that each belongs to.
LORA_PARTS = {"attn1": SPATIAL, "attn2": AUDIO, "motion_modules": MOTION}
LORA_TARGETS = tuple(LORA_PARTS)


@dataclass(frozen=True)
class DataSettings:
    """What is learned from. `folders` come from prepare; `folder_weights`, one for each, say how often samples come
    from them relative to one another; without them that goes by length. `size` is the side of square frames; `buckets`,
    pairs of width and height, are all sizes of frames where these are not one square. `frames` is the length of a clip
    from stage 2 on. `keep_latents` encodes every semi-body clip once and keeps that next to it, in 1/24 of the size of
    its pixels. `held_out` is the share of clips (below 1) or their number (from 1) that are never learned from, but
    measured and generated.

    `reference_distance` is how many frames the reference is away from the frames shown, where the clip is long enough.
    `flips` is the share of samples seen in a mirror; `crops` how much of a side is cut away at most."""

    folders: tuple[str, ...] = ()
    folder_weights: tuple[float, ...] = bounded((), ABOVE_0)
    size: int = 768
    buckets: tuple[tuple[int, int], ...] = ()
    frames: int = 24
    headshot_share: float = bounded(0.3, 0, 1)
    held_out: float = 0.0
    reference_distance: int = bounded(0, 0)
    flips: float = bounded(0.0, 0, 1)
    crops: float = bounded(0.0, 0, 0.5)
    workers: int = bounded(2, 0)
    keep_latents: bool = False

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of every bucket."""
        return self.buckets or ((self.size, self.size),)


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
class PartRates:
    """How much faster or slower than `optimizer.learning_rate` each part of the networks learns."""

    reference_unet: float = bounded(1.0, ABOVE_0)
    denoising_unet: float = bounded(1.0, ABOVE_0)
    pose_encoder: float = bounded(1.0, ABOVE_0)
    motion_modules: float = bounded(1.0, ABOVE_0)
    audio_attention: float = bounded(1.0, ABOVE_0)

    def of(self, part: str) -> float:
        return getattr(self, part)


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW as siblings of the method use it (Moore-AnimateAnyone, Hallo, V-Express). The rate rises for `warmup_steps`
    and then stays, or, by the `schedule` cosine, falls until `decay_steps` (0 is `train.steps`) to its `final_share`.
    `part_rates` are factors of the rate by part of the networks."""

    name: str = chosen("adamw", OPTIMIZERS)
    learning_rate: float = bounded(1e-5, 0)
    warmup_steps: int = bounded(500, 0)
    schedule: str = chosen(CONSTANT, (CONSTANT, COSINE))
    decay_steps: int = bounded(0, 0)
    final_share: float = bounded(0.0, 0, 1)
    part_rates: PartRates = field(default_factory=PartRates)
    betas: tuple[float, float] = bounded((0.9, 0.999), 0, BELOW_1)
    weight_decay: float = bounded(1e-2, 0)
    epsilon: float = bounded(1e-8, 0)
    max_grad_norm: float = bounded(1.0, ABOVE_0)


@dataclass(frozen=True)
class TrainSettings:
    """How training runs. `stage` is 1 for pictures, 2 for clips, 3 for clips with everything open. `batch_size` is
    clips of one process in one pass; `parts` empty is what the stage trains; `sampling_steps` above 0 learns only at
    the timesteps that sampling in so many steps visits, for a fast variant.

    `condition_dropout` is the share of samples that see nothing, as the unconditional half of guidance;
    `picture_dropout` and `audio_dropout` the shares that lack only the reference or the audio. The pose has its own in
    `apdh.phases`."""

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
    picture_dropout: float = bounded(0.0, 0, 1)
    audio_dropout: float = bounded(0.0, 0, 1)
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
        fault = find_fault(self) or next((sentence for sentence in self._faults() if sentence), None)
        if fault is not None:
            raise SettingsError(fault)

    def _faults(self) -> Iterator[str | None]:
        """Sentences about values that do not go together."""
        train, lora = self.train, self.lora
        if train.frozen_bf16 and train.precision == "no":
            yield "train.frozen_bf16 needs train.precision bf16 or fp16, but it is 'no'"
        yield from self._data_faults()
        if not lora.rank and not self.checkpoint.formats:
            yield "checkpoint.formats is empty, so the run would save nothing: set one_file, released or both"
        if lora.rank and not lora.targets:
            yield "lora.targets is empty, so nothing would be trained: omit it to use all of them"
        for part in PARTS:
            factor = self.optimizer.part_rates.of(part)
            if factor != 1 and part not in self.open_parts:
                yield (
                    f"optimizer.part_rates.{part} is {factor:g}, but this run does not train {part}: remove it, or add "
                    f"{part} to train.parts"
                )
        if self.optimizer.schedule == COSINE and self.optimizer.warmup_steps >= self.decay_steps:
            yield (
                f"optimizer.warmup_steps is {self.optimizer.warmup_steps}, but the cosine ends at step "
                f"{self.decay_steps}: the warm-up must be shorter"
            )

    def _data_faults(self) -> Iterator[str]:
        data, decoded, step = self.data, self.loss.decoded_size, 8 * PIXELS_PER_LATENT
        for key, sides in (
            ("data.size", (data.size,)),
            *((f"data.buckets[{i}]", b) for i, b in enumerate(data.buckets)),
        ):
            if not all(step <= side <= LARGEST_SIDE and side % step == 0 for side in sides):
                shown = sides[0] if len(sides) == 1 else list(sides)
                yield f"{key} is {shown}, but it must be a multiple of {step} pixels up to {LARGEST_SIDE}"
        smallest = min(side for size in data.sizes for side in size)
        if decoded > smallest or decoded % PIXELS_PER_LATENT:
            yield (
                f"loss.decoded_size is {decoded}, but it must be a multiple of {PIXELS_PER_LATENT} pixels up to the "
                f"shortest side of the frames, {smallest}; 0 decodes whole frames"
            )
        if not 1 <= data.frames <= MAX_CONTEXT_FRAMES:
            yield f"data.frames is {data.frames}, but the motion modules support 1 to {MAX_CONTEXT_FRAMES} frames"
        if data.held_out < 0 or (data.held_out > 1 and not data.held_out.is_integer()):
            yield f"data.held_out is {data.held_out}, but it must be a fraction below 1 or a whole number of clips"
        if data.folder_weights and len(data.folder_weights) != len(data.folders):
            yield (
                f"data.folder_weights has {len(data.folder_weights)} numbers for {len(data.folders)} data.folders: "
                "give one for each, or none"
            )
        if data.keep_latents and (data.crops or data.buckets):
            key = "data.crops" if data.crops else "data.buckets"
            yield f"data.keep_latents caches whole square frames, which {key} does not use: turn one of them off"

    @property
    def clip_frames(self) -> int:
        return 1 if self.train.stage == 1 else self.data.frames

    @property
    def parts(self) -> tuple[str, ...]:
        return self.train.parts or STAGE_PARTS[self.train.stage]

    @property
    def open_parts(self) -> tuple[str, ...]:
        """The parts that learn, by LoRA or whole."""
        return tuple(LORA_PARTS[target] for target in self.lora.targets) if self.lora.rank else self.parts

    @property
    def decay_steps(self) -> int:
        """Where the cosine ends."""
        return self.optimizer.decay_steps or self.train.steps

    @property
    def variant(self) -> str:
        """The variant that exports are of, unless they start from a one-file model, which knows (`with_start`)."""
        return self.checkpoint.variant or (self.init.variant if self.init.source == "released" else "standard")

    def schedule(self) -> APDHSchedule:
        return APDHSchedule(self.apdh.phases)


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
