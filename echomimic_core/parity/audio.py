"""The audio cases of the parity folder: our numbers against those of the original."""

from collections.abc import Callable
from pathlib import Path

import torch

from ..audio import encode, frame_tokens, log_mel
from ..models.audio_encoder import build_audio_encoder

MEL_TOLERANCE = 1e-4
FEATURE_TOLERANCE = 2e-4


def check_audio(
    case: dict,
    folder: Path,
    weights: Callable[[], dict[str, torch.Tensor]],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> list[tuple[str, float, float]]:
    """Run one case of kind "audio" and return (what was compared, relative error, tolerance) for each comparison.

    Parameters
    ----------
    case : an entry of `cases.json`; its `file` holds `waveform`, `mel_head`, `features` with `feature_rows` and
        `feature_shape`, and `chunks<fps>` with rows and shape for any number of frame rates.
    weights : gives the state dict of the encoder when it is needed.
    """
    from safetensors.torch import load_file

    expected = load_file(Path(folder) / case["file"])
    encoder = build_audio_encoder(weights(), dtype=dtype).to(device)
    waveform = expected["waveform"].float()

    head = expected["mel_head"]
    results = [("log-mel", relative_error(log_mel(waveform)[:, : head.shape[1]], head), MEL_TOLERANCE)]

    features = encode(encoder, waveform)
    error = _error_of_rows(features, expected["features"], expected["feature_rows"], expected["feature_shape"])
    results.append(("features", error, FEATURE_TOLERANCE))

    for name in sorted(expected):
        if not name.startswith("chunks") or name.endswith(("_rows", "_shape")):
            continue
        fps = float(name.removeprefix("chunks"))
        chunks = frame_tokens(features, fps)
        error = _error_of_rows(chunks, expected[name], expected[f"{name}_rows"], expected[f"{name}_shape"])
        results.append((f"tokens at {fps:g} fps", error, FEATURE_TOLERANCE))
    return results


def relative_error(ours: torch.Tensor, reference: torch.Tensor) -> float:
    """||ours - reference|| / ||reference||; infinite where the shapes differ."""
    if ours.shape != reference.shape:
        return float("inf")
    reference = reference.double()
    return float((ours.double() - reference).norm() / reference.norm())


def _error_of_rows(ours: torch.Tensor, reference: torch.Tensor, rows: torch.Tensor, shape: torch.Tensor) -> float:
    if list(ours.shape) != shape.tolist():
        return float("inf")
    return relative_error(ours[rows.long()], reference)
