"""The method in the samples: what is drawn, heard, shown and dropped at a step, by the paper's words."""

import numpy as np
import pytest
import torch
from training_clips import CountedClip

from echomimic_core.apdh.schedule import DEFAULT_PHASES, HEAD_POINTS
from echomimic_core.config import LIP_POINTS
from echomimic_core.pose.draw import draw_maps
from echomimic_core.training.data.dataset import ClipDataset
from echomimic_core.training.data.shards import HEADSHOT
from echomimic_core.training.data.squares import BODY, FACE, LEFT_HAND
from echomimic_core.training.settings import Settings, parse

SIZE, SHOWN, LENGTH = 64, 6, 40
# APDH's own five phases, of eleven steps each.
PHASES = [
    {
        "name": phase.name,
        "steps": 11,
        "keypoints": list(phase.keypoints),
        "pose_dropout": list(phase.pose_dropout),
        "audio": phase.audio,
    }
    for phase in DEFAULT_PHASES
]
# Drawing takes most of a sample's time: statistics are counted where nothing is drawn.
BLANK = [{"name": "blank", "steps": 1, "keypoints": []}]
INITIAL, ITERATIVE, LIPS, HEAD, BODY_PHASE = range(5)


def dataset(clips=None, phases=PHASES, **sections):
    data = {"size": SIZE, "frames": SHOWN, **sections.pop("data", {})}
    content = {"data": data, "train": {"stage": 2, **sections.pop("train", {})}, "apdh": {"phases": phases}}
    return ClipDataset(parse(Settings, content | sections), clips or [CountedClip(LENGTH)])


def samples(count, step=0, **changes):
    data = dataset(**changes)
    return [data[(step, index)] for index in range(count)]


@pytest.fixture(scope="module")
def many():
    """Samples of two clips, whose frames are 0..39 and 100..139."""
    return samples(150, clips=[CountedClip(LENGTH), CountedClip(LENGTH, first=100)], phases=BLANK)


def shown(sample):
    """The frames that a sample shows, by their grey values."""
    return sample["frames"][:, 0, 0, 0].tolist()


def reference(sample):
    return int(sample["reference"][0, 0, 0])


@pytest.mark.parametrize("phase", range(5))
def test_pose_maps_show_the_groups_of_the_phase_in_the_frames_shown(phase):
    groups, size = PHASES[phase]["keypoints"], 128  # Of fewer pixels none might show the thin line of a neck
    clip = CountedClip(LENGTH, size)
    pose = clip.pose()
    if "face" not in groups:
        pose.body_scores[:, HEAD_POINTS] = 0
    for sample in samples(2, step=11 * phase, clips=[clip], data={"size": size}):
        expected = draw_maps(pose, shown(sample), size, size, groups=groups)
        assert expected.any() and (sample["pose_maps"].permute(0, 2, 3, 1).numpy() == expected).all()


def test_a_later_stage_begins_where_its_settings_say_in_the_phases():
    late = dataset(apdh={"start_step": 22, "phases": PHASES})
    assert late.state(0).phase == PHASES[LIPS]["name"] and late.state(11).phase == PHASES[HEAD]["name"]
    assert torch.equal(late[(0, 0)]["audio_mask"], dataset()[(22, 0)]["audio_mask"])


def test_lpose_looks_only_at_what_the_phase_shows():
    sides = {phase: dataset()[(11 * phase, 0)]["squares"][..., 2] for phase in (INITIAL, HEAD, BODY_PHASE)}
    assert (sides[INITIAL][:, [LEFT_HAND, BODY, FACE]] > 0).all()
    assert (sides[HEAD][:, BODY] > 0).all() and not sides[HEAD][:, FACE].any()
    assert (sides[BODY_PHASE][:, LEFT_HAND] > 0).all() and not sides[BODY_PHASE][:, [BODY, FACE]].any()


def test_each_frame_hears_the_ten_positions_around_it(many):
    for sample in many[:20]:
        centres = np.array([int(frame % 100 * 50 / 24) for frame in shown(sample)])
        expected = (centres[:, None] + np.arange(-4, 6)).clip(0, round(LENGTH / 24 * 50) - 1)
        heard = sample["audio"][..., 0].reshape(SHOWN, 10, 5)
        assert (heard.numpy() == expected[..., None]).all()


def test_frames_shown_follow_one_another_and_lie_anywhere_in_the_clip(many):
    starts = set()
    for sample in many:
        frames = shown(sample)
        assert frames == list(range(frames[0], frames[0] + SHOWN))
        starts.add(frames[0] % 100)
    assert {0, LENGTH - SHOWN} <= starts and len(starts) > 25


def test_the_reference_is_any_frame_of_the_same_clip(many):
    assert all((reference(sample) >= 100) == (shown(sample)[0] >= 100) for sample in many)
    references = {reference(sample) % 100 for sample in many}
    assert len(references) > 25 and min(references) < 4 and max(references) > LENGTH - 5
    before = [reference(sample) < shown(sample)[0] for sample in many]
    after = [reference(sample) > shown(sample)[-1] for sample in many]
    assert np.mean(before) > 0.2 and np.mean(after) > 0.2


