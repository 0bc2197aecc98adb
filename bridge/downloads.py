"""What the loader's choice lacks of the published weights, and fetching it when the artist asked for it."""

from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths

from ..echomimic_core.files import fetch
from ..echomimic_core.files.checkpoints import AUDIO_ENCODER, open_one_file
from ..echomimic_core.files.durable import WriteError
from ..echomimic_core.files.published import ECHOMIMIC_FOLDER, VAE, VAE_FOLDER, WHISPER, Published, sentence
from ..echomimic_core.files.tensor_file import CheckpointError
from ..echomimic_core.files.transfer import DownloadError
from .model_files import AUTO, RELEASED, audio_encoder_folders, echomimic_folders, one_file_names
from .reports import say


def missing_files(model: str, audio_encoder: str = AUTO) -> list[Published]:
    """What is nowhere in ComfyUI's folders of all that a choice of the loader needs."""
    released, brought = (model,) if model in RELEASED else (), set()
    if not released:
        path = folder_paths.get_full_path(ECHOMIMIC_FOLDER, model)
        files = None if path is None else open_one_file(path)
        if files is None:
            return []
        brought |= {WHISPER} if AUDIO_ENCODER in files.networks else set()
        brought |= {VAE} if files.vae_file() else set()
    if audio_encoder != AUTO:
        brought.add(WHISPER)
    folders = {ECHOMIMIC_FOLDER: echomimic_folders(), VAE_FOLDER: folder_paths.get_folder_paths(VAE_FOLDER)}
    found = fetch.missing(released, folders, audio_encoder_folders())
    return [file for file in found if file not in brought]


def targets() -> dict[str, Path]:
    """Where downloads go: ComfyUI's first folder of each kind."""
    return {kind: Path(folder_paths.get_folder_paths(kind)[0]) for kind in (ECHOMIMIC_FOLDER, VAE_FOLDER)}


def check_complete(model: str, audio_encoder: str = AUTO) -> None:
    """CheckpointError that names everything missing, if the model cannot be loaded; a VAE alone is asked for at use."""
    missing = missing_files(model, audio_encoder)
    if [file for file in missing if file != VAE]:
        title = f"The {model} model" if model in RELEASED else f"The model {model}"
        others = one_file_names() if model in RELEASED else []
        more = f" Or choose an available model: {', '.join(others)}." if others else ""
        raise CheckpointError(sentence(title, missing, targets()) + more)


def complete(model: str, audio_encoder: str, may_download: bool) -> None:
    """Have everything that a choice of the loader needs, downloaded if that may be, or raise a sentence.

    The node shows that sentence as well: the page's own error names only the node until its details are opened.
    """
    try:
        if may_download:
            download_missing(model, audio_encoder)
        check_complete(model, audio_encoder)
    except (CheckpointError, DownloadError, WriteError) as error:
        say(str(error))
        raise


def download_missing(model: str, audio_encoder: str) -> None:
    """Fetch what a choice of the loader lacks, with the progress on the node; a cancel leaves a part that resumes.

    Raises
    ------
    DownloadError, WriteError : see `files.hub.fetch`.
    """
    missing = missing_files(model, audio_encoder)
    if not missing:
        return
    bar = comfy.utils.ProgressBar(1)
    said, files = [], []

    def tell(text: str) -> None:
        if text in said[-1:]:
            return
        said.append(text)
        if "\n" in text:  # The list of what comes: it stays, below how far it is.
            files.append(text)
            say(text)
        else:
            say("\n".join([text, *files]))

    check = comfy.model_management.throw_exception_if_processing_interrupted
    fetch.fetch_all(missing, targets(), tell, bar.update_absolute, check)
    # ComfyUI remembers its lists of files by the times of the folders, which some disks keep in whole seconds.
    for kind in (ECHOMIMIC_FOLDER, VAE_FOLDER):
        folder_paths.filename_list_cache.pop(kind, None)
    say("Downloaded: " + ", ".join(file.name for file in missing))
