"""The pack in a real ComfyUI: it loads, quickly, with every node, help page and translation."""

import json
import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).with_name("schema.json")
IMPORT_SECONDS = 0.3


def ours(object_info):
    return {name: node for name, node in object_info.items() if name.startswith("EchoMimicV2")}


def schema_of(node):
    """What saved workflows depend on: names and order of the inputs, types and order of the outputs."""
    order = node["input_order"]
    return {"inputs": order.get("required", []) + order.get("optional", []), "outputs": node["output"]}


def test_nothing_fails_to_import(comfy, object_info):
    assert ours(object_info)
    wrong = re.findall(r".*(?:IMPORT FAILED|Cannot import|cannot be imported|Error while calling).*", comfy.log_text())
    assert not wrong, "\n".join(wrong)


def test_import_is_quick(comfy):
    seconds = re.findall(r"(\d+\.\d+) seconds.*: .*echomimicv2", comfy.log_text())
    assert len(seconds) == 1
    assert float(seconds[0]) < IMPORT_SECONDS


def test_saved_workflows_stay_valid(object_info, request):
    """Ids, inputs and outputs are frozen: whoever adds to them at the end runs this with --freeze-schema."""
    found = {name: schema_of(node) for name, node in sorted(ours(object_info).items())}
    if request.config.getoption("--freeze-schema"):
        SCHEMA.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    frozen = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert found == frozen


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
        assert comfy.fetch(f"/extensions/echomimicv2/docs/{name}.md").startswith(b"# "), name


def test_folders_are_registered(comfy):
    folders = {folder["name"]: folder["folders"] for folder in comfy.get("/api/experiment/models")}
    for name in ("echomimic", "mediapipe"):
        assert str(comfy.base / "models" / name) in folders[name]


def test_translations_are_complete_and_of_nothing_else(comfy, object_info):
    for language, content in comfy.get("/i18n").items():
        nodes = {name: texts for name, texts in content["nodeDefs"].items() if name.startswith("EchoMimicV2")}
        assert nodes.keys() == ours(object_info).keys(), language
        for name, texts in nodes.items():
            schema = schema_of(object_info[name])
            assert set(texts["inputs"]) == set(schema["inputs"]), (language, name)
            assert set(texts.get("outputs", {})) <= {str(index) for index in range(len(schema["outputs"]))}, name
