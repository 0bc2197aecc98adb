"""Memory that has run out is nobody's fault: it passes through evaluation as it is and is kept as no clip's result."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.passes import compare, extract
from echomimic_core.evaluation.passes.jobs import Job
from echomimic_core.evaluation.settings import Settings
from echomimic_core.networks import local
from tests.unit.evaluation_clips import moving_picture, write

ROOT = Path(__file__).resolve().parents[4]
FULL = (MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("MPS backend out of memory"))
KINDS = [type(full).__name__ for full in FULL]
# These hand on what they catch, or ask something so small that memory cannot be the reason.
HARMLESS = {
    "bridge/values.py:shown",
    "echomimic_core/evaluation/command.py:_check_device",
    "echomimic_core/workers/ahead.py:read_ahead",
    "echomimic_core/workers/ahead.py:work",
    "echomimic_core/render/together.py:_follow",
    "echomimic_core/render/together.py:_help",
    "echomimic_core/workers/behind.py:_work",
    "echomimic_core/evaluation/passes/jobs.py:_tell",
    "echomimic_core/files/hub.py:_waited_for",
    "echomimic_core/files/hub.py:work",
    "echomimic_core/parity/__main__.py:verify",
    "echomimic_core/models/trial.py:try_all",  # The clip is made without what was tried
    # `sentence` says that memory was short for this task.
    "echomimic_core/render/__main__.py:looked_at",
    "echomimic_core/workers/here.py:here",
    "echomimic_core/workers/on_ray.py:do",
    "echomimic_core/workers/on_ray.py:ready",
    "echomimic_core/workers/processes.py:_serve",  # Hands it to the parent
}


@pytest.fixture
def clip(tmp_path) -> Clip:
    return Clip("a", "video", write(tmp_path / "a.mp4", moving_picture(3)))


@pytest.mark.parametrize("full", FULL, ids=KINDS)
@pytest.mark.parametrize("step", ["__enter__", "frame", "finish"])
def test_an_extractor_without_memory_ends_the_evaluation(clip, monkeypatch, full, step):
    def fail(*_):
        raise full

    class Extractor:
        needs_face = False

        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def frame(self, *_):
            pass

        def finish(self):
            return {"values": np.zeros(1)}

    monkeypatch.setattr(Extractor, step, fail)
    monkeypatch.setitem(extract.extractors.EXTRACTORS, "full", Extractor)
    with pytest.raises(type(full)):
        Job(clip, ("full",)).run(Settings(folders=(), mediapipe=()), lambda: None)


@pytest.mark.parametrize("full", FULL, ids=KINDS)
def test_a_network_without_memory_is_not_called_broken(clip, monkeypatch, tmp_path, full):
    def fail(*_, **__):
        raise full

    monkeypatch.setattr(compare, "lpips_distance", fail)
    network = SimpleNamespace(load=lambda _: (None, False), batch=1, device="cpu")
    pair = compare.Lpips(network)
    with pytest.raises(type(full)):
        pair.add(*np.zeros((2, 8, 8, 3), np.uint8))
    monkeypatch.setattr(local, "is_torchscript", fail)
    (tmp_path / "network.pt").write_bytes(b"")
    with pytest.raises(type(full)):
        local.load.__wrapped__("lpips", tmp_path / "network.pt", "cpu")


def test_no_blanket_handler_swallows_memory():
    """Whoever catches every error raises some of them again as they came: a cancel, or memory that has run out."""
    silent = []
    for folder in ("nodes", "bridge", "echomimic_core"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for function in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(function, ast.FunctionDef) and any(map(swallows, ast.walk(function))):
                    silent.append(f"{path.relative_to(ROOT).as_posix()}:{function.name}")
    assert set(silent) == HARMLESS


def swallows(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    caught = {part.id for part in ast.walk(node.type or ast.Name("Exception")) if isinstance(part, ast.Name)}
    raises = any(isinstance(part, ast.Raise) and part.exc is None for part in ast.walk(node))
    return bool(caught & {"Exception", "BaseException"}) and not raises
