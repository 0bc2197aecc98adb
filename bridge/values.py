"""The one customs house: what comes by wire or HTTP is made ours, or refused with a sentence.

ComfyUI checks less than a node needs: a wire may bring any object, a linked choice is never compared with its list, and
NaN passes every limit. Here each value is made what the node's own schema says of its input.
"""

import math
from numbers import Number

import numpy as np
import torch

from ..echomimic_core.media.waveform import to_float

SAMPLE_RATES = (1_000, 768_000)
MOST_CHANNELS = 64
PICTURE_CHANNELS = (1, 3, 4)
LONGEST_LIST, LONGEST_TEXT = 20, 60
TRUE, FALSE = ("true", "1"), ("false", "0")

# Sockets that carry objects: ComfyUI's, and by the beginning of their names all of ours.
OBJECTS, OURS = ("MODEL", "VAE"), "ECHOMIMIC_"
# What never travels on a socket of these kinds, but may be typed or wired into one.
NO_OBJECTS = (str, bytes, Number, list, tuple, dict, torch.Tensor, np.ndarray)

# Inputs whose values are compared with what the schema says of them, before a run as well as in it.
WIDGETS = ("INT", "FLOAT", "BOOLEAN", "STRING", "COMBO")


def shown(value: object) -> str:
    """A value for a sentence, not too long, whatever it is."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return f"an array of shape {tuple(value.shape)}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # What others' objects do when they are asked for their name is none of the user's worries.
        text = f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def scalar(value: object) -> object:
    """The Python number or text in a value of NumPy or torch that holds just one."""
    if isinstance(value, torch.Tensor) and value.numel() == 1 and is_plain(value):
        return value.detach().cpu().item()
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        return value.item()
    return value


def is_plain(value: torch.Tensor) -> bool:
    """Whether a tensor's values lie in memory as they are."""
    return value.layout == torch.strided and not value.is_meta and not value.is_quantized


