"""How small and how large the numbers of a configuration may be."""

import math

from ..config import TRAIN_TIMESTEPS

ANY = math.inf
# The least and the largest number that stand for "above 0" and "below 1".
ABOVE_0, BELOW_1 = 1e-12, 1.0 - 1e-9

# key, lowest, highest: both may be taken
LIMITS = (
    ("seed", 0, 2**62),
    ("data.headshot_share", 0, 1),
    ("data.workers", 0, ANY),
    ("train.steps", 1, ANY),
    ("train.sampling_steps", 0, TRAIN_TIMESTEPS),
    ("train.batch_size", 1, ANY),
    ("train.accumulation", 1, ANY),
    ("train.noise_offset", 0, ANY),
    ("train.condition_dropout", 0, 1),
    ("train.ema_decay", 0, 1),
    ("optimizer.learning_rate", 0, ANY),
    ("optimizer.warmup_steps", 0, ANY),
    ("optimizer.betas", 0, BELOW_1),
    ("optimizer.weight_decay", 0, ANY),
    ("optimizer.epsilon", 0, ANY),
    ("optimizer.max_grad_norm", ABOVE_0, ANY),
    ("loss.latent", 0, ANY),
    ("loss.pose", 0, ANY),
    ("loss.detail", 0, ANY),
    ("loss.low", 0, ANY),
    ("loss.min_snr_gamma", 0, ANY),
    ("loss.lip_weight", ABOVE_0, ANY),
    ("loss.decoded_frames", 1, ANY),
    ("apdh.start_step", 0, ANY),
    ("lora.rank", 0, ANY),
    ("lora.alpha", ABOVE_0, ANY),
    ("lora.dropout", 0, BELOW_1),
    ("checkpoint.every", 1, ANY),
    ("checkpoint.keep", 1, ANY),
    ("validation.every", 0, ANY),
    ("validation.clips", 1, ANY),
    ("validation.frames", 1, ANY),
    ("validation.steps", 1, ANY),
    ("validation.guidance", 0, ANY),
)


def find_fault(settings) -> str | None:
    """A sentence about the first number of the settings that cannot be; None if all can."""
    for key, low, high in LIMITS:
        value = settings
        for part in key.split("."):
            value = getattr(value, part)
        for number in value if isinstance(value, tuple) else (value,):
            if not low <= number <= high:
                return f"{key} is {value}, but it must {_bounds(low, high)}"
    if not settings.lora.rank and not settings.checkpoint.formats:
        return "checkpoint.formats is empty, so nothing would come out of the run: give one_file, released or both"
    if settings.lora.rank and not settings.lora.targets:
        return "lora.targets is empty, so nothing would be trained: leave it out for all of them"
    return None


def _bounds(low: float, high: float) -> str:
    least = "be above 0" if low == ABOVE_0 else f"be at least {low}"
    if high == ANY:
        return least
    return f"{least} and {'below 1' if high == BELOW_1 else f'at most {high}'}"
