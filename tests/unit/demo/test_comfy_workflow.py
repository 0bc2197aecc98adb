"""From a saved workflow to a prompt: every kind of widget is converted, or the node is named."""

from pathlib import Path

import pytest

if not (Path(__file__).resolve().parents[3] / "demo").is_dir():
    pytest.skip("the demo is left out of this copy", allow_module_level=True)

from comfy_workflow import to_prompt  # noqa: E402

CODECS = {"options": [{"key": "auto", "inputs": {"required": {}}}, {"key": "h264", "inputs": {"required": {}}}]}
CODEC = {"codec": ["COMFY_DYNAMICCOMBO_V3", CODECS], "quality": ["INT", {"default": 80}]}
FORMATS = {
    "options": [
        {"key": "auto", "inputs": {"required": {}}},
        {"key": "mp4", "inputs": {"required": CODEC, "optional": {"fast": ["BOOLEAN", {"default": True}]}}},
    ]
}
KNOWN = {
    "Save": {
        "input": {
            "required": {
                "video": ["VIDEO", {}],
                "name": ["STRING", {}],
                "format": ["COMFY_DYNAMICCOMBO_V3", FORMATS],
                "seed": ["INT", {"control_after_generate": True}],
                "old": [["a", "b"]],
                "linked": ["FLOAT", {"forceInput": True}],
            },
            "optional": {"new": ["COMBO", {"options": ["x", "y"]}]},
        }
    }
}


def prompt_of(values: list, known: dict = KNOWN) -> dict:
    node = {"id": 7, "type": "Save", "widgets_values": values, "inputs": [{"name": "video", "link": 3}]}
    return to_prompt({"links": [[3, 1, 0, 7, 0, "VIDEO"]], "nodes": [node]}, known)["7"]["inputs"]


def test_a_dynamic_choice_brings_the_widgets_of_what_is_chosen():
    assert prompt_of(["me", "mp4", "h264", 90, False, 1, "fixed", "b", "y"]) == {
        "name": "me",
        "format": "mp4",
        "format.codec": "h264",
        "format.quality": 90,
        "format.fast": False,
        "seed": 1,
        "old": "b",
        "new": "y",
        "video": ["1", 0],
    }


def test_another_choice_of_a_dynamic_combo_has_no_inputs_of_the_first():
    found = prompt_of(["me", "auto", 1, "fixed", "b", "y"])
    assert [name for name in found if name.startswith("format")] == ["format"]
    assert found["old"] == "b"


def test_what_was_not_there_when_the_workflow_was_saved_has_its_default():
    found = prompt_of(["me", "mp4"])
    assert found["format.codec"] == "auto" and found["format.quality"] == 80
    assert found["old"] == "a" and found["new"] == "x"


@pytest.mark.parametrize("kind", ["COMFY_AUTOGROW_V3", "COMFY_NEW_KIND_V9"])
def test_a_widget_of_an_unknown_kind_is_named(kind):
    known = {"Save": {"input": {"required": {"many": [kind, {}]}}}}
    with pytest.raises(ValueError, match=f"Save: its input many is of the kind {kind}"):
        prompt_of([], known)


def test_an_input_with_a_default_that_is_drawn_as_no_socket_is_a_widget_of_an_unknown_kind():
    known = {"Save": {"input": {"required": {"colour": ["COLOR", {"default": "#fff"}]}}}}
    with pytest.raises(ValueError, match="Save: its input colour is of the kind COLOR"):
        prompt_of(["#000"], known)


def test_values_that_are_left_over_are_named():
    with pytest.raises(ValueError, match="Save: the workflow holds 2 more values"):
        prompt_of(["me", "auto", 1, "fixed", "b", "y", "what", "is this"])
