"""Private memory of opening, loading and saving a file of weights of 1 GB: `python -m benchmarks.weights` (Linux)."""

import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from echomimic_core.config import TINY
from echomimic_core.files.checkpoints import save_one_file, write_tensors
from echomimic_core.files.tensor_file import TensorFile
from echomimic_core.models.build import fill

LAYERS, WIDTH = 16, 4096  # 64 MB each in float32
MB = 2**20


def private_bytes() -> int:
    """Memory of this process that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))


class Peak:
    """The most private memory in a `with` block beyond that at its begin, looked at 500 times per second."""

    def __enter__(self) -> "Peak":
        self.before, self.most, self._end = private_bytes(), 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._end.is_set():
            self.most = max(self.most, private_bytes() - self.before)
            time.sleep(0.002)

    def __exit__(self, *error) -> None:
        self._end.set()
        self._thread.join()


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        layer = torch.randn(WIDTH, WIDTH)
        write_tensors(path, {f"{index}.weight": layer for index in range(LAYERS)})
        with torch.device("meta"):
            network = torch.nn.Sequential(*(torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)))
        with Peak() as opening:
            file = TensorFile(path)
        with Peak() as loading:
            fill(network, file.state_dict().items())
        with Peak() as saving:
            weights = {"denoising_unet": network.state_dict()}
            save_one_file(Path(folder, "half.safetensors"), weights, "standard", TINY, torch.float16)
    for name, peak in (("opening", opening), ("loading", loading), ("saving as float16", saving)):
        print(f"{name}: at most {peak.most / MB:.0f} MB more")


if __name__ == "__main__":
    main()
