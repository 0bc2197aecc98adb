"""A VIDEO of the graph is read as ComfyUI means it: its cut, counted from either end, and one file for two inputs."""

import importlib
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from echomimic_core.media.video import frame_rate
from tests.unit.evaluation_clips import write

REPO = Path(__file__).resolve().parents[3]
FPS, SECONDS = 24, 4


def before_cuts():
    """The VIDEO of ComfyUI 0.3.75, whose file is always whole."""

    class VideoFromFile:
        def __init__(self, file):
            self.file = file

        def get_stream_source(self):
            if isinstance(self.file, io.BytesIO):
                self.file.seek(0)
            return self.file

        def get_duration(self):
            return float(SECONDS)

    return VideoFromFile


def with_private_cuts():
    """A VIDEO that can be cut, without a method that tells of it: a negative begin counts from the end."""

    class VideoFromFile(before_cuts()):
        def __init__(self, file, start_time=0.0, duration=0.0):
            super().__init__(file)
            self.__start_time, self.__duration = start_time, duration

        def _get_raw_duration(self):
            return float(SECONDS)

        def get_duration(self):
            left = SECONDS - self.__start_time if self.__start_time >= 0 else min(SECONDS, -self.__start_time)
            return min(self.__duration or left, left)

        def begin_and_duration(self):
            return self.__start_time, self.__duration

    return VideoFromFile


def with_cuts():
    """A VIDEO that tells of its cut; what its private attributes are called is its own affair."""

    class CutVideo(with_private_cuts()):
        def __init__(self, *cut):
            super().__init__(*cut)
            self._cut = self.begin_and_duration()
            self._VideoFromFile__start_time = self._VideoFromFile__duration = 99.0

        def get_active_trim_window(self):
            begin, duration = self._cut
            return (max(SECONDS + begin, 0.0) if begin < 0 else begin), duration

        def get_duration(self):
            begin, duration = self.get_active_trim_window()
            return duration or SECONDS - begin

    return CutVideo


def nodes_with(kind: type, monkeypatch) -> SimpleNamespace:
    """The nodes that read a VIDEO, in as much of ComfyUI as they ask for when they are imported."""
    comfy = ModuleType("comfy")
    comfy.model_management = ModuleType("comfy.model_management")
    comfy.model_management.throw_exception_if_processing_interrupted = lambda: None
    comfy.utils = ModuleType("comfy.utils")
    comfy.conds = ModuleType("comfy.conds")
    comfy.conds.CONDConstant = object
    latest = ModuleType("comfy_api.latest")
    latest.InputImpl = SimpleNamespace(VideoFromFile=kind)
    latest.io = SimpleNamespace(ComfyNode=object, Schema=object, Custom=lambda name: name, NodeOutput=tuple)
    latest.ui = SimpleNamespace()
    modules = {"comfy": comfy, "comfy.model_management": comfy.model_management, "comfy.utils": comfy.utils}
    modules |= {"comfy_api": ModuleType("comfy_api"), "comfy_api.latest": latest}
    modules |= {name: ModuleType(name) for name in ("folder_paths", "latent_preview")}
    modules["comfy.conds"] = comfy.conds
    spec = importlib.util.spec_from_file_location("pack", REPO / "__init__.py", submodule_search_locations=[str(REPO)])
    modules["pack"] = importlib.util.module_from_spec(spec)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    evaluate, footage = (
        importlib.import_module(f"pack.{name}") for name in ("nodes.output.evaluate", "bridge.footage")
    )
    return SimpleNamespace(evaluate=evaluate, footage=footage)


