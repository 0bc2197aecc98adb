"""Small files that ask for much: a frame of a pose, whatever it holds, costs a second and 64 MB at most."""

import struct
import sys

import pytest

pytest.importorskip("hypothesis")
if sys.platform == "win32":
    pytest.skip("children with limits need a system that forks", allow_module_level=True)

from tests.fuzz.child import Opener
from tests.fuzz.engine import check
from tests.fuzz.inputs import npy, safetensors
from tests.fuzz.pickles import short, text

MEGABYTE = 2**20 - 5000
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
FLOATS = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R"
OBJECTS = b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x89\x88\x87R"
# Numbers of one hash.
SAME = [index * (2**61 - 1) % 2**63 for index in range(9000)]
LARGE_BYTES = b"B" + short(900_000) + bytes(900_000)

BOMBS = {
    "doubled tuples": b"\x80\x04N" + b"2\x86" * 24_000 + b".",
    "doubled lists as hands": b"\x80\x04}" + text("hands") + b"]N" + b"a2\x85" * 300 + b"s.",
    "a memo index beyond all": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "a number of a megabyte": b"\x80\x04\x8b" + short(MEGABYTE) + bytes(MEGABYTE) + b".",
    "a number of a megabyte of digits": b"\x80\x04L" + b"9" * MEGABYTE + b"L\n.",
    "a string that says it is long": b"\x80\x04X\xff\xff\xff\x7fabc.",
    "bytes that say they are longer": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    "one text encoded again and again": (
        b"\x80\x04X" + short(900_000) + b"a" * 900_000 + b"q\x00(" + b"c_codecs\nencode\nh\x00\x85R" * 4000 + b"t."
    ),
    "one buffer in many arrays": (
        b"\x80\x04"
        + LARGE_BYTES
        + b"q\x00]("
        + (ARRAY + b"(K\x01J" + short(112_500) + b"\x85" + FLOATS + b"\x89h\x00tb") * 200
        + b"e."
    ),
    "an array of a shape without end": b"\x80\x04"
    + ARRAY
    + b"(K\x01(J"
    + short(2**31 - 1) * 1
    + b"t"
    + FLOATS
    + b"\x89C\x00tb.",
    "a shape of many zeros": b"\x80\x04" + ARRAY + b"(K\x01(" + b"K\x00" * 20_000 + b"t" + FLOATS + b"\x89C\x00tb.",
    "keys that collide": b"\x80\x04}(" + b"".join(b"\x8a\x08" + struct.pack("<q", key) + b"N" for key in SAME) + b"u.",
    "a key of nested tuples": b"\x80\x04}N" + b"2\x86" * 60 + b"Ns.",
    "marks without end": b"\x80\x04" + b"(" * MEGABYTE,
    "lists without end": b"\x80\x04" + b"]" * MEGABYTE,
    "nested lists without end": b"\x80\x04" + b"(" * 20_000 + b"l" * 20_000 + b".",
    "a list in itself": b"\x80\x04]q\x00h\x00a.",
    "a dictionary in itself": b"\x80\x04}q\x00" + text("hands") + b"h\x00s.",
    "an array in itself": b"\x80\x04" + ARRAY + b"q\x00(K\x01)" + OBJECTS + b"\x89]h\x00atb.",
}


@pytest.fixture(scope="module")
def opener():
    with Opener() as opener:
        yield opener


@pytest.mark.parametrize("kind", BOMBS)
def test_a_frame_that_asks_for_much_is_a_sentence_at_little_cost(opener, tmp_path, kind):
    assert "said" in check("pickle", npy(BOMBS[kind]), opener, tmp_path)


def test_a_frame_of_more_than_a_megabyte_is_not_read(opener, tmp_path):
    found = check("pickle", npy(b"\x80\x04" + bytes(2**21)), opener, tmp_path)
    assert "a pose file has a few kilobytes" in found["said"]


HEADERS = {
    "brackets": b"[" * 5_000_000,
    "empty lists": b'{"a":[' + b"[]," * 2_000_000 + b"[]]}",
    "an enormous number": b'{"a":' + b"9" * 1_000_000 + b"}",
    "a long text": b'{"__metadata__":{"format":"' + b"a" * 5_000_000 + b'"}}',
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_that_asks_for_much_is_a_sentence(opener, tmp_path, kind):
    for reader in ("safetensors", "one_file", "pose_safetensors"):
        check(reader, safetensors(HEADERS[kind], b""), opener, tmp_path)


@pytest.mark.parametrize("piece", (b"[[],", b'{"a":', b"1,", b'"' + b"a" * 1000 + b'",'))
def test_a_pose_in_json_that_asks_for_much_is_a_sentence(opener, tmp_path, piece):
    data = b'{"format":"echomimicv2-pose","version":1,"hands":[' + piece * (4_000_000 // len(piece))
    found = check("json", data, opener, tmp_path)
    assert "said" in found and found["grown"] < 200 * 2**20
