"""Networks of the user's own in the PhD loss: TorchScript files, tried out before a run begins."""

import warnings
from pathlib import Path

import torch
from torch import nn

from ..runtime import is_out_of_memory

PROBE = 64


def load_script(path: Path, pictures: int, what: str) -> nn.Module:
    """The frozen TorchScript network of a file, of which a small probe shows that a loss can use it.

    Parameters
    ----------
    pictures : how many batches of pictures (n, 3, H, W) it takes.
    what : what it must be, for the message.

    Raises
    ------
    ValueError : the file is damaged, takes something else, or gives nothing that has a gradient.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            network = torch.jit.load(str(path), map_location="cpu").float().eval()
    except (RuntimeError, ValueError, OSError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"{path} cannot be read as TorchScript: it is damaged or was made by another version of torch"
        ) from error
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    probes = [torch.rand(2, 3, PROBE, PROBE, generator=generator).requires_grad_() for _ in range(pictures)]
    try:
        result = network(*probes)
        total = result.sum()
        gradient = torch.autograd.grad(total, probes[0], allow_unused=True)[0] if total.requires_grad else None
    except (RuntimeError, AttributeError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ValueError(f"{path} is not {what}: tried on two pictures of {PROBE} pixels, it says: {reason}") from error
    if len(result) != 2 or gradient is None or not gradient.isfinite().all():
        raise ValueError(
            f"{path} is not {what}: of two pictures it makes {tuple(result.shape)}"
            f"{'' if gradient is not None else ' without a gradient'}"
        )
    return network
