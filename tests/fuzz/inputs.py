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

from tests.fuzz.pickles import KINDS, NUMBER, PICKLE, TEXT

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).parent / "seeds"


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


def pose_zip() -> bytes:
    """A zipped pose folder, half of it packed."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for frame in range(3):
            array = io.BytesIO()
            record = {"hands": np.full((2, 21, 2), 0.5), "hands_score": np.ones((2, 21))}
            np.save(array, record, allow_pickle=True)
            file.writestr(f"clip/{frame}.npy", array.getvalue(), [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED][frame % 2])
    return made.getvalue()


POSE_ZIP = changed([pose_zip()])

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
    "pose_zip": POSE_ZIP,
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
