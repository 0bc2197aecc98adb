"""Networks as .onnx files: the numbers of the module they were exported from, checked by shape, and sentences else."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from echomimic_core.networks import dwpose, local, yolox
from echomimic_core.networks.iresnet import IResNet
from echomimic_core.networks.onnx_file import NEEDS, OnnxNetwork, operators
from echomimic_core.networks.what import what


def export(module: nn.Module, path: Path, shape: tuple[int, ...], dynamic: bool = True) -> Path:
    """An .onnx file of a module; skips where onnx, which torch writes it with, is not installed."""
    pytest.importorskip("onnx")
    axes = {"input": {0: "n"}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), torch.zeros(shape), str(path), input_names=["input"], dynamic_axes=axes, dynamo=False
        )
    return path


class Scaled(nn.Module):
    """A network whose graph scales pictures of 0..255 itself, as those converted from MXNet."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner((x - 127.5) * 0.0078125)


class Points(nn.Module):
    """A DWPose of two outputs by a matrix product of the rows and columns."""

    def forward(self, x):
        across, down = x.mean((1, 2)), x.mean((1, 3))
        across, down = across.repeat_interleave(2, 1), down.repeat_interleave(2, 1)
        return across[:, None].repeat(1, 133, 1), down[:, None].repeat(1, 133, 1)


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> tuple[IResNet, Path]:
    """A seeded ArcFace of one block per stage, and its file under insightface's name."""
    torch.manual_seed(0)
    network = IResNet((1, 1, 1, 1)).eval()
    return network, export(network, tmp_path_factory.mktemp("onnx") / "w600k_r50.onnx", (1, 3, 112, 112))


def test_arcface_of_insightface_gives_the_numbers_of_the_module(faces):
    pytest.importorskip("onnxruntime")
    network, path = faces
    assert local.find("arcface", [path.parent]) == path
    loaded, scripted = local.load("arcface", path)
    pictures = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(loaded(pictures), network(pictures), rtol=1e-4, atol=1e-4)
    assert not scripted and not loaded.scales


def test_a_graph_that_scales_itself_is_fed_bytes(faces, tmp_path):
    pytest.importorskip("onnxruntime")
    network, _ = faces
    path = export(Scaled(network), tmp_path / "glintr100.onnx", (1, 3, 112, 112))
    loaded = OnnxNetwork("arcface", path)
    pictures = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        expected = network(((pictures + 1) * 127.5 - 127.5) * 0.0078125)
        torch.testing.assert_close(loaded(pictures), expected, rtol=1e-4, atol=1e-4)
    assert loaded.scales


def test_dwpose_of_one_picture_per_run_gives_the_hands_of_the_module(tmp_path):
    pytest.importorskip("onnxruntime")
    path = export(Points(), tmp_path / "dw-ll_ucoco_384.onnx", (1, 3, 384, 288), dynamic=False)
    loaded, _ = local.load("dwpose", path)
    pictures = [np.random.default_rng(seed).integers(0, 255, (96, 64, 3)).astype(np.uint8) for seed in range(3)]
    for boxes in (None, [(5.0, 6.0, 50.0, 90.0), None, (0.0, 0.0, 64.0, 96.0)]):
        for mine, theirs in zip(
            dwpose.hands(loaded, pictures, boxes=boxes), dwpose.hands(Points(), pictures, boxes=boxes), strict=True
        ):
            np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_another_shape_is_a_sentence_with_both_shapes(tmp_path):
    pytest.importorskip("onnxruntime")
    path = export(nn.Conv2d(3, 4, 3), tmp_path / "w600k_r50.onnx", (1, 3, 64, 64))
    with pytest.raises(
        ValueError, match=r"1 inputs of shape \(n, 3, 64, 64\).*instead of one input \(n, 3, 112, 112\)"
    ):
        local.load("arcface", path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="onnxruntime cannot read it"):
        local.load("arcface", path)
    with pytest.raises(ValueError, match="those are only read for arcface, dwpose, yolox. Get it from") as caught:
        local.load("inception", path)
    assert str(caught.value).count("it is") == 1


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def test_operators_are_read_from_the_file_alone(tmp_path):
    # A model: its version, its producer, and a graph of two nodes with names, inputs and outputs.
    nodes = [
        field(1, field(1, b"x") + field(2, b"y") + field(3, b"a node") + field(4, name)) for name in (b"Sub", b"Conv")
    ]
    model = bytes([1 << 3, 8]) + field(2, b"torch") + field(7, b"".join(nodes) + field(2, b"graph"))
    (tmp_path / "model.onnx").write_bytes(model)
    assert operators(tmp_path / "model.onnx") == ["Sub", "Conv"]
    for content in (b"", b"nonsense", b"\x3a\xff\xff\xff\xff\x0f", bytes(range(256))):
        (tmp_path / "other").write_bytes(content)
        assert operators(tmp_path / "other") == []