@pytest.fixture(autouse=True)
def forget_the_pack():
    """The next test imports it anew, in another ComfyUI."""
    yield
    for name in [name for name in sys.modules if name.startswith("pack.")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Four seconds that grow brighter with every frame, and a voice that does with every second."""
    frames = FPS * SECONDS
    pictures = np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None] * 2, (frames, 32, 32, 3))
    tone = np.sin(np.arange(SECONDS * 16000) * 0.3) * np.repeat(0.1 * 2.0 ** np.arange(SECONDS), 16000) / 2
    return write(tmp_path_factory.mktemp("film") / "film.mp4", pictures.copy(), tone.astype(np.float32), FPS)


def shown(frames) -> list[int]:
    """Numbers of the film's frames, told by their brightness."""
    return [round(float(picture.mean()) / 2) for _, picture in frames]


CUTS = {
    "whole": (0.0, 0.0, range(96)),
    "from the start on": (1.0, 2.0, range(24, 72)),
    "the last second and a half": (-1.5, 0.0, range(60, 96)),
    "a second, from two before the end on": (-2.0, 1.0, range(48, 72)),
    "from before the start": (-9.0, 1.0, range(24)),
}


@pytest.mark.parametrize("kind", [with_private_cuts, with_cuts])
@pytest.mark.parametrize(("begin", "duration", "expected"), CUTS.values(), ids=CUTS)
def test_both_nodes_read_the_part_that_the_graph_has_cut_out(film, monkeypatch, kind, begin, duration, expected):
    kind = kind()
    nodes = nodes_with(kind, monkeypatch)
    video = kind(str(film), begin, duration)
    clip = nodes.evaluate._clip(video, "video")
    frames, seconds, rate = nodes.footage.timed_frames(video, 24.0)
    # Coding moves the brightness of a frame by less than one step.
    assert shown(clip.frames()) == pytest.approx(list(expected), abs=1)
    assert shown(frames) == pytest.approx(list(expected), abs=1)
    assert (seconds, rate) == (len(expected) / FPS, FPS) and clip.length() == len(expected)
    assert next(iter(clip.frames()))[0] == pytest.approx(0, abs=1e-3)


def test_the_sound_is_that_of_the_part(film, monkeypatch):
    kind = with_cuts()
    clip = nodes_with(kind, monkeypatch).evaluate._clip(kind(str(film), -1.0, 0.0), "video")
    waveform = clip.mono()
    assert len(waveform) / 16000 == pytest.approx(1, abs=0.1)
    assert np.abs(waveform).max() == pytest.approx(0.4, rel=0.1)


def test_a_comfyui_without_cuts_reads_the_whole_file(film, monkeypatch):
    kind = before_cuts()
    nodes = nodes_with(kind, monkeypatch)
    assert len(shown(nodes.evaluate._clip(kind(str(film)), "video").frames())) == 96
    assert len(shown(nodes.footage.timed_frames(kind(str(film)), 24.0)[0])) == 96


def test_frames_that_the_graph_has_still_to_crop_are_asked_of_the_graph(film, monkeypatch):
    class Cropped(with_cuts()):
        def has_pending_frame_edits(self):
            return True

        def get_components(self):
            return SimpleNamespace(images=np.zeros((5, 8, 8, 3), np.uint8), audio=None, frame_rate=24)

    nodes = nodes_with(Cropped, monkeypatch)
    clip = nodes.evaluate._clip(Cropped(str(film), 0.0, 0.0), "video")
    assert [picture.shape for _, picture in clip.frames()] == [(8, 8, 3)] * 5


def test_one_file_in_memory_on_both_inputs_is_compared_with_itself(film, monkeypatch):
    """Each input reads all of it, however their readings lie one between the other."""
    kind = before_cuts()
    nodes = nodes_with(kind, monkeypatch)
    video = kind(io.BytesIO(film.read_bytes()))
    clips = [nodes.evaluate._clip(video, name) for name in ("video", "reference")]
    readers = [clip.frames() for clip in clips]
    pairs = []
    for (_, mine), (_, other) in zip(*readers, strict=True):
        pairs.append((mine, other))
        assert clips[0].fps() == frame_rate(film) and clips[1].length() == 96
    assert len(pairs) == 96 and all(np.array_equal(*pair) for pair in pairs)
