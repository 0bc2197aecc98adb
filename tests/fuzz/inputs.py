"""Damaged and hostile files, made by Hypothesis: grammars where a format has one, else real files with changes."""

import io
import json
import pickle
import struct
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).parent / "seeds"

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


def npy(payload: bytes, header: bytes = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }") -> bytes:
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) % 2**16) + header + payload


# Real files with changes.


@st.composite
def changed(draw, seeds: list[bytes]) -> bytes:
    """A real file with bytes changed, cut, put in, taken out or repeated."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(1, 16))
        way = draw(st.integers(0, 5))
        if way == 0:
            data[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif way == 1:
            data[place : place + 4] = draw(st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\x01"]))
        elif way == 2:
            del data[place : place + length]
        elif way == 3:
            data[place:place] = draw(st.binary(max_size=16))
        elif way == 4:
            data[place:place] = data[place : place + length] * draw(st.integers(1, 20))
        else:
            del data[place:]
    return bytes(data)


VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def with_changes(draw, value):
    """A copy of a value of dictionaries and lists in which a few things, anywhere, are something else."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        at = value
        for _ in range(draw(st.integers(0, 5))):
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = draw(st.sampled_from(keys)) if keys else None
            if key is None or not isinstance(at[key], dict | list):
                break
            at = at[key]
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            continue
        key, way = draw(st.sampled_from(keys)), draw(st.integers(0, 5))
        if way == 0:
            del at[key]
        elif way == 1 and isinstance(at, list):
            at.insert(key, at[key])
        else:
            at[key] = draw(VALUE)
    return value


def record(frames: int = 1, people: int = 1) -> dict:
    rng = np.random.default_rng(0)
    return {
        "bodies": {"candidate": rng.random((18 * people, 2)).tolist(), "score": rng.random((people, 18)).tolist()},
        "hands": rng.random((2 * people, 21, 2)).tolist(),
        "hands_score": rng.random((2 * people, 21)).tolist(),
        "faces": rng.random((people, 68, 2)).tolist(),
        "faces_score": rng.random((people, 68)).tolist(),
        "num": 0,
        "draw_pose_params": [768, 768, 0, 768, 0, 768],
    }


def as_arrays(value):
    """Lists of numbers as arrays, as the released files have them, where that is possible."""
    if isinstance(value, dict):
        return {key: as_arrays(item) for key, item in value.items()}
    try:
        return np.asarray(value) if isinstance(value, list) and len(value) != 6 else value
    except (ValueError, OverflowError):
        return value


FRAME = st.tuples(with_changes(record()), st.booleans(), st.sampled_from([2, 4, 5])).map(
    lambda at: npy(pickle.dumps(np.array(as_arrays(at[0]) if at[1] else at[0], dtype=object), protocol=at[2]))
)


def pose() -> dict:
    frame = record()
    tracks = {
        "hands": [frame["hands"]] * 2,
        "hand_scores": [frame["hands_score"]] * 2,
        "bodies": [frame["bodies"]["candidate"]] * 2,
        "body_scores": frame["bodies"]["score"] * 2,
    }
    header = {"format": "echomimicv2-pose", "version": 1, "width": 768, "height": 768, "region": None, "fps": 24.0}
    return header | tracks


JSON = st.one_of(
    with_changes(pose()).map(lambda value: json.dumps(value).encode()),
    changed([json.dumps(pose()).encode()]),
    st.integers(1, 100_000).map(lambda depth: b'{"x":' + b"[" * depth),
    st.binary(max_size=100),
)


def keypoints() -> list:
    person = {"pose_keypoints_2d": [100.0, 200.0, 0.9] * 18, "face_keypoints_2d": [50.0, 60.0, 0.9] * 70}
    person |= {f"hand_{side}_keypoints_2d": [300.0, 200.0, 0.9] * 21 for side in ("left", "right")}
    return [{"canvas_width": 512, "canvas_height": 768, "people": [person]}] * 2


KEYPOINTS = st.one_of(with_changes(keypoints()), VALUE).map(lambda value: json.dumps(value).encode())


def safetensors(header: object, content: bytes) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + content


TENSORS = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [24, 32]},
    "c": {"dtype": "BF16", "shape": [], "data_offsets": [32, 34]},
}
SAFETENSORS = st.one_of(
    with_changes(TENSORS).map(lambda header: safetensors(header, bytes(34))),
    changed([safetensors(TENSORS, bytes(34))]),
    st.binary(max_size=60),
)


@cache
def torch_entries() -> tuple[dict[str, bytes], bytes]:
    import torch

    file = io.BytesIO()
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16), "c": torch.tensor(1)}
    torch.save({"state_dict": tensors, "epoch": 3}, file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}, file.getvalue()


def zipped(entries: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


@st.composite
def torch_zip(draw) -> bytes:
    entries, whole_file = torch_entries()
    entries = dict(entries)
    data = next(name for name in entries if name.endswith("data.pkl"))
    way = draw(st.integers(0, 4))
    if way == 0:
        return draw(changed([whole_file]))
    if way == 1:
        entries[data] = draw(PICKLE)
    elif way == 2:
        entries[data] = draw(changed([entries[data]]))
    elif way == 3:
        name = draw(st.sampled_from(sorted(entries)))
        entries[name] = draw(st.binary(max_size=64))
    else:
        return zipped(entries, draw(st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])))
    return zipped(entries)


