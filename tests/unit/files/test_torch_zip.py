"""Torch's zip form is read as torch reads it, and what is no file of weights is a sentence that names it."""

import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from echomimic_core.files.places import DTYPES
from echomimic_core.files.tensor_file import CheckpointError, TensorFile


def read(path) -> dict[str, torch.Tensor]:
    return TensorFile(path).state_dict()


def random_bytes(*shape) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_every_dtype_is_read_bit_for_bit(tmp_path, dtype):
    kind = DTYPES[dtype]
    raw = random_bytes(6, 8 * kind.itemsize)
    values = raw.view(kind) if kind != torch.bool else raw > 99
    torch.save({"w": values}, tmp_path / "x.pth")
    found = read(tmp_path / "x.pth")["w"]
    assert found.dtype == kind and torch.equal(found.view(torch.uint8), values.view(torch.uint8))


def test_views_parameters_and_shared_storages_are_read_as_torch_reads_them(tmp_path):
    base = torch.arange(60.0).reshape(6, 10)
    tensors = {
        "whole": base,
        "turned": base.t(),
        "part": base[2:5, 3:7],
        "every_second": base.reshape(-1)[1::2],
        "parameter": torch.nn.Parameter(base[1]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 7),
    }
    torch.save(OrderedDict(tensors), tmp_path / "x.pth")
    expected = torch.load(tmp_path / "x.pth", weights_only=True)
    found = read(tmp_path / "x.pth")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("protocol", (2, 3, 4, 5))
def test_every_pickle_protocol_is_read(tmp_path, protocol):
    torch.save({"state_dict": {"a": torch.ones(3)}, "epoch": 7}, tmp_path / "x.pth", pickle_protocol=protocol)
    assert torch.equal(read(tmp_path / "x.pth")["a"], torch.ones(3))


def test_a_module_with_its_metadata_is_read(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save(module.state_dict(), tmp_path / "x.pth")
    for name, tensor in module.state_dict().items():
        assert torch.equal(read(tmp_path / "x.pth")[name], tensor)


def rewritten(path, change, compression=zipfile.ZIP_STORED) -> None:
    """The zip written anew by Python, with `change` made to its entries (name -> bytes)."""
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)


def test_the_other_order_of_bytes_is_turned(tmp_path):
    torch.save({"w": torch.arange(5.0)}, tmp_path / "x.pth")

    def swap(entries):
        entries["x/data/0"] = np.arange(5, dtype=np.float32).byteswap().tobytes()
        entries["x/byteorder"] = b"big" if sys.byteorder == "little" else b"little"

    rewritten(tmp_path / "x.pth", swap)
    assert read(tmp_path / "x.pth")["w"].tolist() == [0, 1, 2, 3, 4]


