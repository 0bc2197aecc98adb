"""Video files, streamed frame by frame in both directions, so that memory does not grow with the clip."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from ..files.durable import Draft
from .opening import MediaError, name_of, open_media
from .orientation import display_matrix, square_size, upright
from .waveform import check_sound, mix, resample_channels, to_float

# Extensions of the video files that are looked for in folders.
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")

# Visually lossless H.264: the pixels cost minutes, the bits cost nothing.
CRF = "18"
# Of videos whose background is a still picture or another video: it is to be as it was.
STILL_CRF = "10"
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
FALLBACK_RATE = 48000
BT709 = 1
# Of swscale: bicubic, chroma at full resolution on both sides, rounding.
_EXACT = 0x4 | 0x2000 | 0x4000 | 0x40000

# Sides and pixels of a picture, and seconds between two pictures or before the first sound, that a file may have.
MIN_SIDE, MAX_SIDE, MAX_PIXELS = 16, 16_384, 2**27
LONGEST_GAP = 600.0


class VideoWriter:
    """Write an mp4 (H.264, AAC) as its frames come; a context manager.

    The file appears under its name only when it is complete: cancelling or failing leaves nothing behind.
    The sound is cut, or filled up with silence, to the length of the picture. An odd width or height, which H.264
    cannot hold, is made even by repeating the last column or row.

    Parameters
    ----------
    path : of the file to write; an existing one is replaced.
    fps : frames per second. width, height : of the frames, in pixels.
    audio : (waveform, sample rate) with the waveform as `waveform.to_float` takes it, or None for a silent video.
        More than two channels are mixed to stereo.
    crf : quality as H.264 counts it, less is better.

    Raises
    ------
    ValueError : frames of another size, no frames at all, a sound that cannot be used.
    """

    container, codec, pixels, channels = "mp4", "h264", "yuv420p", 3

    def __init__(self, path, fps: float, width: int, height: int, audio: tuple | None = None, crf: str = CRF):
        import av

        if not fps > 0:
            raise ValueError(f"fps is {fps}, but a video needs more than 0 frames per second")
        self.path = Path(path)
        self.fps = Fraction(fps).limit_denominator(1001)
        self.width, self.height, self.crf = width, height, crf
        self.frames = 0
        sound = _Sound(*audio) if audio is not None else None

        self._sound = sound
        self._draft = Draft(self.path)
        self._container = None
        with self._dropped_if_it_fails():
            self._container = av.open(str(self._draft.part), "w", format=self.container)
            self._add_streams()

    def write(self, frames: np.ndarray | torch.Tensor) -> None:
        """Append frames (n, height, width, 3): uint8, or floats in 0..1."""
        frames = to_uint8(frames) if self.channels == 3 else frames
        if frames.shape[1:] != (self.height, self.width, self.channels):
            raise ValueError(f"the video is {self.width}x{self.height}, but the added frames have shape {frames.shape}")
        frames = np.pad(frames, ((0, 0), (0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        with self._dropped_if_it_fails():
            self._encode(frames)

    def _encode(self, frames: np.ndarray) -> None:
        for picture in frames:
            frame = self._picture(picture)
            frame = frame.reformat(format=self.pixels, src_colorspace="ITU709", dst_colorspace="ITU709")
            frame.pts, frame.time_base = self.frames, 1 / self.fps
            self._container.mux(self._video.encode(frame))
            self.frames += 1
            # Sound and picture advance together, or the container would hold back one of them in memory.
            self._write_sound()

    def _picture(self, picture: np.ndarray):
        import av

        return av.VideoFrame.from_ndarray(picture, format="rgb24")

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self.frames == 0:
            self.abort()
            raise ValueError(f"no frames were written to {self.path.name}: a video needs at least one")
        with self._dropped_if_it_fails():
            self._container.mux(self._video.encode(None))
            if self._sound:
                self._container.mux(self._audio.encode(None))
            self._container.close()
        self._draft.finish()

    def abort(self) -> None:
        """Drop what was written."""
        import av

        # The encoder may be what failed; then its file is still to be deleted.
        with suppress(av.FFmpegError, OSError):
            if self._container is not None:
                self._container.close()
        self._draft.drop()

    @contextmanager
    def _dropped_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.abort()
            if isinstance(error, Exception) and (said := self._draft.explained(error)) is not error:
                raise said from error
            raise

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _options(self) -> dict[str, str]:
        return {"crf": self.crf}

    def _add_streams(self) -> None:
        self._video = self._container.add_stream(self.codec, rate=self.fps, options=self._options())
        self._video.width, self._video.height = self.width + self.width % 2, self.height + self.height % 2
        self._video.pix_fmt = self.pixels
        # Untagged, players would guess the colours of small pictures differently from those of large ones.
        context = self._video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        if self._sound:
            self._audio = self._container.add_stream("aac", rate=self._sound.rate, layout=self._sound.layout)

    def _write_sound(self) -> None:
        if self._sound:
            for frame in self._sound.until(self.frames / self.fps):
                self._container.mux(self._audio.encode(frame))


class _Sound:
    """A sound handed out piece by piece, silent after its end."""

    def __init__(self, waveform, rate):
        waveform = mix(to_float(waveform), 2)
        self.rate = rate if rate in AAC_RATES else FALLBACK_RATE
        self.waveform = resample_channels(waveform, rate, self.rate)
        self.layout = "mono" if len(waveform) == 1 else "stereo"
        self.position = 0

    def until(self, seconds: Fraction) -> Iterator:
        """The samples from the last call's end to `seconds`, as frames for the encoder."""
        import av

        stop = round(seconds * self.rate)
        if stop <= self.position:
            return
        piece = self.waveform[:, self.position : stop]
        piece = np.pad(piece, ((0, 0), (0, stop - self.position - piece.shape[1])))
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(np.clip(piece, -1.0, 1.0)), format="fltp", layout=self.layout
        )
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self.position, Fraction(1, self.rate)
        self.position = stop
        yield frame