@cache
def tiny_model() -> tuple[dict, bytes]:
    """Header and content of a one-file model, as small as the shapes allow."""
    import tempfile

    from echomimic_core.config import ModelConfig
    from echomimic_core.models.build import write_tiny_model

    small = ModelConfig((8, 8, 8, 8), (4, 4, 4, 4), layers_per_block=1, attention_heads=2, norm_num_groups=4)
    with tempfile.TemporaryDirectory() as folder:
        raw = write_tiny_model(Path(folder) / "m.safetensors", config=small).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


@st.composite
def one_file(draw) -> bytes:
    header, content = tiny_model()
    header = dict(header)
    metadata = dict(header["__metadata__"])
    way = draw(st.integers(0, 3))
    if way == 0:
        sizes = draw(with_changes(json.loads(metadata["config"])))
        metadata["config"] = json.dumps(sizes)
    elif way == 1:
        metadata |= draw(st.dictionaries(st.sampled_from(sorted(metadata)), TEXT, max_size=3))
    elif way == 2:
        metadata = draw(with_changes(metadata))
    else:
        name = draw(st.sampled_from(sorted(set(header) - {"__metadata__"})))
        header[name] = draw(with_changes(header[name]))
    return safetensors(header | {"__metadata__": metadata}, content)


def whisper_header(width: int = 384) -> dict:
    shapes = {"encoder.conv1.weight": [width, 80, 3], "encoder.conv1.bias": [width], "encoder.conv2.weight": [1, 1, 1]}
    shapes |= {f"encoder.blocks.{block}.mlp.0.bias": [8] for block in range(4)}
    shapes["encoder.positional_embedding"] = [15, width]
    header, total = {}, 0
    for name, shape in shapes.items():
        end = total + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [total, end]}
        total = end
    return header


WHISPER = st.one_of(
    with_changes(whisper_header()).map(lambda header: safetensors(header, bytes(4 * 384 * 260))),
    st.sampled_from([1, 8, 384]).map(lambda width: safetensors(whisper_header(width), bytes(4 * 384 * 260))),
)


SHAPE = st.lists(st.sampled_from([0, 1, 2, 3, 4, 8, 65]), max_size=5).filter(lambda sides: np.prod(sides) < 10_000)
ARRAY = st.tuples(
    SHAPE,
    st.sampled_from(["float32", "float64", "float16", "uint8", "int64", "bool", "complex64"]),
    st.sampled_from([0, 1, 0.5, -3, float("nan"), float("inf"), 1e30]),
)
WIRED = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        NUMBER,
        TEXT,
        st.sampled_from(["16000", "2.0", "true", "auto", "1e5", "0x10", "1_000", "NaN", " 7 ", "9" * 5000]),
        st.fixed_dictionaries({"torch": ARRAY.filter(lambda at: "u1" not in at)}),
        st.fixed_dictionaries({"numpy": ARRAY}),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["waveform", "sample_rate", "samples", "fps", "x"]), inner, max_size=4)
    ),
    max_leaves=5,
)
MAKERS = ["number", "whole", "switch", "text", "choice", "image", "mask", "audio", "latent"]
VALUES = st.fixed_dictionaries({"maker": st.sampled_from(MAKERS), "value": WIRED}).map(
    lambda value: json.dumps(value).encode()
)


def seeds(*suffixes: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(SEEDS.iterdir()) if path.suffix in suffixes]


NPY = st.one_of(
    changed([npy(pickle.dumps(np.array(as_arrays(record()), dtype=object), protocol=4))]),
    st.tuples(
        st.sampled_from(KINDS), st.sampled_from(["()", "(1,)", "(0,)", "(9999999999,)", "(-1,)", "(" * 99]), st.binary()
    ).map(lambda at: npy(at[2], f"{{'descr': '{at[0]}', 'fortran_order': False, 'shape': {at[1]}, }}".encode())),
    st.binary(max_size=200).map(lambda header: npy(b"", header)),
)

INPUTS: dict[str, st.SearchStrategy[bytes]] = {
    "pickle": PICKLE.map(npy),
    "frame": FRAME,
    "npy": NPY,
    "json": JSON,
    "pose_safetensors": st.deferred(lambda: changed(seeds(".safetensors")) | SAFETENSORS),
    "torch_zip": torch_zip(),
    "safetensors": SAFETENSORS,
    "one_file": one_file(),
    "whisper": WHISPER,
    "video": st.deferred(lambda: changed(seeds(".mp4", ".mkv", ".webm"))),
    "sound": st.deferred(lambda: changed(seeds(".flac", ".wav", ".ogg", ".m4a"))),
    "picture": st.deferred(lambda: changed(seeds(".png", ".jpg", ".webp"))),
    "keypoints": KEYPOINTS,
}
if (ROOT / "bridge" / "values.py").is_file():
    INPUTS["value"] = VALUES
