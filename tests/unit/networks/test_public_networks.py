"""Feature networks: the public architectures under their public names, and files that are missing or wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from echomimic_core.networks import deep3d, dwpose, i3d, inception, iresnet, local, lpips, syncnet
from tests.unit.evaluation_clips import Pooled


def seeded(module: torch.nn.Module) -> torch.nn.Module:
    """Random weights, with batch norms that do something."""
    generator = torch.Generator().manual_seed(0)
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if "running_var" in name:
            value.data = torch.rand(value.shape, generator=generator) + 0.5
        elif value.is_floating_point():
            value.data = torch.randn(value.shape, generator=generator) * 0.05
    return module.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def forget_networks():
    local.load.cache_clear()
    yield
    local.load.cache_clear()


def test_inception_is_torchvisions_with_the_pooling_of_fid(monkeypatch):
    theirs_module = pytest.importorskip("torchvision.models.inception")
    theirs = seeded(theirs_module.Inception3(num_classes=1008, aux_logits=False, init_weights=False))
    state = theirs.state_dict()
    mine = local._inception(state)

    class Pooling:
        def __getattr__(self, name):
            return getattr(torch.nn.functional, name)

        def avg_pool2d(self, x, kernel_size, stride, padding):
            if x.shape[1] == 2048:
                return torch.nn.functional.max_pool2d(x, kernel_size, stride, padding)
            return torch.nn.functional.avg_pool2d(x, kernel_size, stride, padding, count_include_pad=False)

    monkeypatch.setattr(theirs_module, "F", Pooling())
    theirs.fc = theirs.dropout = torch.nn.Identity()
    x = torch.rand(2, 3, 299, 299)
    torch.testing.assert_close(mine(x), theirs(x * 2 - 1), rtol=1e-5, atol=1e-6)
    assert mine(torch.rand(1, 3, 90, 120)).shape == (1, inception.FEATURES)


def test_i3d_has_the_public_size_names_and_output():
    network = i3d.I3D().eval()
    assert sum(p.numel() for p in network.parameters()) == 12_697_264
    names = network.state_dict()
    assert {"Conv3d_1a_7x7.conv3d.weight", "Mixed_4f.b2b.bn.running_var", "logits.conv3d.bias"} <= set(names)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 16, 224, 224)).shape == (1, i3d.LOGITS)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"), [(7, 3, 2, 1, 1), (8, 3, 2, 0, 1), (5, 7, 1, 3, 3)]
)
def test_same_padding_equals_tensorflows(size, kernel, stride, before, after):
    padded = i3d.pad_same(torch.ones(1, 1, size, size, size), (kernel,) * 3, (stride,) * 3)
    line = padded[0, 0, :, before, before]
    assert line.tolist() == [0] * before + [1] * size + [0] * after


def test_syncnet_has_the_public_names_and_sizes():
    network = syncnet.SyncNet().eval()
    names = network.state_dict()
    assert names["netcnnaud.0.weight"].shape == (64, 1, 3, 3)
    assert names["netcnnlip.18.weight"].shape == (512, 256, 1, 6, 6)
    assert names["netfclip.3.weight"].shape == (1024, 512)
    with torch.inference_mode():
        assert network.forward_lip(torch.zeros(2, 3, 5, 224, 224)).shape == (2, 1024)
        assert network.forward_aud(torch.zeros(2, 1, 13, 20)).shape == (2, 1024)


@pytest.mark.parametrize("depths", [(2, 2, 2, 2), (3, 4, 14, 3)])
def test_arcface_reads_its_depth_from_the_weights(depths):
    state = seeded(iresnet.IResNet(depths)).state_dict()
    assert iresnet.depths_of(state) == depths
    network = local._arcface(state)
    assert network(torch.zeros(1, 3, 112, 112)).shape == (1, 512)


def test_arcface_has_the_public_names_and_sizes():
    names = iresnet.IResNet((3, 4, 14, 3)).state_dict()
    assert names["layer1.0.downsample.0.weight"].shape == (64, 64, 1, 1)
    assert names["layer3.13.prelu.weight"].shape == (256,)
    assert names["fc.weight"].shape == (512, 512 * 7 * 7) and names["features.running_mean"].shape == (512,)


def test_deep3d_gives_all_coefficients_under_the_public_names():
    network = seeded(deep3d.Deep3D())
    names = network.state_dict()
    assert names["backbone.layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert names["final_layers.1.weight"].shape == (64, 2048, 1, 1)
    assert network(torch.rand(1, 3, 224, 224)).shape == (1, 257)


def test_lpips_is_that_of_torchmetrics():
    module = pytest.importorskip("torchmetrics.functional.image.lpips")
    torch.manual_seed(0)
    theirs = module._LPIPS(pretrained=True, net="alex", pnet_rand=True).eval()
    mine = local._lpips(theirs.state_dict())
    a, b = torch.rand(2, 2, 3, 80, 96) * 2 - 1
    torch.testing.assert_close(mine(a, b), theirs(a, b).flatten(), rtol=1e-4, atol=1e-6)
    assert mine(a, a).abs().max() == 0


def test_lpips_takes_backbone_and_heads_from_two_files(tmp_path):
    network = lpips.LPIPS()
    torch.save(
        {k: v for k, v in network.state_dict().items() if "features" in k}, tmp_path / "alexnet-owt-7be5be79.pth"
    )
    heads = {f"lin{i}.model.1.weight": head.weight.abs() for i, head in enumerate(network.heads)}
    torch.save(heads, tmp_path / "alex.pth")
    loaded, scripted = local.load("lpips", local.find("lpips", [tmp_path]))
    assert not scripted
    torch.testing.assert_close(loaded.heads[3].weight, network.heads[3].weight.abs())


class FakeDWPose(torch.nn.Module):
    """Says that every hand point lies at the brightest pixel's column and row, surely."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bright = x.sum(1)
        across = bright.amax(1).repeat_interleave(2, 1)[:, None].expand(-1, 133, -1)
        down = bright.amax(2).repeat_interleave(2, 1)[:, None].expand(-1, 133, -1)
        return across, down


