"""What drives a run: accelerate's engine, the optimizer and its learning rate."""

import logging
import math
import os
from dataclasses import replace

import torch

from ..model.networks import part_of
from ..settings import COSINE, Settings, SettingsError
from .sharding import check_engine

logger = logging.getLogger(__name__)

# Of a group of parameters: its factor of the learning rate.
FACTOR = "rate_factor"


def usable(settings: Settings) -> Settings:
    """The settings without bfloat16 where this run would compute on a processor that has none; said in a sentence."""
    on_processor = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    on_processor = on_processor or not torch.accelerator.is_available()
    if settings.train.precision != "bf16" or not on_processor or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return settings
    logger.warning(
        "this processor has no bfloat16: train.precision is 'no' in place of bf16, which would be far slower"
    )
    return replace(settings, train=replace(settings.train, precision="no", frozen_bf16=False))


def make_accelerator(settings: Settings):
    """accelerate's engine for this process; how many there are is up to `accelerate launch`."""
    try:
        from accelerate import Accelerator
        from accelerate.utils import GradientAccumulationPlugin
    except ImportError as error:
        raise SettingsError("training needs accelerate: pip install -r requirements-training.txt") from error
    accumulation = GradientAccumulationPlugin(num_steps=settings.train.accumulation, sync_with_dataloader=False)
    accelerator = Accelerator(mixed_precision=settings.train.precision, gradient_accumulation_plugin=accumulation)
    if not accelerator.is_main_process:
        logging.getLogger(__package__).setLevel(logging.ERROR)
    check_engine(accelerator)
    if accelerator.distributed_type.value == "DEEPSPEED":
        accelerator.state.deepspeed_plugin.deepspeed_config.update(deepspeed_options(settings))
    return accelerator


def deepspeed_options(settings: Settings) -> dict:
    """What DeepSpeed does automatically, by its own configuration, which must say what the settings say."""
    return {
        "train_micro_batch_size_per_gpu": settings.train.batch_size,
        "gradient_accumulation_steps": settings.train.accumulation,
        "gradient_clipping": settings.optimizer.max_grad_norm,
    }


def parameter_groups(settings: Settings, parameters: dict[str, torch.nn.Parameter]) -> list[dict]:
    """Groups of parameters, by name, that learn at one factor of the rate, `FACTOR` of each."""
    factors = {name: settings.optimizer.part_rates.of(part_of(name)) for name in parameters}
    return [
        {"params": [parameters[name] for name in parameters if factors[name] == factor], FACTOR: factor}
        for factor in dict.fromkeys(factors.values())
    ]


def make_optimizer(settings: Settings, parameters: dict[str, torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW over parameters by name, with 8-bit state where bitsandbytes is there and asked for."""
    options, groups = settings.optimizer, parameter_groups(settings, parameters)
    common = {
        "lr": options.learning_rate,
        "betas": options.betas,
        "weight_decay": options.weight_decay,
        "eps": options.epsilon,
    }
    if options.name == "adamw8bit":
        try:
            from bitsandbytes.optim import AdamW8bit

            return AdamW8bit(groups, **common)
        except (ImportError, RuntimeError, OSError):
            # It is not installed, or not for this kind of device
            logger.warning("bitsandbytes is not usable here: AdamW keeps its state in 32 bits and takes more memory")
    return torch.optim.AdamW(groups, **common)


def set_rates(optimizer, rate: float) -> None:
    """Let every group of `parameter_groups` learn at its factor of a rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(FACTOR, 1.0)


def learning_rate(settings: Settings, step: int) -> float:
    """The rate of a step, counted from 0: a linear warm-up, then constant or along a cosine to its final share."""
    options = settings.optimizer
    warm = min(1.0, (step + 1) / max(1, options.warmup_steps))
    if options.schedule != COSINE:
        return options.learning_rate * warm
    done = (step + 1 - options.warmup_steps) / (settings.decay_steps - options.warmup_steps)
    fallen = 0.5 - 0.5 * math.cos(math.pi * min(max(done, 0.0), 1.0))
    return options.learning_rate * warm * (1.0 - fallen * (1.0 - options.final_share))
