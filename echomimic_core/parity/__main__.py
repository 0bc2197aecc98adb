"""Check this project against numbers computed with the original: `python -m echomimic_core.verify FOLDER`.

The folder holds `cases.json` with models (manifest of parameter shapes, seed, channels) and cases (kind, file, model).
Weights come from names, shapes and a seed. Prints a line a case and exits 1 if any fails.
"""

import argparse
import json
import math
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ..config import ModelConfig, SamplingConfig
from ..models.build import NETWORKS, fill
from ..models.context import WindowContext
from ..models.reference_unet import ReferenceFeatures
from ..sampling.clip import ClipConditions, PackedAudio
from ..sampling.denoiser import ClipDenoiser
from ..sampling.loop import sample
from ..sampling.schedule import trailing_timesteps
from ..sampling.windows import uniform_windows
from .audio import check_audio, relative_error
from .pose import check_framing, check_pose

# Relative errors allowed in float32; the networks run in other dtypes get a bar of their own, wide as those are coarse.
TOLERANCES = {"forward": 1e-4, "reference": 1e-4, "sample": 1e-3}
REDUCED_PRECISION = {torch.float32: 0.0, torch.float16: 0.02, torch.bfloat16: 0.15}


def seeded_tensor(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Float32 weights that depend on name, shape and seed alone: fan-in scaled, gains near 1, small biases."""
    values = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32).standard_normal(shape)
    if name.endswith(".bias"):
        values = 0.05 * values
    elif len(shape) == 1:
        values = 1.0 + 0.1 * values
    else:
        values = values / math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(np.asarray(values, np.float32))


def seeded_weights(shapes: dict[str, list[int]], seed: int, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor) for every parameter of a manifest, one at a time; position tables are left out."""
    for name, shape in shapes.items():
        if not name.endswith(".pe") and name != "positional_embedding":
            yield name, seeded_tensor(prefix + name, tuple(shape), seed)


@dataclass
class Model:
    """Networks of one entry of `models`, each built when a case first asks for it."""

    folder: Path
    entry: dict
    device: torch.device
    dtype: torch.dtype

    @cached_property
    def manifest(self) -> dict:
        return json.loads((self.folder / self.entry["manifest"]).read_text("utf-8"))

    @property
    def config(self) -> ModelConfig:
        sizes = {
            key: tuple(self.entry[key]) for key in ("block_out_channels", "pose_block_channels") if key in self.entry
        }
        return ModelConfig(**sizes)

    def _network(self, name: str) -> torch.nn.Module:
        with torch.device("meta"):
            network = NETWORKS[name](self.config)
        fill(network, seeded_weights(self.manifest[name], self.entry["seed"]), self.dtype, self.device)
        return network

    @cached_property
    def reference_unet(self):
        return self._network("reference_unet")

    @cached_property
    def denoiser(self) -> ClipDenoiser:
        return ClipDenoiser(self._network("denoising_unet"), self._network("pose_encoder"))

    def audio_weights(self) -> dict[str, torch.Tensor]:
        return dict(seeded_weights(self.manifest, self.entry["seed"], self.entry.get("prefix", "")))

    def to_input(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.device, self.dtype)

    def reference(self, latents: torch.Tensor) -> ReferenceFeatures:
        return ReferenceFeatures(self.reference_unet(self.to_input(latents)), *latents.shape[-2:])


Result = tuple[str, float, float]
"""What was compared, its error, the tolerance."""


def check_forward(case: dict, folder: Path, model: Model) -> list[Result]:
    """One pass of pose encoder and denoising U-Net, with or without the unconditional half of guidance."""
    expected = load(folder, case)
    frames = expected["noisy"].shape[2]
    latents = model.to_input(expected["noisy"][0].transpose(0, 1))
    unet, pose_encoder = model.denoiser.denoising_unet, model.denoiser.pose_encoder
    pose = pose_encoder(model.to_input(expected["pose_maps"][0].transpose(0, 1).float()))
    guided = len(expected["prediction"]) == 2
    context = WindowContext(
        frames,
        unconditional=frames if guided else 0,
        reference=unet.project_reference(model.reference(expected["ref_latents"]).tokens),
        audio=unet.project_audio(model.to_input(expected["audio"][0])),
    )
    timesteps = expected["timestep"].flatten()[:1].to(model.device)
    out = unet(torch.cat([latents, latents]) if guided else latents, timesteps, context, pose)
    out = out.unflatten(0, (-1, frames)).transpose(1, 2)
    pose = pose.unflatten(0, (-1, frames)).transpose(1, 2)
    return [
        ("pose features", error(pose, expected["pose_features"]), TOLERANCES["forward"]),
        ("prediction", error(out, expected["prediction"]), TOLERANCES["forward"]),
    ]


def check_reference(case: dict, folder: Path, model: Model) -> list[Result]:
    """Every token map of the reference U-Net, by the name of its transformer block."""
    expected = load(folder, case)
    tokens = model.reference(expected["ref_latents"]).tokens
    names = [name for name, module in model.reference_unet.named_modules() if hasattr(module, "attn1")]
    blocks = dict(model.reference_unet.named_modules())
    worst = 0.0
    for name in names:
        if f"bank.{name}" not in expected:
            raise ValueError(f"{case['file']} has no features of {name}")
        worst = max(worst, error(tokens[blocks[name].index], expected[f"bank.{name}"]))
    return [(f"{len(names)} token maps", worst, TOLERANCES["reference"])]


def check_sample(case: dict, folder: Path, model: Model) -> list[Result]:
    """A whole sampling run from the case's own noise."""
    expected = load(folder, case)
    steps, context_frames, overlap = expected["settings"].tolist()
    guidance = float(expected["guidance"])
    if trailing_timesteps(steps) != expected["timesteps"].tolist():
        return [("timesteps", math.inf, 0.0)]
    maps = expected["pose_maps"][0].transpose(0, 1).float()
    conditions = ClipConditions(
        model.reference(expected["ref_latents"]), PackedAudio(expected["audio"]), lambda frames: maps[frames]
    )
    noise = expected["noise"][0].transpose(0, 1).to(model.device)
    config = SamplingConfig(steps, guidance, context_frames, overlap)
    latents = sample(model.denoiser, conditions, noise, config)
    return [("latents", error(latents.transpose(0, 1)[None], expected["latents"]), TOLERANCES["sample"])]


def check_windows(case: dict, folder: Path) -> list[Result]:
    """Context windows before the shift of each step; they have to be equal."""
    cases = json.loads((folder / case["file"]).read_text("utf-8"))
    wrong = sum(
        uniform_windows(entry["num_frames"], entry["context"], entry["overlap"]) != entry["windows"] for entry in cases
    )
    return [(f"{len(cases)} window schedules, {wrong} wrong", float(wrong) if cases else math.inf, 0.0)]


def load(folder: Path, case: dict) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / case["file"])


