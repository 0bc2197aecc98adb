"""A video file has every frame, the right rate, sound of the right length, and exists only when it is complete."""

import io
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from echomimic_core.media.video import VideoWriter, frame_rate, read_audio, read_frames, to_uint8

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "audio"


def picture(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Grey that tells its number: 16 levels are far apart enough to survive the codec."""
    return np.full((height, width, 3), 8 + 15 * (index % 16), np.uint8)


def write(path, frames=30, fps=24.0, height=48, width=64, audio=None):
    with VideoWriter(path, fps, width, height, audio) as writer:
        for index in range(frames):
            writer.write(picture(index, height, width)[None])


def sine(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[None].astype(np.float32), channels, axis=0)


@pytest.mark.parametrize("fps", [24.0, 25.0, 23.976, 29.97, 60.0])
def test_every_frame_comes_back_in_order_at_its_time(tmp_path, fps):
    write(tmp_path / "a.mp4", 37, fps)
    frames = list(read_frames(tmp_path / "a.mp4"))
    assert len(frames) == 37
    for index, (seconds, image) in enumerate(frames):
        assert seconds == pytest.approx(index / fps, abs=1e-3)
        assert abs(float(image.mean()) - picture(index).mean()) < 4
    assert frame_rate(tmp_path / "a.mp4") == pytest.approx(fps, rel=1e-4)


def test_colours_survive_encoding(tmp_path):
    bars = np.zeros((64, 256, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50)]
    for index, colour in enumerate(colours):
        bars[:, 64 * index : 64 * (index + 1)] = colour
    with VideoWriter(tmp_path / "a.mp4", 24, 256, 64) as writer:
        writer.write(torch.from_numpy(bars)[None].float().repeat(5, 1, 1, 1) / 255)
    _, image = next(read_frames(tmp_path / "a.mp4"))
    for index, colour in enumerate(colours):
        assert np.abs(image[32, 64 * index + 32].astype(int) - colour).max() <= 6
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.colorspace == 1


@pytest.mark.parametrize("seconds", [0.1, 1.0, 30 / 24, 5.0])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 6), (37_800, 1), (192_000, 2)])
def test_sound_is_as_long_as_the_picture(tmp_path, rate, channels, seconds):
    write(tmp_path / "a.mp4", 30, 24.0, audio=(torch.from_numpy(sine(seconds, rate, channels))[None], rate))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        assert float(stream.duration * stream.time_base) == pytest.approx(30 / 24, abs=0.003)
    sound, out_rate = read_audio(tmp_path / "a.mp4")
    assert len(sound) == min(channels, 2)
    assert out_rate == (rate if rate in (16_000, 44_100, 48_000) else 48_000)
    if seconds < 1:
        assert np.abs(sound[:, round(0.3 * out_rate) :]).max() < 1e-3


def test_sound_and_picture_stay_in_time(tmp_path):
    rate = 44_100
    click = np.zeros((1, 2 * rate), np.float32)
    click[0, rate : rate + 200] = 0.9
    write(tmp_path / "a.mp4", 48, 24.0, audio=(click, rate))
    sound, _ = read_audio(tmp_path / "a.mp4")
    assert np.abs(sound[0]).argmax() == pytest.approx(rate + 100, abs=250)


def test_a_film_without_sound_has_no_sound_track(tmp_path):
    write(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not container.streams.audio
    with pytest.raises(ValueError, match="a.mp4 has no audio in it"):
        read_audio(tmp_path / "a.mp4")


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (47, 63), (48, 64)])
def test_odd_sizes_repeat_the_last_row_or_column(tmp_path, height, width):
    write(tmp_path / "a.mp4", 3, height=height, width=width)
    images = [image for _, image in read_frames(tmp_path / "a.mp4")]
    assert images[0].shape == (48, 64, 3)
    assert np.ptp(images[0].astype(int)) <= 4


def test_failing_or_cancelling_leaves_nothing_behind_and_keeps_the_old_file(tmp_path):
    write(tmp_path / "a.mp4", 3)
    old = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(InterruptedError), VideoWriter(tmp_path / "a.mp4", 24, 64, 48) as writer:
        writer.write(picture(0)[None])
        assert (tmp_path / "a.mp4").read_bytes() == old
        raise InterruptedError
    with pytest.raises(ValueError, match="no frames"), VideoWriter(tmp_path / "b.mp4", 24, 64, 48):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == old


def test_wrong_input_is_refused_with_a_sentence(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 24, 64, 48) as writer:
        with pytest.raises(ValueError, match=r"64x48, but the added frames have shape \(1, 48, 32, 3\)"):
            writer.write(np.zeros((1, 48, 32, 3), np.uint8))
        writer.write(picture(0)[None])
    with pytest.raises(ValueError, match="fps is 0"):
        VideoWriter(tmp_path / "b.mp4", 0, 64, 48)
    with pytest.raises(ValueError, match="no samples"):
        VideoWriter(tmp_path / "b.mp4", 24, 64, 48, (np.zeros((1, 0)), 16000))
    (tmp_path / "text.mp4").write_text("not a video at all")
    for reader in (lambda path: list(read_frames(path)), read_audio, frame_rate):
        with pytest.raises(ValueError, match="there is no file"):
            reader(tmp_path / "missing.mp4")
        with pytest.raises(ValueError, match="text.mp4 cannot be read"):
            reader(tmp_path / "text.mp4")


def test_floats_are_rounded_and_clipped():
    values = torch.tensor([-1.0, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 2.0, float("nan")])[:, None].repeat(1, 4)
    assert to_uint8(values).tolist() == [[level] * 3 for level in (0, 0, 0, 1, 255, 255, 0)]
    assert to_uint8(values.bfloat16()).dtype == np.uint8


@pytest.mark.parametrize(("fps", "count"), [(24.0, 48), (12.0, 24), (25.0, 50), (48.0, 96), (10.0, 20)])
def test_reading_at_another_rate_shows_what_was_on_screen(tmp_path, fps, count):
    write(tmp_path / "a.mp4", 48, 24.0)
    frames = list(read_frames(tmp_path / "a.mp4", fps))
    assert len(frames) == count
    for index, (seconds, image) in enumerate(frames):
        assert seconds == pytest.approx(index / fps)
        assert abs(float(image.mean()) - picture(int(index / fps * 24 + 1e-6)).mean()) < 4


def test_a_file_in_memory_is_read_too(tmp_path):
    write(tmp_path / "a.mp4", 5, audio=(sine(0.5, 16000), 16000))
    file = io.BytesIO((tmp_path / "a.mp4").read_bytes())
    assert len(list(read_frames(file))) == 5
    assert read_audio(file)[1] == 16000


def test_a_video_stored_lying_is_turned_upright(tmp_path):
    halves = np.zeros((1, 48, 64, 3), np.uint8)
    halves[:, :, :32] = 255
    with VideoWriter(tmp_path / "lying.mp4", 24, 64, 48) as writer:
        writer.write(halves)
    data = bytearray((tmp_path / "lying.mp4").read_bytes())
    identity = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    quarter = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    # The track header holds the second matrix; the first one is the movie's.
    where = data.index(identity, data.index(b"tkhd"))
    data[where : where + 36] = quarter
    (tmp_path / "phone.mp4").write_bytes(data)
    _, image = next(read_frames(tmp_path / "phone.mp4"))
    assert image.shape == (64, 48, 3)
    # A quarter turn clockwise: what lay left stands above.
    assert image[:24].mean() > 240 and image[40:].mean() < 15


@pytest.mark.parametrize("name", ["jfk.flac", "echomimicv2_woman.wav"])
def test_real_speech_is_read_whole(name):
    if not (SAMPLES / name).exists():
        pytest.skip("the real speech of ../shared/samples is not here")
    sound, rate = read_audio(SAMPLES / name)
    with av.open(str(SAMPLES / name)) as container:
        assert sound.shape[1] / rate == pytest.approx(container.duration / 1e6, abs=0.05)
    assert 0.05 < np.abs(sound).max() <= 1.0


MEMORY_OF_WRITING = """
import resource, sys
import numpy as np
from echomimic_core.media.video import VideoWriter, read_frames
frames, path = int(sys.argv[1]), sys.argv[2]
noise = np.random.default_rng(0).integers(0, 255, (1, 256, 256, 3), np.uint8)
with VideoWriter(path, 24, 256, 256, (np.zeros((1, 16000)), 16000)) as writer:
    for index in range(frames):
        writer.write(np.roll(noise, index, axis=1))
assert sum(1 for _ in read_frames(path)) == frames
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux only")
def test_memory_does_not_grow_with_the_clip(tmp_path):
    def peak(frames):
        command = [sys.executable, "-c", MEMORY_OF_WRITING, str(frames), str(tmp_path / "a.mp4")]
        root = Path(__file__).parents[3]
        return int(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)

    short, long = peak(120), peak(600)
    # 480 frames more are 94 MB of pixels.
    assert long - short < 15_000


def test_sound_of_eight_channels_is_read_whole(tmp_path):
    """PyAV reads beyond its planes where eight of them are asked for apart."""
    samples = np.random.default_rng(0).integers(-9000, 9000, (48_000, 8)).astype(np.int16)
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="7.1")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="7.1")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sound, rate = read_audio(tmp_path / "a.wav")
    assert rate == 48_000 and np.allclose(sound, samples.T / 32768, atol=1e-6)
    assert sound.flags.c_contiguous, "ffmpeg takes no other"
