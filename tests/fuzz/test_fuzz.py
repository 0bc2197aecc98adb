"""Damaged and hostile inputs of every kind open or are one sentence of ours: the same few hundred on every run."""

import sys

import pytest

pytest.importorskip("hypothesis")
if sys.platform == "win32":
    pytest.skip("children with limits need a system that forks", allow_module_level=True)

from tests.fuzz.child import Opener, failure
from tests.fuzz.engine import Failed, check, run
from tests.fuzz.inputs import INPUTS, npy
from tests.fuzz.readers import READERS

SEED = 12
# Inputs of each kind; all together take about a minute and a half.
EXAMPLES = {"video": 60, "sound": 60, "picture": 60, "one_file": 30, "whisper": 30}
USUAL = 100


@pytest.fixture(scope="module")
def opener():
    with Opener() as opener:
        yield opener


def test_every_kind_that_is_read_is_fuzzed():
    assert set(INPUTS) == set(READERS)


@pytest.mark.parametrize("kind", sorted(INPUTS))
def test_hostile_inputs_open_or_are_one_sentence(opener, kind):
    counts, failed = run(kind, opener, EXAMPLES.get(kind, USUAL), SEED)
    assert failed is None, failed
    assert sum(counts.values()) >= 30


def test_a_death_is_seen(opener, tmp_path, monkeypatch):
    """A file that kills its reader, here by its size, is found and named."""
    assert failure({"died": "it died of SIGSEGV"}) == "it died of SIGSEGV"
    assert failure({"opened": True, "seconds": 21.0, "bytes": 5}) == "it took 21.0 s and 0 MB"
    assert failure({"foreign": "TypeError: x"}) == "TypeError: x"
    assert failure({"said": "a sentence", "seconds": 0.1, "bytes": 5}) is None
    with pytest.raises(Failed, match="a frame took"):
        monkeypatch.setattr("tests.fuzz.engine.FRAME_SECONDS", -1.0)
        check("npy", npy(b"N."), opener, tmp_path)


def test_a_process_that_dies_is_told_from_one_that_answers(tmp_path):
    from tests.fuzz.child import _in_child

    def die(kind, path):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSEGV)

    assert _in_child(die, "npy", tmp_path)["died"] == "it died of SIGSEGV"
    assert "ended with 3 and said nothing" in _in_child(lambda kind, path: sys.exit(7), "npy", tmp_path)["died"]
