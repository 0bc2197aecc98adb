"""Which model and VAE the demo runs: what is asked for, else what is in ComfyUI's folders, else the pack's own.

Everything that is missing is said in one sentence with the places it can be had from, before ComfyUI starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from comfy_setup import REPO, Installation, SetupError, tail

sys.path.insert(0, str(REPO))
from echomimic_core.files.names import (
    DOWNLOAD,
    SUFFIXES,
    VAE_DOWNLOAD,
    VAE_NAME,
    WHISPER_DOWNLOAD,
    WHISPER_NAMES,
    is_ft_mse,
    may_be_vae,
)

KINDS = ("echomimic", "vae", "audio_encoders")  # Of ComfyUI's model folders
SMALL_FOLDER = REPO / "demo" / "models"  # The pack's own small model, trained on drawn characters
SMALL_MODEL = "nano.safetensors"
SMALL_BYTES = 500e6  # A one-file model of the released size has four times as many at least
TINY_MODEL = "tiny.safetensors"

# Kinds of files, as the core calls them; the Python that has torch, which it is asked with.
ONE_FILE, SD15_VAE = "one-file model", "VAE of SD 1.5"
ASKED: dict[str, Path] = {}

RELEASED = {"accelerated": "_acc", "standard": ""}  # In the names of the files of a variant; the faster one first

Folders = "dict[str, list[Path]]"  # By kind; a text, so that an old Python gets to the sentence about its age


@dataclass(frozen=True)
class Choice:
    """What the loader's model widget is set to, and where ComfyUI finds it; the loader finds the VAE.

    `released` says whether the networks are as large as the released ones.
    """

    model: str
    folders: Folders
    released: bool
    sentence: str

    def write_paths(self, path: Path) -> Path:
        """Write the folders as ComfyUI's extra model paths, before all others."""
        from echomimic_core.files.durable import write_json

        # Each folder is put before the ones already there, so that the first comes last.
        lines = {kind: "\n".join(map(str, reversed(folders))) for kind, folders in self.folders.items()}
        return write_json(path, {"demo": {"is_default": True, **lines}})  # JSON is YAML


def choose(wanted: str | None, installation: Installation, tiny: Path) -> Choice:
    """Return the model and VAE to run; `tiny` is the folder that random stand-ins would lie in.

    Parameters
    ----------
    wanted : "standard", "accelerated", the path of a one-file model, or None for what there is.

    Raises
    ------
    SetupError : files are missing or no models; names all of them.
    """
    ASKED["python"] = installation.python
    folders = model_folders(installation)
    path = Path(wanted).expanduser().resolve() if wanted and wanted not in RELEASED else None
    if path and (path != (SMALL_FOLDER / SMALL_MODEL).resolve() or not path.is_file()):
        return one_file(path, path.parent, folders)
    if wanted in RELEASED:
        return released(wanted, folders)
    if path is None:
        variants = [variant for variant, suffix in RELEASED.items() if find(folders, stem(f"denoising_unet{suffix}"))]
        if variants:
            return released(min(variants, key=lambda variant: len(lacking(variant, folders))), folders)
        for root, name in files_below(folders["echomimic"]):
            if name.endswith(".safetensors") and ask(root / name)["kind"] == ONE_FILE:
                return one_file(root / name, root, folders)
    return without_weights(folders, tiny)


def without_weights(folders: Folders, tiny: Path) -> Choice:
    """The pack's own small model, or where it is left out (as in the registry's upload) a random one."""
    real = f"for the real one put the files of the README's table into {folders['echomimic'][0].parent}"
    path = SMALL_FOLDER / SMALL_MODEL
    small = ask(path) if path.is_file() else {"networks": (), "problem": ""}
    if small["problem"]:
        raise SetupError(f"The pack's own small model cannot be used: {small['problem']}")
    if path.is_file() and "vae" not in small["networks"]:
        raise SetupError(f"The pack's own small model {path} cannot be used: it has no VAE inside; download it again.")
    if small["networks"]:
        own = {"echomimic": [SMALL_FOLDER]}
        sentence = f"model: the pack's own small one, which knows a world of drawn characters; {real}"
        return Choice(SMALL_MODEL, own, False, sentence)
    own = {"echomimic": [tiny / "echomimic"], "vae": [tiny / "vae"]}
    sentence = f"model: a tiny random one, which makes coloured noise instead of a person; {real}"
    return Choice(TINY_MODEL, own, False, sentence)


def released(variant: str, folders: Folders) -> Choice:
    missing = lacking(variant, folders)
    vae = find_vae(folders)
    if missing or not vae:
        raise SetupError(missing_sentence(f"the {variant} model", missing, vae, folders))
    return Choice(variant, folders, True, f"model: {variant}, VAE: {vae}")


