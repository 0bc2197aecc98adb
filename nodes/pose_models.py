"""MediaPipe's model bundles in ComfyUI's model folders, and their download where it is asked for."""

import logging
import os
import zipfile
from pathlib import Path

import folder_paths

from ..echomimic_core.pose.bundles import BUNDLE_LINKS, Bundles, find_bundle

FOLDER = "mediapipe"

_TIMEOUT = 30


def find_bundles(download: bool = False) -> Bundles:
    """The bundles for hands and body, and that for the face if it is there; the missing are downloaded if asked for.

    Raises
    ------
    ValueError : a bundle is missing: where it was looked for and where to get it.
    """
    found = {kind: find_bundle(kind, _folders()) for kind in BUNDLE_LINKS}
    missing = [kind for kind in ("hand", "pose") if found[kind] is None]
    if download:
        found |= {kind: _download(kind) for kind in missing}
        missing = []
        if found["face"] is None:
            found["face"] = _download_optional("face")
    if missing:
        links = " and ".join(BUNDLE_LINKS[kind] for kind in missing)
        raise ValueError(
            f"MediaPipe's model for the {' and the '.join(missing)} was not found in {' or '.join(_folders())}: "
            f"download {links} and put it there, or switch download_models on"
        )
    return Bundles(**found)


def _folders() -> list[str]:
    try:
        return folder_paths.get_folder_paths(FOLDER)
    except KeyError:
        return [os.path.join(folder_paths.models_dir, FOLDER)]


def _download_optional(kind: str) -> Path | None:
    try:
        return _download(kind)
    except ValueError as error:
        logging.warning("EchoMimicV2: %s", error)
        return None


def _download(kind: str) -> Path:
    import urllib.error
    import urllib.request

    link = BUNDLE_LINKS[kind]
    folder = Path(_folders()[0])
    target = folder / link.rpartition("/")[2]
    part = target.with_name(target.name + ".part")
    folder.mkdir(parents=True, exist_ok=True)
    logging.info("EchoMimicV2: downloading %s to %s", link, target)
    try:
        with urllib.request.urlopen(link, timeout=_TIMEOUT) as answer, open(part, "wb") as file:
            while block := answer.read(1 << 20):
                file.write(block)
        if not zipfile.is_zipfile(part):
            raise OSError("what came is not a model bundle")
        os.replace(part, target)
    except (OSError, urllib.error.URLError) as error:
        part.unlink(missing_ok=True)
        raise ValueError(
            f"{link} could not be downloaded ({error}): download it in a browser and put it into {folder}"
        ) from error
    return target