def test_dwpose_points_come_back_to_the_picture():
    pictures = []
    for x, y in ((100, 300), (400, 50)):
        picture = np.zeros((480, 640, 3), np.uint8)
        picture[y - 6 : y + 7, x - 6 : x + 7] = 255
        pictures.append(picture)
    points, scores = dwpose.hands(FakeDWPose(), pictures)
    assert points.shape == (2, 2, 21, 2) and scores.shape == (2, 2, 21)
    np.testing.assert_allclose(points[0], np.broadcast_to((100, 300), (2, 21, 2)), atol=9)
    np.testing.assert_allclose(points[1], np.broadcast_to((400, 50), (2, 21, 2)), atol=9)


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_weights_are_read_from_any_public_wrapping(tmp_path, ending):
    network = seeded(syncnet.SyncNet())
    path = tmp_path / f"syncnet_v2{ending}"
    if ending == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, path)
    loaded, scripted = local.load("syncnet", path)
    x = torch.rand(1, 1, 13, 20)
    assert not scripted
    torch.testing.assert_close(loaded.forward_aud(x), network.forward_aud(x))


def test_torchscript_is_recognised(tmp_path):
    path = tmp_path / "inception-2015-12-05.pt"
    torch.jit.script(Pooled()).save(str(path))
    network, scripted = local.load("inception", path)
    assert scripted and network(torch.rand(2, 3, 8, 8)).shape == (2, 8)


class Malicious:
    def __reduce__(self):
        return (os.mkdir, ("pwned",))


def test_a_file_with_code_in_it_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Malicious()}, tmp_path / "syncnet_v2.model")
    with pytest.raises(ValueError, match=r"syncnet_v2\.model cannot be used as SyncNet"):
        local.load("syncnet", tmp_path / "syncnet_v2.model")
    assert not Path("pwned").exists()


def test_a_foreign_file_is_a_sentence_with_the_link(tmp_path):
    path = tmp_path / "epoch_20.pth"
    torch.save({"some.weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"lacks \d+ of \d+ weights.*Deep3DFaceRecon_pytorch"):
        local.load("deep3d", path)


def test_weights_of_another_shape_are_a_sentence(tmp_path):
    state = syncnet.SyncNet().state_dict()
    state["netfcaud.3.bias"] = torch.zeros(7)
    save_file(state, tmp_path / "syncnet_v2.safetensors")
    with pytest.raises(ValueError, match=r"'netfcaud.3.bias' has the shape \(7,\) instead of \(1024,\)"):
        local.load("syncnet", tmp_path / "syncnet_v2.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a network at all", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("name", ["rgb_imagenet.pt", "rgb_imagenet.safetensors"])
def test_a_damaged_file_is_a_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="cannot be used as the I3D network"):
        local.load("i3d", tmp_path / name)


def test_networks_are_found_in_the_folders_in_order(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "syncnet_v2.model").touch()
    assert local.find("syncnet", [tmp_path / "a", tmp_path / "b"]) == tmp_path / "b" / "syncnet_v2.model"
    assert local.find("arcface", [tmp_path / "a", tmp_path / "b"]) is None


def test_a_chosen_file_must_exist(tmp_path):
    with pytest.raises(ValueError, match="there is no file .*nowhere.pt for SyncNet"):
        local.find("syncnet", [], {"syncnet": tmp_path / "nowhere.pt"})


@pytest.mark.parametrize("key", list(local.NETWORKS))
def test_a_missing_network_is_told_with_file_folder_and_link(key):
    sentence = local.missing(key, [Path("models/echomimic/metrics")])
    network = local.NETWORKS[key]
    assert network.files[0] in sentence and "http" in sentence and str(Path("models/echomimic/metrics")) in sentence


def test_a_file_of_the_old_form_needs_a_torch_that_reads_it_safely(tmp_path, monkeypatch):
    path = tmp_path / "syncnet_v2.model"
    torch.save(seeded(syncnet.SyncNet()).state_dict(), path, _use_new_zipfile_serialization=False)
    assert not local.load("syncnet", path)[1]
    local.load.cache_clear()
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(ValueError, match=r"only torch 2\.10 and newer read safely, and this is torch 2\.9\.1"):
        local.load("syncnet", path)


def test_tensorflows_resize_starts_at_the_corner_of_the_first_pixel():
    from echomimic_core.networks.inception import SIZE, as_tensorflow_does, as_torch_does

    pictures = torch.randint(0, 256, (1, 3, 2 * SIZE, 2 * SIZE)).float() / 255
    expected = (pictures[..., ::2, ::2] * 255 - 128) / 128
    assert torch.allclose(as_tensorflow_does(pictures), expected, atol=1e-5)
    middles = F.avg_pool2d(pictures, 2) * 2 - 1
    assert torch.allclose(as_torch_does(pictures), middles, atol=1e-5)
    # Beyond the last pixel there is none to lie between.
    assert torch.allclose(as_tensorflow_does(torch.ones(1, 3, 7, 9)), torch.tensor(127 / 128))