def one_file(path: Path, root: Path, folders: Folders) -> Choice:
    """A one-file model below `root`; what it has not inside, VAE and audio encoder, comes from the folders."""
    found = ask(path)
    if found["kind"] != ONE_FILE:
        reason = found["problem"] or f"{path} is no one-file model ({found['kind']}): choose one that Save Model wrote."
        raise SetupError(f"The model cannot be used: {reason}")
    if "reference_unet" not in found["networks"]:
        raise SetupError(f"The model {path} has no reference network inside: save it again with one by Save Model.")
    heard = "audio_encoder" in found["networks"]
    missing = [] if heard else lacking_whisper(folders)
    vae = "its own" if "vae" in found["networks"] else find_vae(folders)
    if missing or not vae:
        raise SetupError(missing_sentence(f"the model {path}", missing, vae, folders))
    others = [folder for folder in folders["echomimic"] if folder != root]
    large = path.stat().st_size > SMALL_BYTES
    places = {**folders, "echomimic": [root, *others]}
    name = str(path.relative_to(root))
    return Choice(name, places, large, f"model: {path}, VAE: {vae}")


def missing_sentence(what: str, missing: list[str], vae: str | None, folders: Folders) -> str:
    if not vae:
        missing = [*missing, f"{VAE_NAME} in {folders['vae'][0]}, from {VAE_DOWNLOAD}"]
    return f"For {what} these files are missing (subfolders are searched):\n" + "\n".join(f"  {m}" for m in missing)


def lacking(variant: str, folders: Folders) -> list[str]:
    """The files that a released variant still needs, but for the VAE: name, folder and source."""
    suffix = RELEASED[variant]
    stems = (f"denoising_unet{suffix}", f"motion_module{suffix}", "reference_unet", "pose_encoder")
    place = f"in {folders['echomimic'][0]}, from {DOWNLOAD}"
    return [f"{s}.pth {place}" for s in stems if not find(folders, stem(s))] + lacking_whisper(folders)


def lacking_whisper(folders: Folders) -> list[str]:
    if find(folders, WHISPER_NAMES) or find(folders, WHISPER_NAMES, "audio_encoders"):
        return []
    return [f"{WHISPER_NAMES[0]} in {folders['echomimic'][0]}, from {WHISPER_DOWNLOAD}"]


def stem(name: str) -> tuple[str, ...]:
    return tuple(name + ending for ending in SUFFIXES)


def find(folders: Folders, names: tuple[str, ...], kind: str = "echomimic") -> bool:
    return any(Path(name).name in names for _, name in files_below(folders[kind]))


def find_vae(folders: Folders) -> str | None:
    """The VAE that the loader will take, as `echomimic_core.files.vae`: sd-vae-ft-mse, else one of four channels."""
    files = [(root, name) for root, name in files_below(folders["vae"]) if may_be_vae(name)]
    for _, name in files:
        if is_ft_mse(name):
            return name
    safetensors = ((root, name) for root, name in files if name.endswith(".safetensors"))
    return next((name for root, name in safetensors if ask(root / name)["kind"] == SD15_VAE), None)


def files_below(roots: list[Path]) -> list[tuple[Path, str]]:
    """(folder, path inside) of all files below some folders, in order."""
    return [
        (root, str(Path(place, name).relative_to(root)))
        for root in roots
        for place, _, names in sorted(os.walk(root, followlinks=True))
        for name in sorted(names)
    ]


def ask(path: Path) -> dict:
    """What the core says of a file: its `kind`, `networks` inside, and its `problem` where it cannot be read."""
    command = [str(ASKED.get("python", sys.executable)), "-m", "echomimic_core.files", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO)
    if not done.stdout.strip():
        raise SetupError(f"The core cannot look at {path}:\n{tail(done.stderr, 3)}")
    return json.loads(done.stdout)[str(path)]


def model_folders(installation: Installation) -> Folders:
    """ComfyUI's folders of each kind: those of `models`, and those that its extra_model_paths.yaml adds.

    The file is read by ComfyUI's own code, which knows its rules.
    """
    comfyui = installation.comfyui
    own = {kind: comfyui / "models" / kind for kind in KINDS}
    config = comfyui / "extra_model_paths.yaml"
    if not config.is_file():
        return {kind: [folder] for kind, folder in own.items()}
    code = (
        "import json, sys\n"
        "config, *kinds = sys.argv[1:]\n"
        "sys.argv[1:] = []\n"
        "sys.path.insert(0, '.')\n"
        "import folder_paths\n"
        "from utils.extra_config import load_extra_path_config\n"
        "load_extra_path_config(config)\n"
        "known = folder_paths.folder_names_and_paths\n"
        "print(json.dumps([list(known[kind][0]) if kind in known else [] for kind in kinds]))\n"
    )
    command = [installation.python, "-c", code, config, *KINDS]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=comfyui)
    if done.returncode:
        raise SetupError(f"ComfyUI cannot read {config}:\n{tail(done.stderr, 3)}")
    named = json.loads(done.stdout.splitlines()[-1])
    return {kind: list(dict.fromkeys([*map(Path, paths), own[kind]])) for kind, paths in zip(KINDS, named, strict=True)}
