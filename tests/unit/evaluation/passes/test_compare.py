"""Frames are compared with those that are shown at the same time, however the two videos are timed."""

from fractions import Fraction

import av
import numpy as np
import pytest

from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.passes.compare import compare, shown_together
from echomimic_core.evaluation.settings import Settings
from echomimic_core.evaluation.slices import frames_between
from tests.unit.evaluation_clips import moving_picture


def together(mine: list[float], real: list[float]) -> list[tuple]:
    """Which real frame, by its place, each generated frame is compared with."""
    pairs = shown_together(((t, i) for i, t in enumerate(mine)), ((t, i) for i, t in enumerate(real)))
    return [(a and a[1], b and b[1]) for a, b in pairs]


@pytest.mark.parametrize(
    ("mine", "real", "pairs"),
    [
        # The same times, one of them counted from elsewhere and rounded to milliseconds.
        ([0, 0.04, 0.08], [1, 1.0401, 1.0799], [(0, 0), (1, 1), (2, 2)]),
        # Half the rate, and double.
        ([0, 0.08], [0, 0.04, 0.08, 0.12], [(0, 0), (1, 2)]),
        ([0, 0.08], [0, 0.04, 0.08, 0.12, 0.16], [(0, 0), (1, 2), (None, 4)]),
        ([0, 0.04, 0.08, 0.12], [0, 0.08], [(0, 0), (1, 0), (2, 1), (3, 1)]),
        # A variable rate: frames that were left out are shown as the one before them.
        ([0, 0.04, 0.08, 0.12, 0.16], [0, 0.04, 0.16], [(0, 0), (1, 1), (2, 1), (3, 1), (4, 2)]),
        # The real one ends first; its last frame is shown as long as the one before.
        ([0, 0.04, 0.08, 0.12], [0, 0.04], [(0, 0), (1, 1), (2, None)]),
        ([], [0, 0.04], [(None, 0)]),
        ([0, 0.04], [], [(0, None)]),
    ],
)
def test_frames_meet_by_time(mine, real, pairs):
    assert together(mine, real) == pairs


def variable(path, pictures: np.ndarray, times: list[int]):
    """A lossless video whose frames are shown from these milliseconds on."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1000)
        stream.width, stream.height, stream.pix_fmt = *pictures.shape[2:0:-1], "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = time, stream.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_file_of_variable_rate_equals_the_frames_that_it_shows(tmp_path):
    pictures, times = moving_picture(12), [40 * index for index in range(12)]
    kept = [0, 1, 4, 5, 6, 11]
    real = Clip("a", "video", variable(tmp_path / "a.mkv", pictures[kept], [times[index] for index in kept]))
    shown = [max(index for index in kept if index <= frame) for frame in range(12)]
    made = Clip("a", "video", pictures=pictures[shown], rate=25.0)
    results, remarks = compare(made, real, ["psnr"], Settings(folders=()), lambda: None)
    assert np.isinf(results["psnr"]["values"]).all() and len(results["psnr"]["values"]) == 12
    assert "compared at the same times" in remarks[0]


def test_stretches_of_anamorphic_videos_have_square_pixels(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as made:
        stream = made.add_stream("h264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        for picture in moving_picture(3):
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        made.mux(stream.encode(None))
    (_, picture), *_ = frames_between(tmp_path / "a.mp4", 0.0, 0.1, 24)
    assert picture.shape == (64, 128, 3)
