"""Expression coefficients for E-FID, and the mouth against the voice."""

import numpy as np
import torch

from ...networks.deep3d import EXPRESSION
from ..clips import Clip
from ..faces import NO_FACE
from . import frechet
from .metric import Metric, Store, paper

SILENCE_DB = -60.0
# What counts as a pause, and as a closed mouth; see `closed_in_silence`.
PAUSE_DB, PAUSE_SECONDS, PAUSE_EDGE = 30.0, 0.3, 0.1
CLOSED = 0.05


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


def closed_in_silence(mouth: np.ndarray, loudness: np.ndarray, fps: float) -> float:
    """Share of the frames in pauses in which the mouth is closed, 0..1, of those with a face.

    A pause is 0.3 s or more at least 30 dB below the loud parts (their 95th percentile); its first and last 0.1 s are
    left out, because mouths close late and open early. Closed is an opening under 0.05 of the face's height.

    Parameters
    ----------
    mouth : (F,) opening as parts of the face's height, nan without a face. loudness : (F,) in dB.

    Raises
    ------
    ValueError : no pause with a face in it.
    """
    silent = loudness < np.quantile(loudness, 0.95) - PAUSE_DB
    edge = round(PAUSE_EDGE * fps)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(int), [0]])))
    within = np.zeros(len(silent), bool)
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first >= PAUSE_SECONDS * fps:
            within[first + edge : last - edge] = True
    within &= np.isfinite(mouth)
    if not within.any():
        raise ValueError(f"there is no pause of {PAUSE_SECONDS:g} s with a face, so a closed mouth cannot be checked")
    return float((mouth[within] < CLOSED).mean())


def _closed(store: Store, clip: Clip) -> float:
    found = store.arrays("generated", clip, "mouth")
    if "loudness" not in found:
        raise ValueError(f"{clip.name} has no audio")
    return closed_in_silence(found["opening"], found["loudness"], float(found["fps"]))


def _mouth(store: Store, clip: Clip) -> float:
    found = store.arrays("generated", clip, "mouth")
    if "loudness" not in found:
        raise ValueError(f"{clip.name} has no audio")
    return correlation(found["opening"], found["loudness"])


def _faces(store: Store, clip: Clip) -> float:
    found = store.arrays("generated", clip, "mouth")["found"]
    if not found.any():
        store.remark(clip, NO_FACE)
    return float(found.mean())


def _mouth_curves(store: Store, clip: Clip) -> dict[str, np.ndarray]:
    found = store.arrays("generated", clip, "mouth")
    return {"mouth": found["opening"]} | ({"loudness": found["loudness"]} if "loudness" in found else {})


_EFID = "Fréchet distance of {} of all frames with a face, generated against real."
_DEEP3D = "EMO (arXiv 2402.17485), which names the metric, with Deep3DFaceRecon (arXiv 1903.08527)"

METRICS = (
    Metric(
        "efid",
        "E-FID",
        "deep3d",
        "set",
        "lower",
        _EFID.format("the 64 expression coefficients of Deep3DFaceRecon"),
        _DEEP3D,
        "under 2.5",
        paper=paper(None, None, 2.218),
        unlike_paper="not comparable: three different things are published as E-FID, and the paper does not say which",
        distance=frechet.distance,
        features=64,
    ),
    Metric(
        "efid-blendshapes",
        "E-FID (blendshapes)",
        "blendshapes",
        "set",
        "lower",
        _EFID.format("MediaPipe's 52 blendshape scores") + " A stand-in of our own: not comparable with E-FID.",
        "MediaPipe face landmarker; no publication uses this number",
        "near 0; compare only with itself",
        alternative_to="efid",
        distance=frechet.distance,
        features=52,
    ),
    Metric(
        "mouth",
        "Mouth–voice correlation",
        "mouth",
        "clip",
        "",
        "Pearson correlation, over the frames with a face, of the opening of the inner lips (MediaPipe) and of the "
        "sound's level in dB. No network judges it: a quick sign of lip sync.",
        "This pack",
        "as the real clip: two real talks of 10 and 20 s had -0.23 and 0.09, drawn people 0.8",
        score=_mouth,
        curve=_mouth_curves,
    ),
    Metric(
        "closed",
        "Mouth closed in silence",
        "mouth",
        "clip",
        "",
        "Share of the frames in pauses (0.3 s or longer, 30 dB below the loud parts, without 0.1 s at both ends) in "
        "which the inner lips are less than 0.05 of the face's height apart.",
        "This pack",
        "that of the real clip: some people keep their mouth open",
        score=_closed,
        curve=_mouth_curves,
    ),
    Metric(
        "faces",
        "Faces found",
        "mouth",
        "clip",
        "higher",
        "Share of frames in which a face is found, every frame counted.",
        "This pack",
        "1",
        score=_faces,
        curve=_mouth_curves,
    ),
)
