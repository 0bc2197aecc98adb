"""A video is read as every player shows it: turned, mirrored, with square pixels; hostile ones are sentences."""

import socket
import struct
from fractions import Fraction
from itertools import product

import av
import numpy as np
import pytest

from echomimic_core.media.orientation import square_size, upright
from echomimic_core.media.video import VideoWriter, read_audio, read_frames

ONE = 1 << 16
IDENTITY = np.array([ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30], ">i4").tobytes()


def quarters(height=48, width=64) -> np.ndarray:
    """A picture of four quarters: red, green above; blue, white below."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = 255
    return picture


def corners(picture: np.ndarray) -> str:
    names = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B", (1, 1, 1): "W"}
    rows, columns = picture.shape[0] // 4, picture.shape[1] // 4
    places = [(rows, columns), (rows, -columns), (-rows, columns), (-rows, -columns)]
    return "".join(names[tuple((picture[place] > 127).astype(int))] for place in places)


def film(path, matrix, height=48, width=64):
    with VideoWriter(path, 24, width, height) as writer:
        writer.write(np.repeat(quarters(height, width)[None], 3, axis=0))
    data = bytearray(path.read_bytes())
    a, b, c, d = matrix
    where = data.index(IDENTITY, data.index(b"tkhd"))
    data[where : where + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(data)
    return path


# By hand: a file's x goes to (a, b), its y to (c, d), y down. Corners are read as left above, right, left below, right.
SHOWN = {
    (1, 0, 0, 1): "RGBW",
    (-1, 0, 0, 1): "GRWB",
    (1, 0, 0, -1): "BWRG",
    (-1, 0, 0, -1): "WBGR",
    (0, 1, -1, 0): "BRWG",
    (0, -1, 1, 0): "GWRB",
    (0, 1, 1, 0): "RBGW",
    (0, -1, -1, 0): "WGBR",
}


@pytest.mark.parametrize("matrix", SHOWN)
def test_every_turn_and_mirror_is_obeyed(tmp_path, matrix):
    _, picture = next(read_frames(film(tmp_path / "a.mp4", [ONE * value for value in matrix])))
    assert picture.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3)) and picture.flags.c_contiguous
    assert corners(picture) == SHOWN[matrix]


def test_small_and_damaged_matrices_do_no_harm():
    picture = quarters()
    for numbers in product((0, 1, -(1 << 31), (1 << 31) - 1), repeat=4):
        a, b, c, d = numbers
        matrix = np.array([a, b, 0, c, d, 0, 0, 0, 0], np.int64).astype(np.int32)
        assert sorted(corners(upright(picture, matrix))) == sorted("RGBW")
    assert upright(picture, None) is picture


@pytest.mark.parametrize(
    "aspect, size", [(None, (64, 48)), (Fraction(1), (64, 48)), (Fraction(2), (128, 48)), (Fraction(1, 2), (64, 96))]
)
def test_pixels_are_made_square(aspect, size):
    assert square_size(64, 48, aspect) == size


def test_a_video_of_wide_pixels_is_read_wide(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(quarters(), format="rgb24")))
        container.mux(stream.encode(None))
    _, picture = next(read_frames(path))
    assert picture.shape == (48, 96, 3) and corners(picture) == "RGBW"


def test_titles_in_another_encoding_are_no_damage(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLETITLE"
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(quarters(), format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"TITLETITLE", b"\xff\xfe\xe9\xe8ETITLE"))
    assert len(list(read_frames(path))) == 1


def wav(channels: int, rate: int, samples: int = 400) -> bytes:
    data = np.zeros((samples, channels), "<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, (rate * channels * 2) % 2**32, channels * 2, 16)
    body = b"WAVE" + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("channels", (1, 3, 10, 64))
def test_up_to_64_channels_are_read(tmp_path, channels):
    (tmp_path / "a.wav").write_bytes(wav(channels, 48_000))
    sound, rate = read_audio(tmp_path / "a.wav")
    assert sound.shape == (channels, 400) and rate == 48_000


@pytest.mark.parametrize("channels, rate", [(65, 48_000), (200, 48_000), (1, 100), (1, 900_000), (2, 2**31 - 1)])
def test_other_channels_and_rates_are_sentences(tmp_path, channels, rate):
    (tmp_path / "a.wav").write_bytes(wav(channels, rate))
    with pytest.raises(ValueError, match=r"a\.wav (has|cannot be read)"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [(8, 64), (64, 8)])
def test_pictures_of_eight_pixels_are_a_sentence(tmp_path, size):
    with VideoWriter(tmp_path / "a.mp4", 24, *size) as writer:
        writer.write(np.zeros((1, size[1], size[0], 3), np.uint8))
    with pytest.raises(ValueError, match=r"a.mp4 has pictures of \d+ x \d+ pixels, but sides of 16 to 16384"):
        list(read_frames(tmp_path / "a.mp4"))


def test_a_reader_that_is_cancelled_between_frames_lets_the_cancel_through(tmp_path):
    class Cancelled(Exception):
        pass

    film(tmp_path / "a.mp4", (ONE, 0, 0, ONE))
    with pytest.raises(Cancelled):
        for _ in read_frames(tmp_path / "a.mp4", 24):
            raise Cancelled


@pytest.mark.parametrize(
    "kind", ("#EXTM3U\n#EXTINF:1,\n{link}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{link}'\n")
)
def test_a_playlist_that_calls_itself_a_video_reaches_no_network(tmp_path, kind):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        link = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        (tmp_path / "a.mp4").write_text(kind.format(link=link))
        with pytest.raises(ValueError, match="a.mp4 cannot be read as video"):
            list(read_frames(tmp_path / "a.mp4"))
        with pytest.raises(BlockingIOError):
            server.accept()