def error(ours: torch.Tensor, expected: torch.Tensor) -> float:
    return relative_error(ours.detach().float().cpu(), expected)


def run_case(case: dict, folder: Path, model: Callable[[], Model], dtype: torch.dtype) -> list[Result]:
    """Results of one case; raises ValueError for a kind this project does not know."""
    kind = case.get("kind")
    if kind in TOLERANCES:
        check = {"forward": check_forward, "reference": check_reference, "sample": check_sample}[kind]
        extra = REDUCED_PRECISION[dtype]
        return [(what, found, max(tolerance, extra)) for what, found, tolerance in check(case, folder, model())]
    if kind == "windows":
        return check_windows(case, folder)
    if kind == "audio":
        results = check_audio(case, folder, model().audio_weights, model().device, dtype)
        return [(what, found, max(tolerance, REDUCED_PRECISION[dtype])) for what, found, tolerance in results]
    if kind in ("pose", "framing"):
        found, tolerance, what = {"pose": check_pose, "framing": check_framing}[kind](case, folder)
        return [(what, found, tolerance)]
    raise ValueError(f"unknown kind {kind!r}")


def verify(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32, name: str | None = None) -> bool:
    """Run the cases of a folder, or those whose file is called `name`, and print a line for each; True if all pass."""
    index = json.loads((folder / "cases.json").read_text("utf-8"))
    cases = [case for case in index["cases"] if name in (None, case.get("file"), Path(case.get("file", "")).stem)]
    if not cases:
        raise ValueError(f"no case named {name!r} in {folder / 'cases.json'}" if name else f"{folder} lists no case")
    models: dict[str, Model] = {}
    passed = 0
    for case in cases:

        def model(case: dict = case) -> Model:
            key = case["model"]
            if key not in models:
                models.clear()  # Only one at a time: the released size fills 8 GB
                models[key] = Model(folder, index["models"][key], torch.device(device), dtype)
            return models[key]

        started = time.perf_counter()
        try:
            results = run_case(case, folder, model, dtype)
            ok = all(found <= tolerance for _, found, tolerance in results)
            detail = ", ".join(f"{what}: {found:.2e} (<= {tolerance:.0e})" for what, found, tolerance in results)
        except Exception as error:
            ok, detail = False, f"{type(error).__name__}: {error}"
        passed += ok
        seconds = time.perf_counter() - started
        print(f"{'pass' if ok else 'FAIL'}  {case.get('kind')!s:9} {case.get('file')}  {detail}  [{seconds:.1f} s]")
    print(f"{passed} passed, {len(cases) - passed} failed")
    return passed == len(cases)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m echomimic_core.verify", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with cases.json")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps ... (default: cpu)")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--case", help="run only the case of this file name")
    options = parser.parse_args(arguments)
    if not (options.folder / "cases.json").is_file():
        parser.error(f"{options.folder} has no cases.json: give a folder laid out like the parity folder")
    # The original's numbers are true float32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with torch.no_grad():
        try:
            return 0 if verify(options.folder, options.device, getattr(torch, options.dtype), options.case) else 1
        except ValueError as error:
            parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