def parsed(text: str) -> object:
    """The number that a text is, else the text."""
    if "_" not in text:
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def number(value: object, name: str, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number within limits, of any type or as a text; ValueError for all else."""
    found = scalar(value)
    found = parsed(found) if isinstance(found, str) else found
    try:
        found = float(found) if isinstance(found, Number) else math.nan
    except (TypeError, ValueError, OverflowError):  # Complex, or beyond all floats.
        found = math.nan
    if not math.isfinite(found) or not least <= found <= most:
        raise ValueError(f"{name} is {shown(value)}, but it has to be a number{limits(least, most)}")
    return found


def whole(value: object, name: str, least: float = -math.inf, most: float = math.inf) -> int:
    """A whole number within limits, of any type or as a text (2.0 is one); ValueError for all else."""
    found = scalar(value)
    found = parsed(found) if isinstance(found, str) else found
    try:
        exact = int(found) if isinstance(found, Number) else None
        if exact is not None and exact == found and least <= exact <= most:
            return exact
    except (TypeError, ValueError, OverflowError):  # Complex, NaN and infinity.
        pass
    raise ValueError(f"{name} is {shown(value)}, but it has to be a whole number{limits(least, most)}")


def limits(least: float, most: float) -> str:
    """What a sentence says of a number's limits."""
    if math.isinf(least) and math.isinf(most):
        return ""
    if math.isinf(most):
        return f" of at least {least:,}"
    return f" of at most {most:,}" if math.isinf(least) else f" from {least:,} to {most:,}"


def switch(value: object, name: str) -> bool:
    """True or False, also as a number or text; ValueError for all else."""
    found = scalar(value)
    text = str(found).strip().lower() if isinstance(found, (str, bool, int, float)) else ""
    text = text.removesuffix(".0")
    if text in TRUE or text in FALSE:
        return text in TRUE
    raise ValueError(f"{name} is {shown(value)}, but it has to be true or false")


def text(value: object, name: str) -> str:
    """A text; numbers are written out. ValueError for all else."""
    found = scalar(value)
    if isinstance(found, (str, int, float)):
        return str(found)
    raise ValueError(f"{name} is {shown(value)}, but it has to be text")


def choice(value: object, name: str, options: list) -> object:
    """One of the options; ValueError that lists them for all else."""
    found = scalar(value)
    for option in options:
        if type(found) in (str, type(option)) and found == option:
            return option
    listed = ", ".join(str(option) for option in options[:LONGEST_LIST])
    more = f" and {len(options) - LONGEST_LIST} more" if len(options) > LONGEST_LIST else ""
    raise ValueError(f"{name} is {shown(value)}, which is not a valid choice: choose one of {listed}{more}")


def tensor(value: object, name: str, what: str) -> torch.Tensor:
    """A plain tensor of finite numbers in memory, floats as they are, bytes as 0..1; ValueError for all else."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        try:
            value = torch.from_numpy(np.ascontiguousarray(value))
        except TypeError:  # A dtype that torch has not.
            value = None
    if not isinstance(value, torch.Tensor) or not is_plain(value):
        raise ValueError(f"{name} is {shown(value)}, but it has to be {what}")
    value = value.detach()
    if value.dtype == torch.uint8:
        return value.float() / 255
    if not value.is_floating_point() and value.dtype != torch.bool:
        raise ValueError(f"{name} contains values of type {value.dtype}, but {what} has numbers from 0 to 1")
    return value.float()


def check_finite(pictures: torch.Tensor, name: str) -> None:
    """ValueError where a picture of a batch (n, ...) holds NaN or infinities; one at a time, for memory's sake."""
    for index, one in enumerate(pictures):
        if not bool(one.isfinite().all()):
            raise ValueError(
                f"{name} contains values that are not numbers (NaN or infinite), first in picture {index}: the "
                "node that produced it failed"
            )


def image(value: object, name: str) -> torch.Tensor:
    """An IMAGE (n, h, w, 1, 3 or 4) float32; a single picture (h, w, 3 or 4) is a batch of one. ValueError else."""
    pictures = tensor(value, name, "an IMAGE")
    if pictures.ndim == 3 and pictures.shape[-1] in PICTURE_CHANNELS[1:]:
        pictures = pictures[None]
    shape = tuple(pictures.shape)
    if pictures.ndim != 4 or shape[-1] not in PICTURE_CHANNELS:
        raise ValueError(
            f"{name} has shape {shape}, but an IMAGE is (pictures, height, width, channels) with 1, 3 or 4 channels"
        )
    if 0 in shape:
        raise ValueError(f"{name} is an empty batch (shape {shape}): the node that produced it returned no picture")
    check_finite(pictures, name)
    return pictures


def mask(value: object, name: str) -> torch.Tensor:
    """A MASK (n, h, w) float32; (h, w), (n, 1, h, w) and (n, h, w, 1) are made one. ValueError else."""
    masks = tensor(value, name, "a MASK")
    if masks.ndim == 4 and 1 in (masks.shape[1], masks.shape[3]):
        masks = masks[:, 0] if masks.shape[1] == 1 else masks[..., 0]
    if masks.ndim == 2:
        masks = masks[None]
    shape = tuple(masks.shape)
    if masks.ndim != 3 or 0 in shape:
        raise ValueError(f"{name} has shape {shape}, but a MASK is (masks, height, width) with no side of 0")
    check_finite(masks, name)
    return masks


def audio(value: object, name: str) -> dict:
    """An AUDIO with `waveform` (1, channels, samples) float32 and a whole `sample_rate`; ValueError else."""
    try:
        waveform, rate = value["waveform"], value["sample_rate"]
    except (TypeError, KeyError, IndexError, AttributeError):
        raise ValueError(f"{name} is {shown(value)}, but an AUDIO has a waveform and a sample_rate") from None
    rate = whole(rate, f"the sample_rate of {name}", *SAMPLE_RATES)
    if isinstance(waveform, torch.Tensor):
        plain = is_plain(waveform) and not waveform.is_complex()
    else:
        plain = isinstance(waveform, np.ndarray) and waveform.dtype.kind in "fiu"
    if not plain:
        raise ValueError(f"the waveform of {name} is {shown(waveform)}, but it has to be (1, channels, samples)")
    samples = to_float(waveform)
    if len(samples) > MOST_CHANNELS:
        raise ValueError(f"{name} has {len(samples)} channels, but audio can have at most {MOST_CHANNELS}")
    return {"waveform": torch.from_numpy(np.ascontiguousarray(samples))[None], "sample_rate": rate}


def latent(value: object, name: str) -> dict:
    """A LATENT, whose `samples` are a tensor and whose `fps`, if it tells one, is a number; ValueError else."""
    try:
        samples = value["samples"]
    except (TypeError, KeyError, IndexError, AttributeError):
        samples = None
    if not isinstance(samples, torch.Tensor):
        raise ValueError(f"{name} is {shown(value)}, but a LATENT has samples")
    if "fps" in value:
        return {**value, "fps": number(value["fps"], f"the fps of {name}", 1, 1000)}
    return value


def make_ours(given: object, value: object, free: bool = False) -> object:
    """`value` as the input `given` of a schema needs it; ValueError with a sentence where it cannot be made so.

    None is left to the node where the input is optional, or a socket of which the node knows better what is missing.
    `free` leaves out the comparison with a list: a node has better words for a file that is gone.
    """
    kind, name = str(given.get_io_type()), given.id
    is_object = kind in OBJECTS or kind.startswith(OURS)
    if value is None:
        if (is_object or kind in (*WIDGETS, "IMAGE", "MASK", "LATENT")) and not given.optional:
            raise ValueError(f"{name} got nothing: the connected node returned no value")
        return None
    if is_object and isinstance(value, NO_OBJECTS):
        raise ValueError(f"{name} is {shown(value)}, but this input takes {kind}: connect a node that makes it")
    if kind in ("INT", "FLOAT"):
        bounds = [end if bound is None else bound for bound, end in ((given.min, -math.inf), (given.max, math.inf))]
        return (whole if kind == "INT" else number)(value, name, *bounds)
    if kind == "COMBO":
        return text(value, name) if free else choice(value, name, list(given.options))
    if "IMAGE" in kind.split(",") and kind != "IMAGE" and not isinstance(value, (torch.Tensor, np.ndarray)):
        return value
    makers = {"BOOLEAN": switch, "STRING": text, "AUDIO": audio, "MASK": mask, "LATENT": latent}
    maker = image if "IMAGE" in kind.split(",") else makers.get(kind)
    return value if maker is None else maker(value, name)
