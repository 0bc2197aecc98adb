"""The sound of a file is read straight to mono 16 kHz: the same samples as by the long way, in a part of its memory."""

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest

from echomimic_core.evaluation.metrics.expression import loudness_per_frame
from echomimic_core.evaluation.metrics.sync import mfcc, sync_score
from echomimic_core.media.sound import read_mono
from echomimic_core.media.video import read_audio
from echomimic_core.media.waveform import resample, trim

RATE = 16_000


def recorded(path: Path, seconds: float, rate: int = 48_000, layout: str = "stereo", codec: str = "pcm_s16le") -> Path:
    """A file of noise, another in every channel."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        generator = np.random.default_rng(0)
        left, position = round(seconds * rate), 0
        while left:
            count = min(left, 1 << 16)
            noise = generator.integers(-9000, 9000, (1, count * stream.layout.nb_channels), dtype=np.int16)
            frame = av.AudioFrame.from_ndarray(noise, format="s16", layout=layout)
            frame.sample_rate, frame.pts = rate, position
            container.mux(stream.encode(frame))
            left, position = left - count, position + count
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("seconds", "rate", "layout"),
    [(3, 48_000, "stereo"), (3, 44_100, "mono"), (5, 16_000, "stereo"), (2, 48_000, "5.1"), (5, 8_000, "mono")]
    + [(0.001, 48_000, "mono"), (0.5, 22_050, "stereo")],
)
def test_the_samples_are_those_of_the_long_way(tmp_path, seconds, rate, layout):
    path = recorded(tmp_path / "a.wav", seconds, rate, layout)
    np.testing.assert_allclose(read_mono(path), resample(*read_audio(path)), atol=1e-6)


@pytest.mark.parametrize(("begin", "duration"), [(0, 1), (1.25, 0.5), (2, 0), (0.3, 99)])
def test_a_part_read_alone_equals_that_part_of_the_whole(tmp_path, begin, duration):
    path = recorded(tmp_path / "a.wav", 3, 44_100)
    waveform, rate = read_audio(path)
    expected = resample(trim(waveform, rate, begin, duration), rate)
    np.testing.assert_allclose(read_mono(path, begin, duration), expected, atol=1e-6)


def test_a_part_beyond_the_end_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="has nothing from 9 s on"):
        read_mono(recorded(tmp_path / "a.wav", 1), 9)


def most_memory(function) -> tuple[object, int]:
    """What a function gives, and the most bytes of arrays that it held at once."""
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_reading_holds_only_the_mono_sound(tmp_path):
    """Half a minute of 7.1 at 48 kHz would be 46 MB as it is decoded; it is 1.9 MB, twice while it is joined."""
    path = recorded(tmp_path / "a.wav", 30, layout="7.1")
    sound, peak = most_memory(lambda: read_mono(path))
    assert len(sound) == 30 * RATE and peak < 2 * sound.nbytes + (6 << 20)


def test_what_is_made_of_the_sound_is_smaller_than_the_sound():
    """Ten minutes: MFCC, loudness and distances are taken piece by piece."""
    sound = np.random.default_rng(0).normal(0, 0.1, 600 * RATE).astype(np.float32)
    times = np.arange(600 * 24) / 24
    assert most_memory(lambda: mfcc(sound))[1] < sound.nbytes
    assert most_memory(lambda: loudness_per_frame(sound, RATE, times, 24.0))[1] < sound.nbytes / 10


def test_lip_sync_holds_the_embeddings_little_more_than_once():
    lips, heard = np.random.default_rng(0).normal(size=(2, 3000, 512)).astype(np.float32)
    assert most_memory(lambda: sync_score(lips, heard))[1] < 1.6 * (lips.nbytes + heard.nbytes)
