"""Make torchvision and torchaudio importable next to a CPU build of torch; run by the Python whose packages are meant.

PyPI's torchvision and torchaudio for Linux hold libraries linked against CUDA. With a CPU torch these libraries do
not load: torchvision then fails on declaring fake kernels for operators that never came to be, torchaudio on loading.
ComfyUI needs neither library, only what both do in pure torch. Where the imports work, nothing is touched.
"""

import importlib.util
import pathlib
import re
import subprocess
import sys

import torch

BEGIN = "\n# Declared without their compiled library, which is a CUDA build.\n"


def imports(module: str) -> bool:
    return not subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode


def folder(module: str) -> pathlib.Path:
    return pathlib.Path(importlib.util.find_spec(module).origin).parent


def declare_torchvision_operators() -> None:
    extension = folder("torchvision") / "extension.py"
    faked = (folder("torchvision") / "_meta_registrations.py").read_text(encoding="utf-8")
    operators = re.findall(r"""register_fake\(["']torchvision::(\w+)["']\)""", faked)
    code = extension.read_text(encoding="utf-8").split(BEGIN)[0] + BEGIN + "if not _has_ops():\n"
    code += '    _declared = torch.library.Library("torchvision", "FRAGMENT")\n'
    for name in operators:
        code += f'    _declared.define("{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")\n'
    unfinished = extension.with_suffix(".part")
    unfinished.write_text(code, encoding="utf-8")
    unfinished.replace(extension)


def switch_off_torchaudio_libraries() -> None:
    for library in (folder("torchaudio") / "lib").glob("*.so"):
        library.replace(library.with_suffix(".so.off"))


if not torch.version.cuda and not torch.version.hip:
    if not imports("torchvision"):
        declare_torchvision_operators()
    if not imports("torchaudio"):
        switch_off_torchaudio_libraries()
for name in ("torchvision", "torchaudio"):
    importlib.import_module(name)