def to_uint8(frames: np.ndarray | torch.Tensor) -> np.ndarray:
    """Pictures (..., 3 or more channels) as uint8 RGB: integers as they are, floats in 0..1 rounded and clipped."""
    if isinstance(frames, torch.Tensor):
        frames = frames.detach()
        frames = (frames.float() if frames.is_floating_point() else frames).cpu().numpy()
    frames = frames[..., :3]
    if frames.dtype == np.uint8:
        return frames
    return (np.nan_to_num(frames).clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def read_frames(source, fps: float | None = None, exact: bool = False) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (seconds, picture) for every frame, pictures (height, width, 3) uint8 RGB, upright and of square pixels.

    Parameters
    ----------
    source : a path, or a file object.
    fps : None for the frames as they are; else one picture every 1 / fps seconds, each the last one shown by then.
    exact : round colours instead of cutting them off, for pictures that are written again: slower, and on average one
        step of 255 lighter.

    Raises
    ------
    ValueError : no such file, not a video, damaged, sides beyond `MIN_SIDE` to `MAX_SIDE` pixels.
    """
    frames = _decode_frames(source, exact)
    return frames if fps is None else _at_rate(frames, fps, name_of(source))


def frame_rate(source) -> float:
    """Average frames per second of a video file; ValueError as `read_frames`."""
    with open_media(source, "video") as (_, stream):
        rate = stream.average_rate or stream.guessed_rate
    if not rate or rate < 0:
        raise ValueError(f"{name_of(source)} does not state its frame rate")
    return float(rate)


def has_sound(source) -> bool:
    """Whether a file has a track of sound; ValueError as `read_frames`."""
    with open_media(source, "video") as (container, _):
        return bool(container.streams.audio)


def read_audio(source) -> tuple[np.ndarray, int]:
    """Sound of an audio or video file as (channels, samples) float32 in -1..1, and its rate.

    Sample 0 is at time 0 of the file: where the sound begins later than the picture, silence comes first.

    Raises
    ------
    ValueError : no such file, no sound in it, damaged, more channels or another rate than `waveform.check_sound` takes.
    """
    pieces, rates = [], []
    for piece, rate in sound_pieces(source):
        pieces.append(piece)
        rates.append(rate)
    if not pieces:
        raise ValueError(f"{name_of(source)} contains no audio: the file is empty or truncated")
    return np.concatenate(pieces, axis=1), rates[0]


def sound_pieces(source) -> Iterator[tuple[np.ndarray, int]]:
    """The sound of a file as `read_audio` returns it, but (channels, some samples) at a time, each with the rate.

    Raises
    ------
    ValueError : as `read_audio`.
    """
    import av

    with open_media(source, "audio") as (container, stream):
        rate, channels = stream.rate or 0, stream.layout.nb_channels
        if not rate or not channels:
            raise MediaError(f"{name_of(source)} contains no audio: the file is empty or truncated")
        _check(check_sound, channels, rate, name_of(source))
        # packed: PyAV reads beyond its list of planes where there are eight of them, as 7.1 sound has
        floats = av.AudioResampler("flt", stream.layout.name, rate)
        for index, frame in enumerate(chain(container.decode(stream), [None])):
            if frame is not None:
                if index == 0 and frame.time and frame.time > 0:
                    yield np.zeros((channels, _samples_before(frame.time, rate, source)), np.float32), rate
                frame.pts = None
            for piece in floats.resample(frame):
                if piece.samples:
                    yield np.ascontiguousarray(piece.to_ndarray().reshape(-1, channels).T), rate


def _samples_before(seconds: float, rate: int, source) -> int:
    if seconds > LONGEST_GAP:
        raise MediaError(
            f"the sound of {name_of(source)} begins {seconds:.0f} s after its beginning: its timestamps are "
            "damaged, convert the file again"
        )
    return round(seconds * rate)


def _decode_frames(source, exact: bool = False) -> Iterator[tuple[float, np.ndarray]]:
    with open_media(source, "video") as (container, stream):
        stream.thread_type = "AUTO"
        name = name_of(source)
        size = _picture_size(stream.codec_context.width, stream.codec_context.height, stream, name)
        rate = stream.average_rate or stream.guessed_rate
        matrix = index = None
        for index, frame in enumerate(container.decode(stream)):
            if index == 0 and not size:
                size = _picture_size(frame.width, frame.height, stream, name)
            if frame.time is None and not rate:
                raise MediaError(f"{name} has no timestamps for its pictures: convert the file again")
            # Of the first frame only: asking keeps a frame alive for long, and it does not change.
            matrix = display_matrix(frame) if index == 0 else matrix
            # Later frames of another size are brought to that of the first.
            picture = (_exact_rgb if exact else _rgb)(frame, *size)
            seconds = frame.time if frame.time is not None else float(index / rate)
            yield seconds, upright(picture, matrix)
        if index is None:
            raise MediaError(f"{name} contains no pictures: the file is empty or truncated")


def _rgb(frame, width: int, height: int) -> np.ndarray:
    return frame.to_ndarray(format="rgb24", width=width, height=height)


def _exact_rgb(frame, width: int, height: int) -> np.ndarray:
    try:
        return frame.reformat(width, height, "rgb24", interpolation=_EXACT).to_ndarray()
    except (ValueError, TypeError, KeyError):  # A PyAV that has no names for these.
        return _rgb(frame, width, height)


def _picture_size(width: int, height: int, stream, name: str) -> tuple[int, int] | None:
    """Width and height of the pictures with square pixels; None where the file does not say it before a frame."""
    if not width or not height:
        return None
    size = square_size(width, height, getattr(stream, "sample_aspect_ratio", None))
    for sides in ((width, height), size):
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in sides) or sides[0] * sides[1] > MAX_PIXELS:
            raise MediaError(
                f"{name} has pictures of {sides[0]} x {sides[1]} pixels, but sides of {MIN_SIDE} to {MAX_SIDE} and at "
                f"most {MAX_PIXELS:,} pixels can be used"
            )
    return size


def _at_rate(frames: Iterator[tuple[float, np.ndarray]], fps: float, name: str) -> Iterator[tuple[float, np.ndarray]]:
    """The frames shown at 0, 1 / fps, 2 / fps, ... seconds after the first one."""
    if not fps > 0:
        raise ValueError(f"fps is {fps}, but it must be above 0")
    start, wanted, shown = None, 0, None
    last, length = 0.0, 0.0
    for seconds, picture in frames:
        start = seconds if start is None else start
        seconds -= start
        if not abs(seconds - last) <= LONGEST_GAP:
            raise MediaError(
                f"{name} jumps by {abs(seconds - last):.0f} s between two pictures: its timestamps are damaged, "
                "convert the file again"
            )
        # A millisecond of grace, since containers round their timestamps.
        while shown is not None and wanted / fps < seconds - 1e-3:
            yield wanted / fps, shown
            wanted += 1
        length = seconds - last if seconds > last else length
        last, shown = seconds, picture
    while shown is not None and wanted / fps < last + length - 1e-3:
        yield wanted / fps, shown
        wanted += 1
    if shown is not None and wanted == 0:
        yield 0.0, shown


def _check(check, *values) -> None:
    try:
        check(*values)
    except ValueError as error:
        raise MediaError(str(error)) from error
