"""Any sound becomes mono 16 kHz, in time, at the right level; what cannot is refused with a sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch

from echomimic_core.config import AUDIO_SAMPLE_RATE
from echomimic_core.media.video import read_audio
from echomimic_core.media.waveform import loudness, mix, normalize_loudness, resample, resample_channels, to_float, trim

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "audio"


def tones(times: np.ndarray) -> np.ndarray:
    """A chord below 3.5 kHz, so that it exists at every rate tested."""
    return sum(np.sin(2 * np.pi * hertz * times + hertz) for hertz in (120, 440, 1500, 3000)).astype(np.float32) / 8


@pytest.mark.parametrize("rate", [7999, 8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_resampling_keeps_the_signal_and_its_timing(rate):
    ours = resample(tones(np.arange(2 * rate) / rate), rate)
    expected = tones(np.arange(2 * AUDIO_SAMPLE_RATE) / AUDIO_SAMPLE_RATE)
    assert ours.dtype == np.float32
    assert abs(len(ours) - len(expected)) <= 1
    inner = slice(800, len(expected) - 800)
    assert np.abs(ours[inner] - expected[inner]).max() < 1e-3


def test_resampling_real_speech_agrees_with_soxr():
    soxr = pytest.importorskip("soxr")
    path = SAMPLES / "echomimicv2_woman.wav"
    if not path.exists():
        pytest.skip("the real speech of ../shared/samples is not here")
    from scipy.io import wavfile

    rate, stereo = wavfile.read(path)
    ours = resample(stereo.T, rate)
    theirs = soxr.resample(stereo.astype(np.float32).mean(axis=1) / 32768, rate, AUDIO_SAMPLE_RATE, quality="VHQ")
    length = min(len(ours), len(theirs))
    # They differ in the last octave's roll-off only.
    assert np.linalg.norm(ours[:length] - theirs[:length]) < 0.03 * np.linalg.norm(theirs)


def test_frequencies_above_8_khz_do_not_fold_back():
    hiss = np.sin(2 * np.pi * 10_000 * np.arange(44100) / 44100).astype(np.float32)
    assert np.abs(resample(hiss, 44100)[800:-800]).max() < 1e-4


def test_the_same_sound_in_any_number_format_is_the_same():
    sound = tones(np.arange(8000) / 16000)
    for other in (
        (sound * 2**15).round().astype(np.int16),
        (sound.astype(np.float64) * 2**31).round().astype(np.int32),
        torch.from_numpy(sound).double(),
        sound[None, None],
    ):
        assert np.abs(to_float(other)[0] - sound).max() < 1e-4
    assert np.abs(to_float((sound * 128 + 128).round().astype(np.uint8))[0] - sound).max() < 0.005
    assert np.abs(to_float(torch.from_numpy(sound).bfloat16())[0] - sound).max() < 0.005


def test_stereo_is_averaged_and_the_voice_of_surround_sound_survives():
    voice = tones(np.arange(1600) / 16000)
    silent = np.zeros_like(voice)
    assert np.allclose(resample(np.stack([voice, silent]), 16000), voice / 2)
    surround = np.stack([silent, silent, voice, silent, silent, silent])
    assert np.allclose(resample(surround, 16000), mix(surround, 1)[0])
    assert np.linalg.norm(mix(surround, 1)) > 0.25 * np.linalg.norm(voice)
    left, right = mix(surround, 2)
    assert np.array_equal(left, right)
    assert mix(np.stack([voice] * 3), 2).shape == (1, 1600)


def test_resampling_in_blocks_leaves_no_seams():
    sound = tones(np.arange(200_000) / 44100)
    whole = resample_channels(sound[None], 44100, 16000)[0]
    times = np.arange(len(whole)) / 16000
    assert np.abs(whole - tones(times))[800:-800].max() < 1e-3


@pytest.mark.parametrize(
    ("waveform", "sentence"),
    [
        (np.zeros((1, 2, 0)), "no samples"),
        (np.zeros((3, 1, 100)), "batch of 3 sounds"),
        (np.full((1, 100), np.nan), "not numbers"),
        (np.zeros((1, 1, 1, 100)), "shape"),
    ],
)
def test_a_sound_that_cannot_be_used_is_refused(waveform, sentence):
    with pytest.raises(ValueError, match=sentence):
        resample(waveform, 16000)


@pytest.mark.parametrize("rate", [0, -16000, 44100.5])
def test_a_rate_that_makes_no_sense_is_refused(rate):
    with pytest.raises(ValueError, match="sample rate"):
        resample(np.zeros(100), rate)


def test_trimming_cuts_to_the_sample():
    sound = torch.arange(48000)[None]
    assert trim(sound, 16000).shape == (1, 48000)
    assert trim(sound, 16000, 1.0)[0, 0] == 16000
    assert trim(sound, 16000, 1.0, 0.5).tolist()[0] == list(range(16000, 24000))
    assert trim(sound, 16000, 2.5, 10.0).shape[1] == 8000


@pytest.mark.parametrize(
    ("start", "duration", "sentence"),
    [(3.0, 0.0, "only 3.00 s long"), (-1.0, 0.0, "negative"), (0.0, -1.0, "negative"), (0.0, 1e-5, "less than one")],
)
def test_trimming_outside_the_sound_is_refused(start, duration, sentence):
    with pytest.raises(ValueError, match=sentence):
        trim(np.zeros((1, 48000)), 16000, start, duration)


def ffmpeg_loudness(waveform: np.ndarray, rate: int) -> float:
    """Integrated loudness by ffmpeg's meter, which shares nothing with ours."""
    import av
    import av.filter

    if not hasattr(av.AudioFrame, "metadata"):
        pytest.skip("this PyAV does not show what the meter measured")
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=f"1/{rate}")
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(waveform[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    graph.push(frame)
    graph.push(None)
    level = None
    while True:
        try:
            level = float(graph.pull().metadata.get("lavfi.r128.I", level))
        except EOFError:
            return level


@pytest.mark.parametrize("name", ["jfk.flac", "echomimicv2_woman.wav"])
def test_loudness_agrees_with_ffmpegs_meter(name):
    if not (SAMPLES / name).exists():
        pytest.skip("the real speech of ../shared/samples is not here")
    sound, file_rate = read_audio(SAMPLES / name)
    rate = 48000
    speech = resample(sound[:, : 8 * file_rate], file_rate, rate)
    assert loudness(speech, rate) == pytest.approx(ffmpeg_loudness(speech, rate), abs=0.15)
    quiet = normalize_loudness(speech * 0.01, rate)
    peak_limited = np.abs(quiet).max() > 0.999
    assert peak_limited or loudness(quiet, rate) == pytest.approx(-23.0, abs=0.01)


def test_normalising_neither_clips_nor_wakes_silence():
    silence = np.zeros(1600, np.float32)
    assert np.array_equal(normalize_loudness(silence), silence)
    click = np.zeros(16000, np.float32)
    click[8000:8010] = 0.5
    assert np.abs(normalize_loudness(click, target=0.0)).max() == pytest.approx(1.0)
    short = tones(np.arange(1600) / 16000)
    assert loudness(normalize_loudness(short)) == pytest.approx(-23.0, abs=0.01)


@pytest.mark.parametrize("samples, rate", [(1, 44100), (3, 1), (1, 192000), (2, 8000)])
def test_a_handful_of_samples_is_a_sound_too(samples, rate):
    sound = resample(np.full((1, samples), 0.5, np.float32), rate)
    assert len(sound) >= 1 and np.isfinite(sound).all()
