"""The published weights: which files a model needs, where they come from, and which of them are missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .names import SUFFIXES, WHISPER_NAMES, WHISPER_PARTS, is_whisper_folder

ECHOMIMIC_FOLDER, VAE_FOLDER = "echomimic", "vae"
VARIANT_ENDINGS = {"standard": "", "accelerated": "_acc"}
MEGABYTE, GIGABYTE = 10**6, 10**9


@dataclass(frozen=True)
class Published:
    """A file on the Hugging Face hub.

    Attributes
    ----------
    repo, file : where it lies there. kind : the folder below ComfyUI's models. name : the name that it gets there.
    size : bytes, about; the exact number and the SHA-256 are asked from the hub. license : of the weights.
    """

    repo: str
    file: str
    kind: str
    name: str
    size: int
    license: str

    @property
    def link(self) -> str:
        return f"https://huggingface.co/{self.repo}/resolve/main/{self.file}"

    def described(self, size: int | None = None) -> str:
        """Its name with size, licence and address."""
        about = "about " if size is None else ""
        return f"{self.name} ({about}{readable(self.size if size is None else size)}, {self.license}, {self.link})"


def _of_echomimic(stem: str, size: int) -> Published:
    return Published("BadToBest/EchoMimicV2", f"{stem}.pth", ECHOMIMIC_FOLDER, f"{stem}.pth", size, "Apache-2.0")


WHISPER = Published(
    "openai/whisper-tiny", "model.safetensors", ECHOMIMIC_FOLDER, "whisper-tiny.safetensors", 151_000_000, "Apache-2.0"
)
VAE = Published(
    "stabilityai/sd-vae-ft-mse",
    "diffusion_pytorch_model.safetensors",
    VAE_FOLDER,
    "sd-vae-ft-mse.safetensors",
    335_000_000,
    "MIT",
)


def networks_of(variant: str) -> list[Published]:
    """The networks of "standard" or "accelerated"."""
    ending = VARIANT_ENDINGS[variant]
    return [
        _of_echomimic(f"denoising_unet{ending}", 3_400_000_000),
        _of_echomimic(f"motion_module{ending}", 1_810_000_000),
        _of_echomimic("reference_unet", 3_260_000_000),
        _of_echomimic("pose_encoder", 4_000_000),
    ]


def needed(*variants: str) -> list[Published]:
    """Everything that these variants need, each file once."""
    files = [file for variant in variants for file in networks_of(variant)]
    return list(dict.fromkeys([*files, WHISPER, VAE]))


def missing_networks(variant: str, paths: Iterable[Path]) -> list[Published]:
    """Those networks of a variant of which no file is among the paths, under any ending that is read."""
    names = {path.name for path in paths}
    return [
        file
        for file in networks_of(variant)
        if not names & {file.name.rpartition(".")[0] + suffix for suffix in SUFFIXES}
    ]


def whisper_among(paths: Iterable[Path]) -> Path | None:
    """The Whisper encoder among files: by one of its names, else in a folder with openai/whisper-tiny as it is."""
    paths = list(paths)
    for names, is_named in ((WHISPER_NAMES, lambda path: True), (WHISPER_PARTS, _is_of_repository)):
        found = [path for path in paths if path.name in names and is_named(path)]
        if found:
            return min(found, key=lambda path: (names.index(path.name), len(path.parts), path))
    return None


def _is_of_repository(path: Path) -> bool:
    return is_whisper_folder(path.parent.name)


def sentence(model: str, files: list[Published], folders: dict[str, Path]) -> str:
    """What is missing of a model: each file with size, licence, address and folder, and both ways to get them."""
    lists = []
    for kind in dict.fromkeys(file.kind for file in files):
        of_kind = [file.described() for file in files if file.kind == kind]
        lists.append(f"{_listed(of_kind)} into {folders[kind]}")
    count = f"{len(files)} files are" if len(files) > 1 else "1 file is"
    return (
        f"{model} is not complete, {count} missing: switch download_missing on and run again to fetch "
        f"{'them' if len(files) > 1 else 'it'} (about {readable(sum(file.size for file in files))}), or put "
        f"{'; and '.join(lists)}."
    )


def readable(size: int) -> str:
    """A number of bytes for people: 3.40 GB, 151 MB."""
    if size >= GIGABYTE:
        return f"{size / GIGABYTE:.2f} GB"
    return f"{size / MEGABYTE:.0f} MB" if size >= MEGABYTE else f"{size / 1000:.0f} kB"


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
