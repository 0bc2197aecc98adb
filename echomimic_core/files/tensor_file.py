"""One weights file, opened lazily and without running code, and sentences for what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path

import torch

from .names import diagnose
from .pickle_machine import PickleError, UnsafePickleError
from .places import MappedFile, Place, TensorFormatError
from .safetensors_file import read_header
from .torch_zip import StoredTensor, is_zip, read_torch

WRAPPINGS = ("state_dict", "model_state_dict", "model")


class CheckpointError(ValueError):
    """A weights file is missing or is not what it should be; the message says which, where and what to do."""


class TensorFile:
    """A .safetensors or torch file, opened lazily: names and shapes at once, tensors one by one.

    Both are read by readers of our own that run nothing of the file. No handle on the file is held; a tensor is in
    mapped pages of it, and the file cannot be replaced on Windows before the last one is let go.

    Parameters
    ----------
    wrappings : keys under which a torch file may keep its weights.

    Attributes
    ----------
    metadata : of a .safetensors file.

    Raises
    ------
    CheckpointError : the file is missing, damaged, foreign, or holds more than tensors.
    """

    def __init__(self, path: str | Path, wrappings: tuple[str, ...] = WRAPPINGS):
        self.path = Path(path)
        self.metadata: dict[str, str] = {}
        try:
            if not self.path.is_file():
                raise CheckpointError(f"{self.path} does not exist")
            if self.path.suffix.lower() == ".safetensors":
                self._places, self.metadata = read_header(self.path)
            else:
                self._places = _weights(self.path, wrappings)
        except UnsafePickleError as error:
            raise CheckpointError(
                f"{self.path} cannot be read: it contains more than tensors and might run code ({error}), so it "
                "was not "
                "opened. Use the official file."
            ) from error
        except (TensorFormatError, PickleError) as error:
            damaged = "damaged" in str(error)
            said = diagnose(self.path) if damaged else f"{error}. Use the official file."
            raise CheckpointError(f"{self.path} cannot be read: {said}") from error
        except (OSError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{self.path} cannot be read: {_reason(error)}.") from error
        self._file = MappedFile(self.path)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def names(self) -> Iterator[str]:
        return iter(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._places[name].shape

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor of the file, mapped: copy it where it is to outlive the file.

        Raises
        ------
        CheckpointError : the file has been removed or cut since it was opened. KeyError : it has no such tensor.
        """
        place = self._places[name]
        try:
            return self._file.tensor(place)
        except (OSError, TensorFormatError) as error:
            raise CheckpointError(f"{self.path} cannot be read: {_reason(error)}.") from error

    def state_dict(self, prefix: str = "", copy: bool = False) -> dict[str, torch.Tensor]:
        """All tensors whose name starts with `prefix`, without it; copies where they are to outlive the file."""
        names = [name for name in self._places if name.startswith(prefix)]
        return {n.removeprefix(prefix): self.tensor(n).clone() if copy else self.tensor(n) for n in names}


def _weights(path: Path, wrappings: tuple[str, ...]) -> dict[str, Place]:
    """The tensors of a torch file by name, out of the wrappings in which checkpoints come."""
    if not is_zip(path):
        said = diagnose(path)
        if "damaged" in said and _is_older_form(path):
            said = (
                "it is a torch file in the format from before torch 1.6, which cannot be read safely. Save it "
                "again with a current torch, or use a .safetensors file"
            )
        raise CheckpointError(f"{path} cannot be read: {said}")
    content = read_torch(path)
    for key in wrappings:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = content.items() if isinstance(content, dict) else ()
    stored = [(name, tensor) for name, tensor in tensors if isinstance(name, str) and isinstance(tensor, StoredTensor)]
    found = {name.removeprefix("module."): tensor.place for name, tensor in stored}
    if not found:
        raise CheckpointError(f"{path} contains no weights: it is some other kind of torch file")
    return found


def _is_older_form(path: Path) -> bool:
    """Whether it begins as a bare pickle, or is a tar."""
    with path.open("rb") as file:
        head = file.read(512)
    return head[:1] == b"\x80" or head[257:262] == b"ustar"


def _reason(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)
