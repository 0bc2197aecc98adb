"""From waveform to tokens: the same numbers as the original, at any length, without keeping ten copies."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from echomimic_core.audio import AudioTokens, clip_frames, count_chunks, encode, frame_tokens, log_mel, mel_filters
from echomimic_core.models.audio_encoder import build_audio_encoder
from echomimic_core.parity.audio import check_audio, relative_error

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="module")
def parity_weights():
    if not (SHARED / "parity" / "weights.py").exists():
        pytest.skip("the numbers of the original in ../shared/parity are not here")
    spec = importlib.util.spec_from_file_location("parity_weights", SHARED / "parity" / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.seeded_state_dict(module.manifest("whisper_encoder_manifest.json"), 2000, "whisper.")


class Counting(nn.Module):
    """Stands in for the encoder: state s of position p of a segment is the mean of its mel frames, plus s."""

    def __init__(self):
        super().__init__()
        self.segments = 0

    def forward(self, mel):
        assert mel.shape == (1, 80, 3000)
        self.segments += 1
        means = mel[0].mean(dim=0).view(1500, 2).mean(dim=1)
        return (means[:, None, None] + torch.arange(5.0)[None, :, None]).expand(1500, 5, 384)


@pytest.mark.parametrize("name", ["audio_short", "audio_long"])
def test_numbers_are_the_originals(name, parity_weights):
    results = check_audio({"file": f"{name}.safetensors"}, SHARED / "parity", lambda: parity_weights)
    assert [what for what, _, _ in results] == [
        "log-mel",
        "features",
        "tokens at 24 fps",
        "tokens at 25 fps",
        "tokens at 30 fps",
    ]
    for what, error, tolerance in results:
        assert error < tolerance, what


def test_the_comparison_notices_wrong_weights(parity_weights):
    wrong = parity_weights | {"blocks.3.mlp.2.bias": parity_weights["blocks.3.mlp.2.bias"] + 1}
    results = check_audio({"file": "audio_short.safetensors"}, SHARED / "parity", lambda: wrong)
    assert [error < tolerance for _, error, tolerance in results] == [True, False, False, False, False]


def test_speech_and_silence_are_told_apart_by_a_real_encoder():
    weights = SHARED / "models" / "whisper_tiny_en_encoder_fp16.safetensors"
    if not weights.exists():
        pytest.skip("the real Whisper encoder of ../shared/models is not here")
    from safetensors.torch import load_file

    encoder = build_audio_encoder(load_file(weights))
    noise = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    spoken, silent = encode(encoder, noise), encode(encoder, torch.zeros(16000))
    assert torch.isfinite(spoken).all() and torch.isfinite(silent).all()
    assert relative_error(spoken, silent) > 0.1


def test_log_mel_agrees_with_numpys_fourier_transform():
    signal = pytest.importorskip("scipy.signal")
    sound = np.random.default_rng(1).standard_normal(16000).astype(np.float32)
    padded = np.pad(sound, 200, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][:100]
    window = signal.get_window("hann", 400)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    log = np.log10(np.maximum(power @ mel_filters().numpy().T, 1e-10))
    expected = (np.maximum(log, log.max() - 8) + 4) / 4
    assert np.abs(log_mel(sound).numpy() - expected.T).max() < 1e-4


def test_long_spectra_are_computed_in_blocks_without_seams(monkeypatch):
    sound = torch.randn(16000 * 3, generator=torch.Generator().manual_seed(2))
    whole = log_mel(sound)
    monkeypatch.setattr("echomimic_core.audio.MEL_BLOCK", 70)
    assert torch.allclose(log_mel(sound), whole, atol=1e-6)


def test_the_last_segment_is_padded_in_the_spectrum_and_its_padding_dropped():
    encoder = Counting()
    sound = torch.randn(16000 * 40 + 160, generator=torch.Generator().manual_seed(3))
    features = encode(encoder, sound)
    mel = log_mel(sound)
    assert encoder.segments == 2
    assert mel.shape == (80, 4001)
    assert features.shape == (2000, 5, 384)
    assert torch.allclose(features[:, 0, 0], mel[:, :4000].mean(dim=0).view(2000, 2).mean(dim=1), atol=1e-5)


@pytest.mark.parametrize(("samples", "positions"), [(1, 1), (100, 1), (319, 1), (480, 1), (1600, 5)])
def test_very_short_sounds_have_at_least_one_position(samples, positions):
    features = encode(Counting(), torch.zeros(samples))
    assert features.shape == (positions, 5, 384)
    assert torch.isfinite(AudioTokens(features, frames=clip_frames(samples, 16000)).all()).all()


def test_an_empty_sound_is_refused():
    with pytest.raises(ValueError, match="not empty"):
        encode(Counting(), torch.zeros(0))


def test_progress_counts_segments_and_can_cancel():
    calls = []
    encode(Counting(), torch.zeros(16000 * 61), lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3), (1, 3), (2, 3)]

    def cancel(done, total):
        if done == 1:
            raise InterruptedError

    encoder = Counting()
    with pytest.raises(InterruptedError):
        encode(encoder, torch.zeros(16000 * 61), cancel)
    assert encoder.segments == 1


def original_chunks(features: np.ndarray, fps: float) -> np.ndarray:
    """The original's loop, one frame and one position at a time."""
    chunks, frame = [], 0
    while True:
        start = int(frame * (50.0 / fps))
        centre = int(frame * 50 / fps)
        rows = [features[min(max(0, row), len(features) - 1)] for row in range(centre - 4, centre + 6)]
        chunks.append(np.concatenate(rows))
        frame += 1
        if start > len(features):
            return np.array(chunks)


