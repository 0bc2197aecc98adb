"""What drives a run: accelerate's engine, the optimizer and its learning rate."""

import logging

import torch

from ..settings import Settings, SettingsError
from .sharding import check_engine

logger = logging.getLogger(__name__)


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


def make_optimizer(settings: Settings, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW, with 8-bit state where bitsandbytes is there and asked for."""
    options = settings.optimizer
    common = {
        "lr": options.learning_rate,
        "betas": options.betas,
        "weight_decay": options.weight_decay,
        "eps": options.epsilon,
    }
    if options.name == "adamw8bit":
        try:
            from bitsandbytes.optim import AdamW8bit

            return AdamW8bit(parameters, **common)
        except (ImportError, RuntimeError, OSError):
            # It is not installed, or not for this kind of device
            logger.warning("bitsandbytes is not usable here: AdamW keeps its state in 32 bits and takes more memory")
    return torch.optim.AdamW(parameters, **common)


def learning_rate(settings: Settings, step: int) -> float:
    """Linear warm-up to a constant rate."""
    warm = min(1.0, (step + 1) / max(1, settings.optimizer.warmup_steps))
    return settings.optimizer.learning_rate * warm
