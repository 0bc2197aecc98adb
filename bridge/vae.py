"""The VAE output of Load EchoMimicV2: core's VAE, read from disk only when somebody uses it."""

import logging
import threading
from pathlib import Path

import comfy.sd
import folder_paths

from ..echomimic_core.files.tensor_file import CheckpointError, TensorFile
from ..echomimic_core.files.vae import find_vae, inside
from ..echomimic_core.sampling.memory import is_out_of_memory

READING = threading.RLock()  # several threads may be the first to use a VAE


class LazyVAE(comfy.sd.VAE):
    """Core's own VAE, looked for and read from disk at its first use: an output that nobody wires costs nothing.

    Parameters
    ----------
    one_file : a one-file model with a VAE inside; None takes the VAE of SD 1.5 that lies in models/vae.

    Raises
    ------
    CheckpointError : at every use until there is one, in words for the artist.
    """

    def __init__(self, one_file: Path | None):
        self._unread = (one_file,)

    def __getattr__(self, name: str):
        # Only what is not there comes here: before the first use everything, for core sets it all while reading.
        if name.startswith("__"):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        with READING:
            if "_unread" in vars(self):
                (one_file,) = self._unread
                file, prefix = inside(one_file) if one_file else find_vae(folder_paths.get_folder_paths("vae"))
                # read apart, so that no other thread ever sees half a VAE
                vars(self).update(vars(read_vae(file, prefix)))
                del self._unread
        return object.__getattribute__(self, name)

    def get_ram_usage(self) -> int:
        """Bytes that core's cache counts; asking does not read the file."""
        return 0 if "_unread" in vars(self) else super().get_ram_usage()


def read_vae(file: TensorFile, prefix: str) -> comfy.sd.VAE:
    """Core's VAE of the weights below a prefix; CheckpointError where they are not those of a whole one."""
    weights = file.state_dict(prefix)
    logging.info("EchoMimicV2: VAE of %s", file.path)
    try:
        vae = comfy.sd.VAE(sd=weights)
    except (RuntimeError, KeyError) as problem:
        if is_out_of_memory(problem):
            raise
        reason = str(problem).strip().splitlines()[-1].strip()
        raise CheckpointError(f"{file.path}: its VAE cannot be used ({reason}). Download it again.") from problem
    # Core only warns of what is missing; diffusers' names, which it translates, can only be counted.
    wanted = vae.first_stage_model.state_dict()
    missing = [name for name in wanted if name not in weights]
    translated = any(name.startswith("decoder.up_blocks.") for name in weights)
    if missing and (len(weights) < len(wanted) or not translated):
        raise CheckpointError(
            f"{file.path}: its VAE is not complete ({len(missing)} weights are missing, first: {missing[0]}). "
            "Download it again."
        )
    return vae