def test_a_zip_of_more_than_32_bits_is_read(tmp_path):
    torch.save({"w": torch.arange(5.0)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as file:
        for name, content in entries.items():
            with file.open(name, "w", force_zip64=True) as entry:
                entry.write(content)
    assert read(tmp_path / "x.pth")["w"].tolist() == [0, 1, 2, 3, 4]


def test_compressed_tar_and_plain_pickle_forms_are_refused(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"w": torch.zeros(100)}, path)
    rewritten(path, lambda entries: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="x.pth cannot be read"):
        TensorFile(path)
    torch.save({"w": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="from before torch 1.6.*Save it again"):
        TensorFile(path)
    path.write_bytes(b"a".ljust(257, b"\0") + b"ustar\x0000" + bytes(900))
    with pytest.raises(CheckpointError, match="from before torch 1.6"):
        TensorFile(path)


def pickled(tmp_path, payload: bytes):
    path = tmp_path / "x.pth"
    torch.save({"w": torch.zeros(4)}, path)
    rewritten(path, lambda entries: entries.update({"x/data.pkl": payload}))
    return path


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def tensor_pickle(offset=0, size=(4,), stride=(1,), storage=STORAGE) -> bytes:
    numbers = [b"\x8a\x09" + struct.pack("<q", n) + b"\0" for n in (offset, *size, *stride)]
    sides, steps = numbers[1 : 1 + len(size)], numbers[1 + len(size) :]
    parts = b"(" + storage + numbers[0] + b"(" + b"".join(sides) + b"t(" + b"".join(steps) + b"t\x89}t"
    return b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n" + parts + b"Rs."


def test_the_crafted_tensor_of_these_tests_is_read(tmp_path):
    assert torch.equal(read(pickled(tmp_path, tensor_pickle()))["w"], torch.zeros(4))


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 1},
        {"offset": -1},
        {"size": (5,)},
        {"size": (-4,)},
        {"size": (2, 2)},
        {"stride": (2,)},
        {"stride": (-1,)},
        {"size": (2**40,), "stride": (0,)},
        {"size": (2**61, 2**61), "stride": (0, 0)},
        {"size": (4,) * 20, "stride": (0,) * 20},
        {"storage": STORAGE.replace(b"K\x04", b"K\x05")},
        {"storage": STORAGE.replace(b"\x000X", b"\x009X")},
        {"storage": STORAGE.replace(b"FloatStorage", b"DoubleStorage")},
        {"storage": b"N"},
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path, change):
    with pytest.raises(CheckpointError, match="x.pth cannot be read.*Download it again"):
        TensorFile(pickled(tmp_path, tensor_pickle(**change)))


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps({"w": print}),
        pickle.dumps({"w": io.BytesIO}),
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02}X\x01\x00\x00\x00wctorch\nSize\nb.",
    ],
)
def test_what_might_run_code_is_not_opened(tmp_path, payload):
    with pytest.raises(CheckpointError, match="might run code.*Use the official file"):
        TensorFile(pickled(tmp_path, payload))


def test_a_file_cut_anywhere_is_a_sentence(tmp_path):
    torch.save({f"w{index}": torch.zeros(30) for index in range(3)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for end in range(0, len(whole) - 1, 37):
        (tmp_path / "x.pth").write_bytes(whole[:end])
        with pytest.raises(CheckpointError, match="x.pth"):
            TensorFile(tmp_path / "x.pth")


@pytest.mark.parametrize("ending", (".pth", ".safetensors"))
def test_no_handle_stays_on_a_file_that_was_loaded(tmp_path, ending):
    from safetensors.torch import save_file

    path = tmp_path / f"x{ending}"
    save = torch.save if ending == ".pth" else save_file
    save({"w": torch.ones(4000)}, path)
    file = TensorFile(path)
    kept = file.tensor("w").clone()
    if sys.platform == "linux":
        with open("/proc/self/maps") as maps:
            assert str(path) not in maps.read()
    save({"w": torch.zeros(4000)}, path)
    assert torch.equal(kept, torch.ones(4000))


def safetensors(header: bytes, content: bytes = bytes(16)) -> bytes:
    return struct.pack("<Q", len(header)) + header + content


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 8,
        safetensors(b"[" * 100_000),
        safetensors(b"[]"),
        safetensors(b'{"w":3}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16,16]}}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[4,20]}}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[-2,-2],"data_offsets":[0,16]}}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}'),
        safetensors(b'{"w":{"dtype":["F32"],"shape":[4],"data_offsets":[0,16]}}'),
        safetensors(b'{"w":{"dtype":"F3","shape":[4],"data_offsets":[0,16]}}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[0,9999999999999999999],"data_offsets":[0,0]}}'),
        safetensors(b'{"__metadata__":{"a":1}}'),
        safetensors(b'{"__metadata__":[1]}'),
        safetensors(b"\xff\xfe"),
    ],
)
def test_a_hostile_safetensors_header_is_a_sentence(tmp_path, data):
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="x.safetensors cannot be read"):
        TensorFile(tmp_path / "x.safetensors")
