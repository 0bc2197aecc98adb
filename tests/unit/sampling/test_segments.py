"""Long clips: segments that know each other, survive the process, and speak with the voice of their own minute."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from echomimic_core.config import SamplingConfig
from echomimic_core.sampling.segments import (
    SegmentStore,
    fingerprint,
    frame_noise,
    plan_segments,
    run_segments,
    torch_sampler,
)

from ..tiny import conditions, denoiser, relative_error

FRAMES = 40
CONFIG = SamplingConfig(steps=3, guidance_scale=1.0, context_frames=8, context_overlap=2)


def run(folder, frames=FRAMES, segment_frames=16, held=4, loop=False, clip=None, seen=None, seed=3) -> torch.Tensor:
    clip = clip or conditions(frames, 4, 4)
    segments = plan_segments(frames, segment_frames, held, loop)
    sampler = torch_sampler(denoiser(), clip, frames, seed, CONFIG, loop=loop)

    def counted(segment, held, progress):
        if seen is not None:
            seen.append(segment.index)
        return sampler(segment, held, progress)

    return torch.cat([x for _, x in run_segments(segments, SegmentStore(folder, "run", segments), counted)])


@pytest.mark.parametrize("frames", [1, 16, 17, 40, 41, 399, 14400])
@pytest.mark.parametrize("loop", [False, True])
def test_segments_cover_every_frame_once(frames, loop):
    segments = plan_segments(frames, 16, 4, loop)
    assert [f for s in segments for f in range(s.first, s.last)] == list(range(frames))
    assert all(s.before == 4 and s.start == s.first - 4 for s in segments[1:])
    assert all(s.frames <= 16 + 6 + 4 for s in segments)
    assert all(s.last - s.first >= 6 for s in segments) or frames < 6


def test_segments_refuse_to_hold_more_than_they_are():
    with pytest.raises(ValueError, match="segment of 8 frames cannot include 8"):
        plan_segments(100, 8, 8)


def test_a_resumed_run_samples_only_what_is_missing_and_gives_the_same_bytes(tmp_path):
    whole = run(tmp_path / "a")
    files = sorted((tmp_path / "a").glob("segment_*"))
    before = [path.read_bytes() for path in files]
    files[1].unlink()
    files[2].write_bytes(before[2][:-9])  # Torn in the middle
    seen = []
    assert torch.equal(run(tmp_path / "a", seen=seen), whole)
    assert seen == [1, 2]
    assert [path.read_bytes() for path in files] == before


def test_held_frames_stay_and_lead_their_neighbours(tmp_path):
    first = run(tmp_path / "a")
    # The same clip, but the first segment comes from elsewhere
    path = sorted((tmp_path / "a").glob("segment_*"))[0]
    segments = plan_segments(FRAMES, 16, 4)
    store = SegmentStore(tmp_path / "b", "run", segments)
    store.save(segments[0], SegmentStore(tmp_path / "a", "run", segments).load(segments[0]) * 3)
    second = run(tmp_path / "b")
    assert path.exists()
    assert torch.equal(second[:16], first[:16] * 3)
    assert relative_error(second[16:20], first[16:20]) > 1e-3


def test_frames_hear_their_own_moment_of_the_voice(tmp_path):
    quiet, loud = conditions(FRAMES, 4, 4), conditions(FRAMES, 4, 4)
    loud.audio.tokens[30:] *= -2.0
    one, two = run(tmp_path / "a", clip=quiet), run(tmp_path / "b", clip=loud)
    assert torch.equal(one[:16], two[:16])
    assert relative_error(two[32:], one[32:]) > 1e-3
    assert quiet.part(30, 5, FRAMES).audio.positions([0, 12]).equal(quiet.audio.positions([30, 2]))


def test_a_loop_knows_its_beginning_at_its_end(tmp_path):
    open_end, closed = run(tmp_path / "a"), run(tmp_path / "b", loop=True)
    assert torch.equal(open_end[:28], closed[:28])
    assert relative_error(closed[-4:], open_end[-4:]) > 1e-3


def test_another_run_does_not_touch_a_folder(tmp_path):
    segments = plan_segments(FRAMES, 16, 4)
    SegmentStore(tmp_path, "one", segments)
    with pytest.raises(ValueError, match="another run"):
        SegmentStore(tmp_path, "two", segments)


def test_noise_belongs_to_the_frame():
    assert torch.equal(frame_noise(7, [5, 6, 7], 4, 4)[1:], frame_noise(7, [6, 7], 4, 4))
    assert not torch.equal(frame_noise(7, [5], 4, 4), frame_noise(8, [5], 4, 4))


def test_a_fingerprint_sees_every_number():
    tensor = torch.arange(6.0)
    assert fingerprint(tensor, 1) == fingerprint(tensor.clone(), 1)
    assert fingerprint(tensor, 1) != fingerprint(tensor.view(2, 3), 1)
    assert fingerprint(CONFIG) != fingerprint(SamplingConfig(steps=4))
    with pytest.raises(TypeError, match="has no fingerprint"):
        fingerprint(object())


SCRIPT = """
import sys, time, torch
sys.path.insert(0, {repo!r})
from pathlib import Path
from tests.unit.sampling.test_segments import run

class Seen(list):
    def append(self, index):
        if index == 1 and sys.argv[3:] == ["wait"]:
            time.sleep(300)  # in the middle, until it is killed

torch.save(run(Path(sys.argv[1]), seen=Seen()), sys.argv[2])
"""


def test_killed_in_the_middle_it_goes_on_with_the_same_bytes(tmp_path):
    repo = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-c", SCRIPT.format(repo=repo), str(tmp_path / "a"), str(tmp_path / "out.pt")]
    process = subprocess.Popen([*command, "wait"])
    done = tmp_path / "a" / "segment_00000.safetensors"
    deadline = time.monotonic() + 120
    while not done.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert [path.name for path in (tmp_path / "a").glob("segment_*")] == [done.name]
    subprocess.run(command, check=True)
    whole = run(tmp_path / "b")
    assert torch.equal(torch.load(tmp_path / "out.pt", weights_only=True), whole)
    for path in (tmp_path / "a").glob("segment_*"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_run_goes_on_in_the_way_it_began(tmp_path):
    segments = plan_segments(30, 20, 4)
    assert SegmentStore(tmp_path, "run", segments, ("channels_last",)).ways == ("channels_last",)
    assert SegmentStore(tmp_path, "run", segments, ("geglu",)).ways == ("channels_last",)
    with pytest.raises(ValueError, match="another run"):
        SegmentStore(tmp_path, "other", segments, ("channels_last",))