class Highest:
    """A generator whose every draw is the last possible one."""

    def integers(self, low, high=None):
        return (low if high is None else high) - 1

    def random(self, *_):
        return 1.0 - 1e-9

    def choice(self, count, size, replace):
        return np.arange(count)[-size:]


def test_the_last_draws_are_the_last_timestep_the_last_frames_and_no_dropout():
    data = dataset(train={"condition_dropout": 0.5})
    sample = data.sample(data.clips[0], data.state(0), Highest())
    assert sample["timestep"] == 999
    assert shown(sample)[-1] == LENGTH - 1 and reference(sample) == LENGTH - 1
    assert not sample["dropped"] and sample["pose_kept"]


def test_the_pose_is_dropped_ever_more_often_over_its_phase():
    rising = [{"name": "iterative", "steps": 11, "keypoints": [], "pose_dropout": [0.0, 1.0]}]
    kept = {step: np.mean([s["pose_kept"].item() for s in samples(50, step, phases=rising)]) for step in (0, 5, 10)}
    assert kept[0] == 1.0 and kept[5] == pytest.approx(0.5, abs=0.2) and kept[10] == 0.0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_conditions_are_dropped_as_often_as_asked(share):
    assert {s["dropped"].item() for s in samples(20, phases=BLANK, train={"condition_dropout": share})} == {bool(share)}


def test_pose_and_conditions_are_dropped_independently():
    half = [{"name": "half", "steps": 1, "keypoints": [], "pose_dropout": [0.5, 0.5]}]
    seen = samples(40, phases=half, train={"condition_dropout": 0.5})
    assert len({(s["dropped"].item(), s["pose_kept"].item()) for s in seen}) == 4


@pytest.mark.parametrize("name", ["picture", "audio"])
def test_picture_and_audio_are_dropped_by_themselves_as_often_as_asked(name, many):
    half = samples(60, phases=BLANK, train={f"{name}_dropout": 0.5, "condition_dropout": 0.0})
    assert np.mean([sample[f"{name}_kept"].item() for sample in half]) == pytest.approx(0.5, abs=0.2)
    other = "audio" if name == "picture" else "picture"
    assert all(sample[f"{other}_kept"] for sample in half) and all(sample[f"{name}_kept"] for sample in many)


def test_noise_is_standard_normal_and_its_offset_one_number_per_channel(many):
    seen = many[:12]
    noise = torch.stack([sample["noise"] for sample in seen])
    assert noise.shape == (12, SHOWN, 4, SIZE // 8, SIZE // 8)
    assert noise.mean().abs() < 0.02 and noise.std() == pytest.approx(1.0, abs=0.02) and noise.max() > 3
    offset = torch.stack([sample["offset"] for sample in seen])
    assert offset.shape == (12, 1, 4, 1, 1) and offset.std() == pytest.approx(1.0, abs=0.3)


def test_timesteps_lie_all_over_the_schedule(many):
    seen = sorted(sample["timestep"].item() for sample in many)
    assert seen[0] < 40 and seen[-1] > 960 and np.mean(seen) == pytest.approx(500, abs=80)


def test_so_many_different_frames_are_decoded_as_asked():
    picked = [sample["picked"].tolist() for sample in samples(30, phases=BLANK, loss={"decoded_frames": 2})]
    assert all(a < b for a, b in picked) and {0, SHOWN - 1} <= {index for pair in picked for index in pair}


@pytest.mark.parametrize("phase, reach", [(LIPS, "lips"), (HEAD, "head")])
def test_audio_reaches_the_box_of_the_phase(phase, reach):
    mask = dataset()[(11 * phase, 0)]["audio_mask"].numpy()
    points = CountedClip(LENGTH).pose().faces[0]
    points = points[LIP_POINTS] if reach == "lips" else points
    cells = SIZE // 8
    rows, columns = np.nonzero(mask > 0.5)
    low, high = points.min(0) * cells, points.max(0) * cells
    assert abs((rows.min() + rows.max() + 1) / 2 - (low[1] + high[1]) / 2) < 1.5
    assert abs((columns.min() + columns.max() + 1) / 2 - (low[0] + high[0]) / 2) < 1.0
    assert len(set(columns)) <= np.ceil(1.5 * (high[0] - low[0])) + 2
    assert mask.mean() < 0.6


def test_audio_reaches_nothing_before_and_everything_after_the_spatial_phase():
    data = dataset()
    assert not data[(0, 0)]["audio_mask"].any() and not data[(11, 0)]["audio_mask"].any()
    assert (data[(11 * BODY_PHASE, 0)]["audio_mask"] == 1).all()


def test_headshots_come_as_often_as_asked_however_long_they_are():
    mixed = [CountedClip(LENGTH), CountedClip(4 * LENGTH, kind=HEADSHOT)]
    weights = dataset(mixed, data={"headshot_share": 0.25}).weights
    assert weights.tolist() == [0.75, 0.25]
    longer = [CountedClip(LENGTH), CountedClip(3 * LENGTH)]
    assert dataset(longer).weights.tolist() == [0.25, 0.75]
