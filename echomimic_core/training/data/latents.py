"""Latents of prepared clips, made once and kept next to them: a step then needs no VAE for what it learns from.

They are kept for one VAE and one size of picture; another VAE or size makes its own, and a shard that was prepared
again is encoded again. Headshots are placed again in every sample (HPA), so theirs cannot be kept.
"""

import hashlib
import logging
from pathlib import Path

import torch

from ...networks.frozen_vae import FRAMES_AT_ONCE, FrozenVAE
from ...runtime import Progress
from .shards import HEADSHOT, Clip, has_latents, latents_path, shard_digest, write_latents
from .view import resize

logger = logging.getLogger(__name__)


def fingerprint(vae: FrozenVAE, size: int) -> str:
    """A name for what a VAE makes of pictures of a size."""
    digest = hashlib.sha256()
    for name, tensor in sorted(vae.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return f"{digest.hexdigest()[:16]}-{size}"


@torch.no_grad()
def keep_latents(
    clips: list[Clip], vae: FrozenVAE, size: int, progress: Progress | None = None, rank: int = 0, world: int = 1
) -> str:
    """Make the latents of all semi-body clips that have none of what they show now; the mark to read them by.

    Give all clips of the folders, also those too short for a run: a shard's latents are made together, for every run.
    Of several processes, each makes its share: wait for all of them before reading.

    A shard's file holds (F, 4, h, w) float16 per clip and appears whole or not at all, so a stopped run resumes.
    """
    mark = fingerprint(vae, size)
    shards: dict[Path, list[Clip]] = {}
    for clip in clips:
        if clip.info.kind != HEADSHOT:
            shards.setdefault(latents_path(clip, mark), []).append(clip)
    mine = {path: shards[path] for path in sorted(shards)[rank::world]}
    digests = {path: shard_digest(found) for path, found in mine.items()}
    missing = {path: found for path, found in mine.items() if not has_latents(path, found, digests[path])}
    device = next(vae.parameters()).device
    for done, (path, found) in enumerate(missing.items()):
        if progress is not None:
            progress(done, len(missing))
        tensors = {}
        for clip in found:
            parts = []
            for begin in range(0, len(clip), FRAMES_AT_ONCE):
                frames = resize(clip.frames(range(begin, min(begin + FRAMES_AT_ONCE, len(clip)))), size)
                pictures = torch.from_numpy(frames).permute(0, 3, 1, 2).to(device)
                pictures = (pictures.float() / 255).contiguous(memory_format=torch.channels_last)
                parts.append(vae.encode(pictures).half().cpu())
            tensors[clip.info.clip] = torch.cat(parts).contiguous()
        write_latents(path, tensors, digests[path])
    logger.info("latents of %d videos were encoded, %d were cached", len(missing), len(mine) - len(missing))
    return mark
