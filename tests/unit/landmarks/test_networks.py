"""The six shipped networks: what they weigh, what they give, and that they are what MediaPipe published."""

import numpy as np
import pytest
import torch

from echomimic_core.landmarks import NETWORKS, load_networks
from echomimic_core.landmarks.detections import ANCHORS
from echomimic_core.landmarks.graph import load_graph
from echomimic_core.landmarks.networks import WEIGHTS

# Inputs a side, and the values of each result for one picture.
SHAPES = {
    "palm": (192, [(2016, 18), (2016, 1)]),
    "hand": (224, [(63,), (1,), (1,), (63,)]),
    "body_detector": (224, [(2254, 12), (2254, 1)]),
    "body": (256, [(195,), (1,), (1, 256, 256), (39, 64, 64), (117,)]),
    "face_detector": (128, [(896, 16), (896, 1)]),
    "face": (192, [(1404, 1, 1), (1, 1, 1)]),
}


@pytest.fixture(scope="module")
def networks():
    return load_networks()


def noise(size: int, batch: int = 1) -> torch.Tensor:
    return torch.rand((batch, 3, size, size), generator=torch.Generator().manual_seed(0))


def test_weights_with_licence_and_source_fit_in_twenty_megabytes():
    assert {path.name for path in WEIGHTS.iterdir()} == {f"{name}.safetensors" for name in NETWORKS} | {
        "LICENSE",
        "README.md",
    }
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 20e6
    assert "Apache License" in (WEIGHTS / "LICENSE").read_text()


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_gives_its_published_shapes(networks, name):
    size, shapes = SHAPES[name]
    graph = networks[name]
    with torch.inference_mode():
        results = graph(noise(size, 2))
    assert graph.size == size
    assert [tuple(result.shape[1:]) for result in results] == shapes


@pytest.mark.parametrize("name", NETWORKS)
def test_a_picture_in_a_batch_gives_what_it_gives_alone(networks, name):
    graph = networks[name]
    pictures = noise(graph.size, 2)
    with torch.inference_mode():
        together, alone = graph(pictures), graph(pictures[1:])
    for both, one in zip(together, alone, strict=True):
        assert torch.allclose(both[1:], one, rtol=1e-4, atol=1e-3 * float(one.abs().max()))


@pytest.mark.parametrize("name", ANCHORS)
def test_each_detector_has_one_anchor_for_each_of_its_boxes(name):
    middles = ANCHORS[name].middles()
    assert middles.shape == (SHAPES[name][1][0][0], 2)
    assert middles.min() > 0 and middles.max() < 1


def test_gradients_reach_the_pictures_through_every_network(networks):
    for graph in networks.values():
        pictures = noise(graph.size).requires_grad_()
        sum(result.float().square().mean() for result in graph(pictures)).backward()
        assert float(pictures.grad.abs().max()) > 0


def test_layers_come_from_the_given_operations():
    class Counting:
        made = []

        @classmethod
        def Conv2d(cls, *args, **options):
            cls.made.append("conv")
            return torch.nn.Conv2d(*args, **options)

        @classmethod
        def Linear(cls, *args, **options):
            cls.made.append("linear")
            return torch.nn.Linear(*args, **options)

    graph = load_graph(WEIGHTS / "hand.safetensors", Counting)
    layers = [step[0] for step in graph.steps if step[0] in ("conv", "linear")]
    assert Counting.made == layers and "linear" in layers


def test_another_weights_file_is_refused_by_name(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="other.safetensors is not a converted landmark network"):
        load_graph(tmp_path / "other.safetensors")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree_with_the_runtime_they_were_published_for(networks, samples, name):
    """The graph of a bundle run by LiteRT and by torch, where `ai-edge-litert` is installed."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs the package ai-edge-litert")
    import zipfile

    inside = {
        "palm": ("hand", "hand_detector"),
        "hand": ("hand", "hand_landmarks_detector"),
        "body_detector": ("pose", "pose_detector"),
        "body": ("pose", "pose_landmarks_detector"),
    }
    if name not in inside:
        pytest.skip("no bundle of it beside this checkout")
    bundle, file = inside[name]
    with zipfile.ZipFile(samples.parent / "models" / f"{bundle}_landmarker.task") as archive:
        content = archive.read(f"{file}.tflite")
    published = interpreter.Interpreter(model_content=content)
    published.allocate_tensors()
    details = published.get_input_details()[0]
    pictures = noise(networks[name].size)
    published.set_tensor(details["index"], pictures.permute(0, 2, 3, 1).contiguous().numpy())
    published.invoke()
    theirs = [published.get_tensor(output["index"]) for output in published.get_output_details()]
    with torch.inference_mode():
        for result in networks[name](pictures):
            ours = (result.permute(0, 2, 3, 1) if result.ndim == 4 else result).numpy().reshape(-1)
            gaps = [np.abs(other.reshape(-1) - ours).max() for other in theirs if other.size == ours.size]
            assert min(gaps) <= 2e-5 * max(float(np.abs(ours).max()), 1.0)


def test_networks_work_after_a_memory_manager_marked_them_with_a_device(networks):
    from echomimic_core.landmarks import find_hands

    networks.device = torch.device("cpu")
    try:
        assert find_hands(np.zeros((1, 32, 32, 3), np.uint8), networks) == [[]]
    finally:
        del networks.device
