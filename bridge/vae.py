"""The VAE output of Load EchoMimicV2: ComfyUI's VAE, read from disk only when somebody uses it."""

import dis
import inspect
import logging
import threading
from functools import wraps
from pathlib import Path

import comfy.sd
import folder_paths
import torch

from ..echomimic_core.files.tensor_file import CheckpointError, TensorFile
from ..echomimic_core.files.vae import at_true_width, find_vae, inside
from ..echomimic_core.runtime import is_out_of_memory
from .block_vae import MissingWeightsError, is_own_vae, own_vae

READING = threading.RLock()  # Several threads may be the first to use a VAE.

# What ComfyUI's VAE sets while it is built: only nodes that use a VAE ask for these.
SET_WHILE_BUILT = frozenset(
    step.argval for step in dis.get_instructions(inspect.unwrap(comfy.sd.VAE.__init__)) if step.opname == "STORE_ATTR"
)


class LazyVAE(comfy.sd.VAE):
    """ComfyUI's own VAE, found and read from disk at its first use: an output that nobody wires costs nothing.

    ComfyUI's caches probe every output between two nodes, where an exception ends the worker thread for good. So a
    VAE that has not been read answers what is asked of any output (`patcher`, `size`, `is_dynamic()`, names that no
    VAE has) by itself; a method or an attribute of a VAE reads the file.

    Parameters
    ----------
    one_file : a one-file model with a VAE inside; None takes the VAE of SD 1.5 that is in models/vae.

    Raises
    ------
    CheckpointError : at every use until there is one, in words for the artist.
    """

    def __init__(self, one_file: Path | None):
        self._unread = (one_file,)

    def __getattr__(self, name: str):
        # Only what is not there comes here: before the first use everything that ComfyUI sets while building a VAE.
        if self.is_unread():
            if name == "patcher":
                return UnreadPatcher(self)
            if name == "size":
                return None
            if name in SET_WHILE_BUILT:
                self.read()
                return object.__getattribute__(self, name)
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def is_unread(self) -> bool:
        return "_unread" in vars(self)

    def read(self) -> None:
        """Read the file unless that has been done."""
        with READING:
            if self.is_unread():
                (one_file,) = self._unread
                # Read apart, so that no other thread ever sees half a VAE.
                vars(self).update(vars(found_vae(one_file)))
                del self._unread

    def is_dynamic(self) -> bool:
        """Whether ComfyUI manages its memory page by page; not while there is nothing in memory."""
        return not self.is_unread() and self.patcher.is_dynamic()

    def model_size(self) -> int:
        """Bytes in memory."""
        return 0 if self.is_unread() else super().model_size()

    def get_ram_usage(self) -> int:
        """Bytes that the cache of an older ComfyUI counts."""
        return self.model_size()


def reading(name: str):
    """The method of ComfyUI's VAE of that name, after reading the file."""

    @wraps(getattr(comfy.sd.VAE, name))
    def method(self, *args, **kwargs):
        self.read()
        return getattr(super(LazyVAE, self), name)(*args, **kwargs)

    return method


for _name, _method in vars(comfy.sd.VAE).items():
    if inspect.isfunction(_method) and not _name.startswith("__") and _name not in vars(LazyVAE):
        setattr(LazyVAE, _name, reading(_name))


class UnreadPatcher:
    """Stands for the patcher of a VAE that has not been read; using it reads the VAE."""

    def __init__(self, vae: LazyVAE):
        self._vae = vae

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        self._vae.read()
        return getattr(self._vae.patcher, name)

    def is_dynamic(self) -> bool:
        return self._vae.is_dynamic()


def found_vae(one_file: Path | None) -> comfy.sd.VAE:
    """ComfyUI's VAE inside a one-file model, or of models/vae for None."""
    file, prefix = inside(one_file) if one_file else find_vae(folder_paths.get_folder_paths("vae"))
    vae = read_vae(file, prefix)
    vae.patcher.cached_patcher_init = (vae_patcher, (one_file,))
    return vae


def vae_patcher(one_file: Path | None, disable_dynamic: bool = False):
    """The patcher of a VAE read again, for a copy on another device; ComfyUI chooses its kind as for its own VAEs."""
    return found_vae(one_file).patcher


def leave_file(network: torch.nn.Module | None, weights: dict[str, torch.Tensor]) -> None:
    """Copy what still lies in the file's pages, one by one: newer ComfyUIs keep the very tensors they are given."""
    mapped = {tensor.data_ptr() for tensor in weights.values()}
    for parameter in () if network is None else network.parameters():
        if parameter.data_ptr() in mapped:
            parameter.data = parameter.data.clone()


def read_vae(file: TensorFile, prefix: str) -> comfy.sd.VAE:
    """ComfyUI's VAE of the weights below a prefix; CheckpointError where they are not those of a whole one."""
    weights = at_true_width(file.state_dict(prefix))
    logging.info("EchoMimicV2: VAE of %s", file.path)
    own = is_own_vae(weights)
    try:
        vae = own_vae(weights) if own else comfy.sd.VAE(sd=weights)
        leave_file(vae.first_stage_model, weights)
    except MissingWeightsError as error:
        raise _incomplete(file, error) from error
    except (RuntimeError, KeyError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(f"{file.path}: its VAE cannot be used ({reason}). Download it again.") from error
    if own:
        return vae
    # ComfyUI only warns of what is missing; diffusers' names, which it translates, can only be counted.
    wanted = vae.first_stage_model.state_dict()
    missing = [name for name in wanted if name not in weights]
    translated = any(name.startswith("decoder.up_blocks.") for name in weights)
    if missing and (len(weights) < len(wanted) or not translated):
        raise _incomplete(file, MissingWeightsError(missing))
    return vae


def _incomplete(file: TensorFile, missing: MissingWeightsError) -> CheckpointError:
    return CheckpointError(f"{file.path}: its VAE is not complete ({missing}). Download it again.")
