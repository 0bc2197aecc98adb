"""Every node's own schema is read at the door: a new node is covered without a line."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

REPO = Path(__file__).resolve().parents[3]
POSE = object()


@pytest.fixture
def customs(monkeypatch):
    spec = importlib.util.spec_from_file_location("pack", REPO / "__init__.py", submodule_search_locations=[str(REPO)])
    monkeypatch.setitem(sys.modules, "pack", importlib.util.module_from_spec(spec))
    yield importlib.import_module("pack.bridge.customs")
    for name in [name for name in sys.modules if name.startswith("pack.")]:
        del sys.modules[name]


def given(name: str, kind: str, optional: bool = False, **more) -> SimpleNamespace:
    limits = {"min": None, "max": None, "options": None}
    return SimpleNamespace(id=name, get_io_type=lambda: kind, optional=optional, **{**limits, **more})


@pytest.fixture
def node(customs):
    """A node that nobody has told the customs of."""

    class New:
        @classmethod
        def define_schema(cls):
            inputs = [
                given("speed", "FLOAT", min=0.5, max=2.0),
                given("frames", "INT", min=1),
                given("mood", "COMBO", options=["calm", "lively"]),
                given("file", "COMBO", options=["a", "b"]),
                given("pose", "ECHOMIMIC_POSE"),
                given("picture", "VIDEO,IMAGE", optional=True),
            ]
            return SimpleNamespace(inputs=inputs)

        @classmethod
        def validate_inputs(cls, file, frames):
            return True if file != "gone" and frames < 100 else "that file is gone"

        @classmethod
        def fingerprint_inputs(cls, file, frames):
            return file.upper(), frames

        @classmethod
        def execute(cls, speed, frames, pose, mood="calm", picture=None, **rest):
            return speed, frames, pose, mood, picture, rest

    assert customs.inspected(New) is New
    New.define_schema()
    return New


def test_values_come_as_the_schema_says(node):
    assert node.execute("1.5", 2.0, POSE, file="gone") == (1.5, 2, POSE, "calm", None, {"file": "gone"})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"speed": float("nan")}, "speed is nan, but it has to be a number from 0.5 to 2.0"),
        ({"speed": 3}, "speed is 3, but"),
        ({"frames": 0}, "frames is 0, but it has to be a whole number of at least 1"),
        ({"frames": None}, "frames got nothing"),
        ({"mood": "sad"}, "mood is 'sad', which is not a valid choice: choose one of calm, lively"),
        ({"mood": 1}, "mood is 1"),
    ],
)
def test_other_values_are_refused_in_the_run_and_before_it(node, wrong, sentence):
    with pytest.raises(ValueError, match="(?s).*") as refused:
        node.execute(**{"speed": 1, "frames": 1, "pose": None, **wrong})
    assert str(refused.value).startswith(sentence)
    if None not in wrong.values():
        assert node.validate_inputs(**wrong).startswith(sentence)


def test_comfyui_is_told_which_inputs_are_checked_before_a_run(node):
    names = inspect.getfullargspec(node.validate_inputs).args
    assert names == ["cls", "speed", "mood", "file", "frames"]


def test_the_nodes_own_check_is_left_out_where_a_value_comes_by_a_wire(node):
    assert node.validate_inputs(file="gone", frames=1) == "that file is gone"
    assert node.validate_inputs(file="gone", frames=None) is True
    assert node.validate_inputs(file=None, frames=1, speed=None) is True


def test_a_fingerprint_bears_what_comes_by_a_wire(node):
    assert node.fingerprint_inputs(file="a", frames=1) == ("A", 1)
    assert node.fingerprint_inputs(file="a", frames=None) == ("A", None)
    assert node.fingerprint_inputs(file=None, frames=1) == ""
    with pytest.raises(AttributeError):
        node.fingerprint_inputs(file=1, frames=1)


@pytest.mark.parametrize("value", ["typed", 2, [POSE], {"hands": POSE}])
def test_a_socket_of_ours_takes_no_typed_value(node, value):
    with pytest.raises(ValueError, match="pose is .*, but this input takes ECHOMIMIC_POSE: connect a node that makes"):
        node.execute(1.5, 2, value, file="a")
    with pytest.raises(ValueError, match="pose got nothing"):
        node.execute(1.5, 2, None, file="a")
