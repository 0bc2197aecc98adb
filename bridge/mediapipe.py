"""MediaPipe's model bundles in ComfyUI's model folders, and their download where it is asked for."""

import logging
from pathlib import Path

from ..echomimic_core.files.transfer import DownloadError, download
from ..echomimic_core.pose.bundles import BUNDLE_LINKS, BUNDLE_SOURCES, Bundles, find_bundle
from ..echomimic_core.runtime import Progress
from .folders import model_folders

FOLDER = "mediapipe"


def find_bundles(download: bool | None = None, progress: Progress | None = None) -> Bundles:
    """The bundles for hands and body, and that for the face if it is there; the missing are downloaded if asked for.

    download : the node's switch; None where the node has none.
    progress : of each download, in bytes; it may raise to stop it.

    Raises
    ------
    ValueError : a bundle is missing: where it was looked for and where to get it.
    """
    folders = model_folders(FOLDER)
    found = {kind: find_bundle(kind, folders) for kind in BUNDLE_LINKS}
    missing = [kind for kind in ("hand", "pose") if found[kind] is None]
    if download:
        found |= {kind: _download(kind, progress) for kind in missing}
        missing = []
        if found["face"] is None:
            found["face"] = _download_optional("face", progress)
    if missing:
        links = " and ".join(BUNDLE_LINKS[kind] for kind in missing)
        where = " in a Hand Pose node and run it once" if download is None else ""
        raise ValueError(
            f"MediaPipe's model for the {' and the '.join(missing)} was not found in {' or '.join(folders)}: "
            f"download {links} and put it there, or turn on download_models{where}"
        )
    return Bundles(**found)


def _download_optional(kind: str, progress: Progress | None) -> Path | None:
    try:
        return _download(kind, progress)
    except DownloadError as error:
        logging.warning("EchoMimicV2: %s", error)
        return None


def _download(kind: str, progress: Progress | None) -> Path:
    source, folder = BUNDLE_SOURCES[kind], Path(model_folders(FOLDER)[0])
    logging.info("EchoMimicV2: downloading %s to %s", source.link, folder)
    return download(source, folder, progress)
