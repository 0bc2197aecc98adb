"""One weights file, opened lazily and without running code, and sentences for what is wrong with it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from .names import diagnose


class CheckpointError(ValueError):
    """A weights file is missing or is not what it should be; the message says which, where and what to do."""


class TensorFile:
    """A .safetensors or torch file, opened lazily: names and shapes at once, tensors one by one.

    Torch files are mapped into memory and read with `weights_only=True`, which runs no code.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise CheckpointError(f"{self.path} does not exist")
        self.metadata: dict[str, str] = {}
        try:
            if self.path.suffix == ".safetensors":
                from safetensors import safe_open

                self._safe = safe_open(self.path, framework="pt")
                self.metadata = self._safe.metadata() or {}
                self._tensors = None
                self._names = {name: name for name in self._safe.keys()}  # noqa: SIM118 (not a dict)
            else:
                self._safe = None
                self._tensors = _open_torch(self.path)
                self._names = {name.removeprefix("module."): name for name in self._tensors}
        except CheckpointError:
            raise
        except Exception as problem:
            raise CheckpointError(f"{self.path} cannot be read: {_diagnose(self.path, problem)}") from problem

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def names(self) -> Iterator[str]:
        return iter(self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        if self._safe is not None:
            return tuple(self._safe.get_slice(self._names[name]).get_shape())
        return tuple(self._tensors[self._names[name]].shape)

    def tensor(self, name: str) -> torch.Tensor:
        if self._safe is not None:
            return self._safe.get_tensor(self._names[name])
        return self._tensors[self._names[name]]

    def state_dict(self, prefix: str = "") -> dict[str, torch.Tensor]:
        """All tensors whose name starts with `prefix`, without it."""
        return {name.removeprefix(prefix): self.tensor(name) for name in self._names if name.startswith(prefix)}


def _open_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:
        # files older than torch 1.6 cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{path} holds no weights: it is some other kind of torch file")
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _diagnose(path: Path, problem: Exception) -> str:
    if "unsupported global" in str(problem).lower():
        return "it holds more than tensors and might run code, so it was not opened. Use the official file."
    return diagnose(path)
