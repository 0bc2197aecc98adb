"""The published weights: which files a model needs, where they come from, and which of them are missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .names import SUFFIXES, WHISPER_NAMES, WHISPER_PARTS, is_whisper_folder

ECHOMIMIC_FOLDER, VAE_FOLDER = "echomimic", "vae"
VARIANT_ENDINGS = {"standard": "", "accelerated": "_acc"}
# Of the denoiser and its motion modules: the accelerated ones are published in float32, all others in float16.
NETWORK_SIZES = {"standard": (1_700_000_000, 909_000_000), "accelerated": (3_400_000_000, 1_820_000_000)}
MEGABYTE, GIGABYTE = 10**6, 10**9
# What the repositories state of their files; one that is not here is held against what the hub says of it at the time.
SHA256 = {
    "denoising_unet.pth": "a4417d929ad13f02d8e6a7607aa2e3b147451e131a52bcb499b2c992ad01c327",
    "motion_module.pth": "15d5d2bb5d184eaf9475285f0d5068bde32ae70c3961c799559ee3a6a25afabd",
    "motion_module_acc.pth": "d268a48d153da174100161fb3d1cf8374b99a3e1a4a1f0020af23d8e10abee6d",
    "reference_unet.pth": "cfc1d7a28bd33daf365470d21a318833a014c43624314689eef6cc5f6a352778",
    "pose_encoder.pth": "24113dffd754519d67ef960cb30a5e53958bb552d7ca7cafcd94addbe840204c",
    "whisper-tiny.safetensors": "7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395",
    "sd-vae-ft-mse.safetensors": "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
}


@dataclass(frozen=True)
class Published:
    """A file on the Hugging Face hub.

    Attributes
    ----------
    repo, file : where it lies there. kind : the folder below ComfyUI's models. name : the name that it gets there.
    size : bytes, about; the hub says the exact number. license : of the weights.
    sha256 : of its content, empty where none is known here.
    """

    repo: str
    file: str
    kind: str
    name: str
    size: int
    license: str

    @property
    def sha256(self) -> str:
        return SHA256.get(self.name, "")

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
    "openai/whisper-tiny", "model.safetensors", ECHOMIMIC_FOLDER, "whisper-tiny.safetensors", 151_061_672, "Apache-2.0"
)
VAE = Published(
    "stabilityai/sd-vae-ft-mse",
    "diffusion_pytorch_model.safetensors",
    VAE_FOLDER,
    "sd-vae-ft-mse.safetensors",
    334_643_276,
    "MIT",
)


def networks_of(variant: str) -> list[Published]:
    """The networks of "standard" or "accelerated"."""
    ending = VARIANT_ENDINGS[variant]
    denoiser, motion = NETWORK_SIZES[variant]
    return [
        _of_echomimic(f"denoising_unet{ending}", denoiser),
        _of_echomimic(f"motion_module{ending}", motion),
        _of_echomimic("reference_unet", 1_630_000_000),
        _of_echomimic("pose_encoder", 1_700_000_000),
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
