"""Hostile pickles by grammar: what each node makes leaves one value on the stack, so that most run to their end."""

import struct

from hypothesis import strategies as st

WHOLE = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([2**8, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, -(2**31), -(2**63), 10**9]),
)
NUMBER = st.one_of(WHOLE, st.floats(width=64), st.sampled_from([1e300, -1e300, float("nan"), float("inf"), 1e-320]))
TEXT = st.one_of(st.text(max_size=8), st.sampled_from(["", "0", "768", "F32", "\x00", "a" * 300, "\ud7ff", "1e999"]))


def short(number: int) -> bytes:
    return struct.pack("<I", number % 2**32)


# Pickles by grammar: every node leaves one value on the stack.

NAMES = [
    "numpy\nndarray",
    "numpy\ndtype",
    "numpy.core.multiarray\n_reconstruct",
    "numpy._core.multiarray\n_reconstruct",
    "numpy.core.multiarray\nscalar",
    "numpy._core.numeric\n_frombuffer",
    "_codecs\nencode",
    "builtins\neval",
    "os\nsystem",
    "copyreg\n_reconstructor",
    "numpy\nload",
    "torch._utils\n_rebuild_tensor_v2",
    "torch._utils\n_rebuild_tensor_v3",
    "torch._utils\n_rebuild_parameter",
    "torch._tensor\n_rebuild_from_type_v2",
    "torch\nFloatStorage",
    "torch\nfloat8_e4m3fn",
    "torch\nSize",
    "torch.storage\nUntypedStorage",
    "collections\nOrderedDict",
]
KINDS = ["O", "O8", "f8", "f4", "i8", "u1", "b1", "S0", "V0", "U1", "V999", "m8", "f2", "<f8", ">i4", "|O", "c16", "q"]
KEYS = ["hands", "hands_score", "bodies", "candidate", "score", "faces", "faces_score", "draw_pose_params", "w"]


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + short(len(raw)) + raw


def whole(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw if len(raw) < 256 else b"\x8b" + short(len(raw)) + raw


def _global(name: str) -> bytes:
    return f"c{name}\n".encode()


ATOM = st.one_of(
    st.sampled_from([b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f", b"I01\n", b"F1e5\n"]),
    st.just(b"L" + b"9" * 60 + b"L\n"),
    WHOLE.map(whole),
    st.integers(2**300, 2**301).map(whole),
    st.floats().map(lambda value: b"G" + struct.pack(">d", value)),
    st.sampled_from(KEYS + KINDS + ["<", ">", "|", "=", "latin1", "C", "F", "storage", "cpu", "0"]).map(text),
    TEXT.map(text),
    st.binary(max_size=40).map(lambda raw: b"C" + bytes([len(raw)]) + raw),
    st.binary(max_size=40).map(lambda raw: b"B" + short(len(raw)) + raw),
    st.integers(0, 1000).map(lambda size: b"B" + short(size) + bytes(size)),
    st.sampled_from(NAMES).map(_global),
    st.sampled_from(NAMES).map(lambda name: b"".join(map(text, name.split("\n"))) + b"\x93"),
    st.integers(0, 5).map(lambda index: b"h" + bytes([index])),
)


def _tuple(items: list[bytes]) -> bytes:
    return b"(" + b"".join(items) + b"t"


DTYPE = st.tuples(st.sampled_from(KINDS), st.booleans()).map(
    lambda at: _global("numpy\ndtype") + _tuple([text(at[0]), b"\x89", b"\x88"]) + b"R"
)


@st.composite
def dtype_with_state(draw):
    state = [b"K\x03", text(draw(st.sampled_from(["<", ">", "|", "=", "!"]))), b"N", b"N", b"N"]
    state += [whole(draw(WHOLE)) for _ in range(3)]
    if draw(st.booleans()):
        state[draw(st.integers(0, 7))] = draw(NODE)
    return draw(DTYPE) + _tuple(state) + b"b"


@st.composite
def array(draw):
    sides = draw(st.lists(st.one_of(st.integers(0, 4), WHOLE), max_size=4))
    content = draw(st.one_of(st.integers(0, 64).map(lambda n: b"B" + short(8 * n) + bytes(8 * n)), NODE))
    state = [b"K\x01", _tuple([whole(side) for side in sides]), draw(dtype_with_state()), b"\x89", content]
    if draw(st.integers(0, 3)) == 0:
        state[draw(st.integers(0, 4))] = draw(NODE)
    made = _global("numpy.core.multiarray\n_reconstruct")
    made += _tuple([_global("numpy\nndarray"), _tuple([b"K\x00"]), b"C\x01b"]) + b"R"
    return made + _tuple(state) + b"b"


@st.composite
def container(draw):
    """A node made of others, in one of the ways in which values are put together, named again or called."""
    way = draw(st.integers(0, 11))
    if way == 0:
        return _tuple(draw(FEW))
    if way == 1:
        return b"](" + b"".join(draw(FEW)) + b"e"
    if way == 2:
        return b"}(" + b"".join(text(draw(st.sampled_from(KEYS))) + node for node in draw(FEW)) + b"u"
    if way == 3:
        return draw(st.sampled_from(NAMES).map(_global)) + _tuple(draw(FEW)) + b"R"
    node = draw(NODE)
    if way == 4:
        return node + draw(NODE) + draw(st.sampled_from([b"R", b"b", b"\x86", b"2\x87"]))
    if way == 5:
        return b"}(" + node + draw(NODE) + b"u"
    if way == 6:
        return node + draw(st.sampled_from([b"Q", b"\x94", b"\x85"]))
    if way == 7:
        return node + b"q" + bytes([draw(st.integers(0, 5))])
    if way == 8:
        return node + b"r" + short(draw(WHOLE))
    if way == 9:
        # Each doubling names the value before it twice.
        return node + b"2\x86" * draw(st.integers(1, 60))
    if way == 10:
        return node + b"\x85" * draw(st.integers(1, 400))
    return b"(" + node + b"2" * draw(st.integers(1, 3000)) + b"t"


NODE = st.deferred(lambda: st.one_of(ATOM, ATOM, container(), array(), dtype_with_state()))
FEW = st.lists(NODE, max_size=3)


def _with_noise(at) -> bytes:
    node, noise, place, protocol = at
    body = node[: place % (len(node) + 1)] + noise + node[place % (len(node) + 1) :]
    return b"\x80" + bytes([protocol]) + body + b"."


PICKLE = st.tuples(
    NODE,
    st.sampled_from([b""] * 6 + [b"0", b"1", b"2", b"(", b"\x82\x01", b"P1\n", b"."]),
    st.integers(0, 99),
    st.integers(0, 6),
).map(_with_noise)
