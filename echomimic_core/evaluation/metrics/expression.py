"""Expression coefficients for E-FID, and the mouth against the voice."""

from __future__ import annotations

import numpy as np
import torch

from ...networks.deep3d import EXPRESSION

SILENCE_DB = -60.0


@torch.inference_mode()
def expressions(network, crops: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Expression coefficients (N, 64) of aligned crops (N, 224, 224, 3) uint8 RGB by Deep3DFaceRecon.

    Source: Deng et al. 2019 (arXiv 1903.08527); E-FID is their Fréchet distance, as EMO (arXiv 2402.17485) names it.
    A TorchScript network that returns another number of coefficients than all 257 is taken to return expressions only.
    """
    x = torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2).float() / 255
    coefficients = network(x).flatten(1).float().cpu().numpy()
    return coefficients[:, EXPRESSION] if coefficients.shape[1] == 257 else coefficients


def loudness_per_frame(waveform: np.ndarray, rate: int, times: np.ndarray, fps: float) -> np.ndarray:
    """Level in dB below full scale of the sound during each frame, -60 for silence: (F,).

    Parameters
    ----------
    waveform : (samples,) mono, -1..1. times : (F,) seconds.
    """
    start = np.clip((np.asarray(times) * rate).round().astype(int), 0, len(waveform))
    stop = np.clip(start + max(round(rate / fps), 1), 0, len(waveform))
    # Frame by frame: sums over all samples would be larger than the sound.
    energy = np.array([np.square(waveform[a:b], dtype=np.float64).sum() for a, b in zip(start, stop, strict=True)])
    power = energy / np.maximum(stop - start, 1)
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))


def correlation(mouth: np.ndarray, loudness: np.ndarray) -> float:
    """Pearson correlation of mouth opening and loudness over the frames with a face, -1..1.

    Raises
    ------
    ValueError : fewer than 3 frames with a face, or one of the two never changes.
    """
    known = np.isfinite(mouth)
    if known.sum() < 3:
        raise ValueError("a face is found in fewer than 3 frames, so mouth and voice cannot be compared")
    mouth, loudness = mouth[known], loudness[known]
    if mouth.std() < 1e-9 or loudness.std() < 1e-9:
        raise ValueError("the mouth or the loudness never changes, so they cannot be compared")
    return float(np.corrcoef(mouth, loudness)[0, 1])
