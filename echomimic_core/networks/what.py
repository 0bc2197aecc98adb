"""What a file is that cannot be used as a network, as a sentence that helps to find the right one."""

import zipfile
from pathlib import Path

from ..files.about import OTHER, about
from ..files.tensor_file import CheckpointError, TensorFile
from .onnx_file import operators

# How files begin that are taken for weights, with what they are.
BEGINNINGS = {
    b"version https://git-lfs": "a pointer of Git LFS: download the file that it stands for",
    b"<!doctype html": "a web page: download the file itself, not the page that shows it",
    b"<html": "a web page: download the file itself, not the page that shows it",
    b"bz": "compressed by bzip2: unpack it",
    b"\x1f\x8b": "compressed by gzip: unpack it",
    b"\x93numpy": "a NumPy array",
    b"\x89png": "a picture",
}
# A weight that only this network has: the network by its key of `local.NETWORKS` and in words.
WEIGHTS = {
    "Mixed_7c.branch_pool.conv.weight": ("inception", "Inception v3"),
    "Mixed_5c.b0.conv3d.weight": ("i3d", "I3D"),
    "netcnnlip.0.weight": ("syncnet", "SyncNet"),
    "features.10.weight": ("lpips", "AlexNet"),
    "lin0.model.1.weight": ("", "the heads of LPIPS, which belong next to the AlexNet"),
    "layer1.0.prelu.weight": ("arcface", "a ResNet of ArcFace"),
    "net_recon.final_layers.0.weight": ("deep3d", "Deep3DFaceRecon"),
}
ONNX = ".onnx"


def what(path: Path, wanted: str = "") -> str:
    """What a file is that cannot be used, as the end of the sentence "it is …".

    Empty if it cannot be said, and for what the wanted network could be: its own weights, which then are damaged.

    Parameters
    ----------
    wanted : key of the network that the file was taken for.
    """
    path = Path(path)
    if not path.stat().st_size:
        return "empty: download it again"
    with open(path, "rb") as file:
        beginning = file.read(64).lower().lstrip()
    for mark, said in BEGINNINGS.items():
        if beginning.startswith(mark):
            return said
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any("/code/" in name for name in names):
            return "a TorchScript file: name it .pt" if path.suffix.lower() == ONNX else ""
        if any(name.endswith(".tflite") for name in names):
            return "a bundle of MediaPipe"
    try:
        names = set(TensorFile(path, wrappings=("state_dict", "net_recon", "model")).names())
    except (CheckpointError, ValueError):
        is_onnx = path.suffix.lower() != ONNX and operators(path)
        return f"an ONNX file: name it {ONNX}" if is_onnx else ""
    for name, (key, said) in WEIGHTS.items():
        if name in names or f"module.{name}" in names or name.removeprefix("net_recon.") in names:
            return "" if key == wanted else f"weights of {said}"
    kind = about(path).kind
    return f"of the kind {kind!r}" if kind != OTHER else ""