def test_without_onnxruntime_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    local.load.cache_clear()
    with pytest.raises(ValueError, match=f"{NEEDS}$"):
        local.load("arcface", tmp_path / "w600k_r50.onnx")


class Sees(nn.Module):
    """A YOLOX that is sure of one cell."""

    def forward(self, x):
        found = torch.zeros(1, 8400, 85)
        # Cell (column 40, row 20) of the finest grid: middle at (324, 164) pixels of the canvas, 80 x 160 large.
        found[0, 20 * 80 + 40] = torch.tensor([0.5, 0.5, np.log(10.0), np.log(20.0), 0.9, 0.9, *[0.0] * 79])
        return found


def test_the_box_of_a_person_is_in_pixels_of_the_picture():
    picture = np.zeros((320, 320, 3), np.uint8)
    np.testing.assert_allclose(yolox.person_box(Sees(), picture), (142, 42, 182, 122), atol=0.01)
    assert yolox.person_box(lambda x: torch.zeros(1, 8400, 85), picture) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS"),
        (b"  <!DOCTYPE html><html>", "web page"),
        (b"BZh91AY&SY", "bzip2"),
    ],
)
def test_a_file_that_is_no_network_is_said_to_be_what_it_is(tmp_path, content, said):
    path = tmp_path / "backbone.pth"
    path.write_bytes(content)
    assert said in what(path)
    with pytest.raises(ValueError, match=said):
        local.load("arcface", path)


def test_weights_of_another_network_are_named(tmp_path):
    from echomimic_core.networks.syncnet import SyncNet

    torch.save(SyncNet().state_dict(), tmp_path / "backbone.pth")
    with pytest.raises(ValueError, match="ArcFace network: it is weights of SyncNet. Get it from"):
        local.load("arcface", tmp_path / "backbone.pth")


def test_damaged_weights_of_the_right_network_are_not_called_another_ones(tmp_path):
    torch.save({"netcnnlip.0.weight": torch.zeros(1)}, tmp_path / "syncnet_v2.model")
    with pytest.raises(ValueError, match="cannot be used as SyncNet: it lacks") as caught:
        local.load("syncnet", tmp_path / "syncnet_v2.model")
    assert "it is weights" not in str(caught.value)


def test_a_wrong_extension_is_said_with_the_right_one(tmp_path):
    model = field(7, field(1, field(4, b"Conv")))
    (tmp_path / "backbone.pth").write_bytes(model)
    with pytest.raises(ValueError, match="it is an ONNX file: name it .onnx. Get it from"):
        local.load("arcface", tmp_path / "backbone.pth")


def test_half_precision_torchscript_runs_on_the_processor(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    pictures = torch.rand(1, 3, 16, 16)
    expected = module.half().float()(pictures)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module.half()).save(str(tmp_path / "arcface.pt"))
    loaded, scripted = local.load("arcface", tmp_path / "arcface.pt")
    torch.testing.assert_close(loaded(pictures), expected)
    assert scripted


def test_dlibs_network_is_found_in_its_package_without_running_it(tmp_path, monkeypatch):
    package = tmp_path / "face_recognition_models"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('this package must not run')")
    (package / "models" / "dlib_face_recognition_resnet_model_v1.dat").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert local.find("dlib", []) == package / "models" / "dlib_face_recognition_resnet_model_v1.dat"
