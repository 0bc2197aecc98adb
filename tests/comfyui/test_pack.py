"""The pack in a real ComfyUI: it loads, quickly, with every node, help page and translation."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from comfy_setup import CPU_ARGUMENTS, make_base
from tiny_models import MODEL_NAME

REPO = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).with_name("schema.json")


def ours(object_info):
    return {name: node for name, node in object_info.items() if name.startswith("EchoMimicV2")}


def schema_of(node):
    """What saved workflows depend on: names and order of the inputs, types and order of the outputs."""
    order = node["input_order"]
    return {"inputs": order.get("required", []) + order.get("optional", []), "outputs": node["output"]}


@pytest.mark.both_ends
def test_nothing_fails_to_import(comfy, object_info):
    assert ours(object_info)
    wrong = re.findall(r".*(?:IMPORT FAILED|Cannot import|cannot be imported|Error while calling).*", comfy.log_text())
    assert not wrong, "\n".join(wrong)


def start_and_exit(base: Path) -> str:
    """The log of a ComfyUI that imports everything and exits."""
    command = [sys.executable, "main.py", "--quick-test-for-ci", *CPU_ARGUMENTS, "--disable-api-nodes"]
    command += ["--base-directory", str(base)]
    done = subprocess.run(command, cwd=os.environ["COMFYUI_PATH"], capture_output=True, text=True, timeout=300)
    return done.stdout + done.stderr


@pytest.mark.both_ends
def test_loading_the_pack_brings_in_nothing_heavy():
    """What takes seconds to import is imported when it is used."""
    script = Path(__file__).with_name("inside_imports.py")
    command = [sys.executable, script, os.environ["COMFYUI_PATH"], REPO]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    brought = json.loads(done.stdout.splitlines()[-1])
    heavy = {"transformers", "diffusers", "scipy", "cv2", "mediapipe", "librosa", "sklearn", "matplotlib"}
    assert not heavy & set(brought["packages"])
    rooms = {"models", "networks", "landmarks", "sampling", "scene", "gestures", "evaluation"}
    assert not rooms & set(brought["rooms"])


@pytest.mark.both_ends
def test_saved_workflows_stay_valid(object_info, request):
    """Ids, inputs and outputs are frozen: whoever adds to them at the end runs this with --freeze-schema."""
    found = {name: schema_of(node) for name, node in sorted(ours(object_info).items())}
    if request.config.getoption("--freeze-schema"):
        SCHEMA.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    frozen = json.loads(SCHEMA.read_text(encoding="utf-8"))
    changed = [name for name in found.keys() | frozen.keys() if found.get(name) != frozen.get(name)]
    assert found == frozen, f"{', '.join(sorted(changed))}: new inputs stand at the end; then run just schema"


def test_every_input_explains_itself(object_info):
    silent = [
        f"{name}.{socket}"
        for name, node in ours(object_info).items()
        for group in ("required", "optional")
        for socket, spec in node["input"].get(group, {}).items()
        if not (len(spec) > 1 and spec[1].get("tooltip"))
    ]
    assert not silent


def test_every_node_has_a_description_and_a_help_page(comfy, object_info):
    for name, node in ours(object_info).items():
        assert node["description"], name
        assert node["category"].startswith("EchoMimicV2"), name
        assert (REPO / "web" / "docs" / f"{name}.md").is_file(), f"{name} has no help page: write web/docs/{name}.md"
        assert comfy.fetch(f"/extensions/echomimicv2/docs/{name}.md").startswith(b"# "), name


def test_every_node_is_found_by_english_and_chinese_words(object_info):
    words = {name: node.get("search_aliases") or [] for name, node in ours(object_info).items()}
    if not any(words.values()):
        pytest.skip("this ComfyUI does not know search words")
    for name, aliases in words.items():
        assert any(word.isascii() for word in aliases) and any(not word.isascii() for word in aliases), name
        assert len(set(aliases)) == len(aliases), name


@pytest.mark.both_ends
def test_nodes_are_registered_in_the_order_of_what_the_page_offers(object_info):
    door = ast.parse((REPO / "nodes" / "__init__.py").read_text(encoding="utf-8"))
    (first,) = (ast.literal_eval(line.value) for line in door.body if isinstance(line, ast.Assign))
    assert list(ours(object_info))[: len(first)] == list(first)


def test_own_folders_stand_beside_those_of_extra_model_paths(comfy):
    folders = {folder["name"]: folder["folders"] for folder in comfy.get("/api/experiment/models")}
    for name, elsewhere in (("echomimic", "elsewhere"), ("mediapipe", "detectors")):
        assert set(folders[name]) == {str(comfy.base / "models" / name), str(comfy.base / elsewhere)}


def test_model_in_a_folder_of_extra_model_paths_is_offered(comfy):
    folder = comfy.base / "elsewhere"
    folder.mkdir(exist_ok=True)
    shutil.copy(comfy.base / "models" / "echomimic" / MODEL_NAME, folder / "from_elsewhere.safetensors")
    loader = comfy.get("/object_info/EchoMimicV2Loader")["EchoMimicV2Loader"]
    spec = loader["input"]["required"]["model"]
    assert "from_elsewhere.safetensors" in (spec[1].get("options") or spec[0])


@pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="no ComfyUI: start the tests by python3 tests/run.py")
def test_a_broken_node_file_is_loud(tmp_path):
    """ComfyUI calls the whole pack failed, and its log shows the file and the error."""
    base = make_base(tmp_path)
    (base / "custom_nodes" / "echomimicv2").unlink()
    pack = base / "custom_nodes" / "echomimicv2"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "tests", "demo", "workflows", "web")
    shutil.copytree(REPO, pack, ignore=left_out)
    (pack / "nodes" / "broken.py").write_text("raise RuntimeError('broken on purpose')\n")
    log = start_and_exit(base)
    assert re.search(r"IMPORT FAILED.*echomimicv2", log)
    assert "nodes/broken.py cannot be imported" in log and "broken on purpose" in log


def test_translations_are_complete_and_of_nothing_else(comfy, object_info):
    for language, content in comfy.get("/i18n").items():
        nodes = {name: texts for name, texts in content["nodeDefs"].items() if name.startswith("EchoMimicV2")}
        untold = ours(object_info).keys() - nodes.keys()
        assert not untold, f"locales/{language}/nodeDefs.json lacks {', '.join(untold)}"
        assert nodes.keys() == ours(object_info).keys(), language
        for name, texts in nodes.items():
            schema = schema_of(object_info[name])
            assert set(texts["inputs"]) == set(schema["inputs"]), (language, name)
            assert set(texts.get("outputs", {})) == {str(index) for index in range(len(schema["outputs"]))}, name
            described = [texts, *texts["inputs"].values(), *texts.get("outputs", {}).values()]
            silent = [text for text in described if not (text.get("tooltip") or text.get("description"))]
            assert not silent, (language, name)
