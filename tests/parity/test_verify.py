"""The cases computed with the original, where the parity folder lies beside the project."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from echomimic_core.parity.__main__ import main, seeded_weights, verify

PARITY = Path(__file__).parents[3] / "shared" / "parity"
needs_parity = pytest.mark.skipif(not PARITY.is_dir(), reason="the parity cases (../shared/parity) are not here")


def case_names() -> list[str]:
    if not PARITY.is_dir():
        return []
    return [case["file"] for case in json.loads((PARITY / "cases.json").read_text("utf-8"))["cases"]]


@needs_parity
@pytest.mark.parametrize("name", case_names())
def test_same_numbers_as_the_original(name, capsys):
    with torch.no_grad():
        passed = verify(PARITY, name=name)
    assert passed, capsys.readouterr().out


@needs_parity
@pytest.mark.parametrize("dtype, bar", [("float16", 2e-2), ("bfloat16", 1.5e-1)])
def test_reduced_precision_stays_close(dtype, bar, capsys):
    assert main([str(PARITY), "--dtype", dtype, "--case", "forward_cfg"]) == 0, capsys.readouterr().out


def folder_with(tmp_path: Path, cases: list[dict], models: dict | None = None) -> Path:
    (tmp_path / "cases.json").write_text(json.dumps({"models": models or {}, "cases": cases}))
    return tmp_path


def test_an_unknown_kind_is_a_failure(tmp_path, capsys):
    folder = folder_with(tmp_path, [{"kind": "telepathy", "file": "a.json"}])
    assert main([str(folder)]) == 1
    assert "unknown kind 'telepathy'" in capsys.readouterr().out


def test_a_wrong_window_is_a_failure(tmp_path, capsys):
    (tmp_path / "w.json").write_text(json.dumps([{"num_frames": 3, "context": 2, "overlap": 0, "windows": [[0, 1]]}]))
    assert main([str(folder_with(tmp_path, [{"kind": "windows", "file": "w.json"}]))]) == 1
    assert "1 wrong" in capsys.readouterr().out


def test_a_missing_file_is_a_failure_and_the_other_cases_still_run(tmp_path, capsys):
    (tmp_path / "w.json").write_text(json.dumps([{"num_frames": 1, "context": 2, "overlap": 0, "windows": [[0]]}]))
    folder = folder_with(tmp_path, [{"kind": "windows", "file": "gone.json"}, {"kind": "windows", "file": "w.json"}])
    assert main([str(folder)]) == 1
    assert "1 passed, 1 failed" in capsys.readouterr().out


def test_a_folder_without_cases_gets_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "has no cases.json" in capsys.readouterr().err


def test_a_case_that_does_not_exist_gets_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(folder_with(tmp_path, [{"kind": "windows", "file": "w.json"}])), "--case", "other"])
    assert "no case named 'other'" in capsys.readouterr().err


@needs_parity
def test_changed_weights_fail(tmp_path, capsys):
    index = json.loads((PARITY / "cases.json").read_text("utf-8"))
    index["models"]["tiny"]["seed"] += 1
    index["cases"] = [case for case in index["cases"] if case["file"] == "reference_features.safetensors"]
    (tmp_path / "cases.json").write_text(json.dumps(index))
    for name in ("reference_features.safetensors", "tiny_manifest.json"):
        shutil.copy(PARITY / name, tmp_path)
    assert main([str(tmp_path)]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_seeded_weights_do_not_depend_on_their_order():
    shapes = {"a.weight": [3, 4], "b.bias": [5], "c.pe": [1, 2]}
    forward, backward = dict(seeded_weights(shapes, 7)), dict(seeded_weights(dict(reversed(shapes.items())), 7))
    assert set(forward) == {"a.weight", "b.bias"}
    assert all(torch.equal(forward[name], backward[name]) for name in forward)
