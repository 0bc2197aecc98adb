"""What weights files are called, where they come from, and what is wrong with one that cannot be read.

Nothing here needs torch: the demo looks at files before it is installed.
"""

from pathlib import Path

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
DOWNLOAD = "https://huggingface.co/BadToBest/EchoMimicV2"

WHISPER_NAMES = ("tiny.pt", "whisper_tiny.pt", "whisper-tiny.safetensors", "whisper_tiny.safetensors")
# What openai/whisper-tiny calls its weights: known only by the folder they lie in.
WHISPER_PARTS = ("model.safetensors", "pytorch_model.bin")
WHISPER_DOWNLOAD = (
    "https://openaipublic.azureedge.net/main/whisper/models/"
    "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9/tiny.pt"
)

VAE_NAME = "vae-ft-mse-840000-ema-pruned.safetensors"
VAE_DOWNLOAD = "https://huggingface.co/stabilityai/sd-vae-ft-mse-original"
VAE_SUFFIXES = (*SUFFIXES, ".ckpt")
BLOCK_ENCODER = "block_encoder"  # Of a small model's own VAE, `networks.block_vae`.
# First layers of encoder and decoder, as SD's VAEs and as ComfyUI names those of a TAESD.
VAE_LAYERS = (
    ("encoder.conv_in.weight", "decoder.conv_in.weight"),
    ("taesd_encoder.0.weight", "taesd_decoder.1.weight"),
    (f"{BLOCK_ENCODER}.weight", "taesd_decoder.1.weight"),
)


def is_hidden(name: str) -> bool:
    """Whether a name is the system's own, as macOS puts them next to every file and into every zip."""
    return name.startswith(".") or name == "__MACOSX"


def is_whisper_folder(name: str) -> bool:
    """Whether a folder is called after Whisper tiny, as a download of the whole repository is."""
    return "whisper" in name.lower() and "tiny" in name.lower()


def may_be_vae(name: str) -> bool:
    """Whether a path below a folder may hold SD 1.5's VAE, by the names of file and subfolders.

    Subfolders count, for Hugging Face calls every VAE diffusion_pytorch_model.safetensors. Names with "xl" do not:
    SDXL's VAE would be taken for SD 1.5's, and make wrong colours.
    """
    return name.endswith(VAE_SUFFIXES) and "xl" not in name.lower()


def is_ft_mse(name: str) -> bool:
    """Whether a path below a folder is called after sd-vae-ft-mse."""
    return "mse" in name.lower()


def diagnose(path: Path) -> str:
    """What is wrong with a weights file that cannot be read, and what to do."""
    with open(path, "rb") as file:
        head = file.read(200)
    size = path.stat().st_size
    if size == 0:
        return "the file is empty. Download it again."
    if head.startswith(b"version https://git-lfs"):
        return "it is only a Git LFS pointer. Download the file itself, or run 'git lfs pull'."
    if head.lstrip()[:1] == b"<":
        return "it is a web page, not weights. Download the file itself, not its page."
    return f"it is damaged or not complete ({size:,} bytes). Download it again."