@pytest.mark.parametrize("fps", [8, 12, 23.976, 24, 25, 29.97, 30, 48, 50, 60, 100])
@pytest.mark.parametrize("positions", [1, 2, 5, 49, 100, 163])
def test_tokens_are_those_of_the_originals_loop(positions, fps):
    features = torch.randn(positions, 5, 384, generator=torch.Generator().manual_seed(4))
    assert np.array_equal(frame_tokens(features, fps).numpy(), original_chunks(features.numpy(), fps))


def test_a_window_is_a_part_of_the_whole():
    tokens = AudioTokens(torch.randn(100, 5, 384, generator=torch.Generator().manual_seed(5)))
    assert len(tokens) == count_chunks(100, 24.0)
    frames = [45, 46, 47, 0, 1, 2]
    assert torch.equal(tokens.window(frames), tokens.all()[frames])
    assert torch.equal(tokens.slice(10, 20).window([0, 9]), tokens.window([10, 19]))
    assert torch.equal(tokens.slice(10, 20).slice(3, 5).all(), tokens.window([13, 14]))
    assert torch.equal(tokens.window(torch.tensor([3])), tokens.window([3]))


def test_frames_beyond_the_sound_repeat_its_end():
    tokens = AudioTokens(torch.randn(10, 5, 384, generator=torch.Generator().manual_seed(6)), frames=1000)
    assert torch.equal(tokens.window([999])[0], tokens.features[-1].repeat(10, 1))


def test_strength_scales_the_tokens():
    features = torch.randn(10, 5, 384, generator=torch.Generator().manual_seed(7))
    assert torch.equal(AudioTokens(features, strength=0.5).all(), AudioTokens(features).all() * 0.5)
    assert not AudioTokens(features, strength=0.0).all().any()


def test_ten_minutes_need_no_more_memory_than_their_features():
    features = encode(Counting(), torch.zeros(16000 * 600))
    tokens = AudioTokens(features, frames=clip_frames(16000 * 600, 16000))
    assert len(tokens) == 14_400
    assert features.shape == (30_000, 5, 384)
    assert tokens.window(range(14_388, 14_400)).shape == (12, 50, 384)
    assert tokens.features.data_ptr() == features.data_ptr()


@pytest.mark.parametrize(
    ("samples", "rate", "fps", "frames"),
    [(52_800, 16_000, 24.0, 79), (160_000, 16_000, 24.0, 240), (44_100, 44_100, 30.0, 30), (1600, 16_000, 24.0, 2)]
    + [(1, 16_000, 24.0, 1), (16_000 * 100, 16_000, 29.97, 2997), (16_000 * 1001, 16_000, 23.976, 23_999)],
)
def test_clip_length_is_the_whole_frames_of_the_sound(samples, rate, fps, frames):
    assert clip_frames(samples, rate, fps) == frames


def test_wrong_features_and_rates_are_refused():
    with pytest.raises(ValueError, match=r"\(10, 4, 384\) instead of"):
        AudioTokens(torch.zeros(10, 4, 384)).all()
    with pytest.raises(ValueError, match="fps is 0"):
        AudioTokens(torch.zeros(10, 5, 384), fps=0)
    with pytest.raises(ValueError, match="are outside"):
        AudioTokens(torch.zeros(10, 5, 384)).slice(0, 1000)
