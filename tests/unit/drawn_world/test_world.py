"""The drawn world of the demo's model: what is drawn is where the keypoints say, and mouths say what is spoken."""

from pathlib import Path

import numpy as np
import pytest
import torch

if not (Path(__file__).resolve().parents[3] / "drawn_world").is_dir():
    pytest.skip("the drawn world is left out of this copy", allow_module_level=True)

from drawn_world import simple
from drawn_world.make import HEADSHOT_ZOOM, HELD_OUT, HELD_OUT_VOICES, headshot
from drawn_world.measure import correlation, flicker, psnr, sharpness, still_mask, true_opening
from drawn_world.mouth import CLOSED, mouth_track
from drawn_world.reader import mouth_opening
from drawn_world.shaded import FROM_VOICE, make_clip
from drawn_world.speech import Phoneme, Speech, random_sentence, random_voice
from echomimic_core.config import AUDIO_SAMPLE_RATE
from echomimic_core.measures.beats import correlations, loudness_of
from echomimic_core.media.opencv import cv2
from echomimic_core.pose.motion import speed

SIZE = 128


def spoken(seconds=2.0, seed=0):
    """Open and closed sounds by turns, a fifth of a second each."""
    names = ["a", "m", "i", "s", "u", ""]
    rng = np.random.default_rng(seed)
    phonemes = tuple(Phoneme(str(rng.choice(names)), t / 5, (t + 1) / 5) for t in range(round(seconds * 5)))
    return Speech(rng.normal(size=round(seconds * AUDIO_SAMPLE_RATE)).astype(np.float32) * 0.1, phonemes)


@pytest.fixture(scope="module")
def clip():
    return make_clip(3, spoken(), 48)


@pytest.fixture(scope="module")
def frames(clip):
    return np.stack(list(clip.frames(SIZE)))


def test_a_seed_makes_the_same_clip(clip, frames):
    again = make_clip(3, spoken(), 48)
    assert np.array_equal(np.stack(list(again.frames(SIZE))), frames)
    assert not np.array_equal(next(make_clip(4, spoken(), 48).frames(SIZE)), frames[0])


def test_mouths_close_for_m_and_open_for_a():
    track = mouth_track((Phoneme("a", 0.0, 0.5), Phoneme("m", 0.5, 1.0)), 24, 24.0)
    assert track[6, 0] > 0.95 and track[18, 0] < 0.05
    assert np.allclose(mouth_track((), 5, 24.0), CLOSED)


def test_a_diphthong_goes_from_one_vowel_to_the_other():
    track = mouth_track((Phoneme("ˈaʊ", 0.0, 1.0),), 24, 24.0)
    assert track[4, 0] > track[12, 0] > track[20, 0] and track[4, 1] > track[20, 1]


def test_the_mouth_in_the_picture_opens_as_the_keypoints_say():
    """With teeth and tongue; of a picture that never moves nothing can be read."""
    read, still = [], []
    for seed in (1, 3):
        clip = make_clip(seed, spoken(seed=seed), 36)
        frames = np.stack(list(clip.frames(256)))
        read.append(correlation(mouth_opening(frames, clip.pose), true_opening(clip.pose)))
        still.append(correlation(mouth_opening(np.repeat(frames[:1], 36, 0), clip.pose), true_opening(clip.pose)))
    assert min(read) > 0.98 and max(still) < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_the_mouth_of_the_simple_look_opens_as_the_keypoints_say(seed):
    clip = simple.make_clip(seed, spoken(seed=seed), 48)
    frames = np.stack(list(clip.frames(SIZE)))
    assert correlation(simple.mouth_opening(frames, clip.pose), true_opening(clip.pose)) > 0.95
    assert correlation(simple.mouth_opening(np.repeat(frames[:1], 48, 0), clip.pose), true_opening(clip.pose)) < 0.3


def test_hands_are_drawn_at_their_keypoints(clip, frames):
    skin = np.array(clip.who.skin)
    for frame, hands in zip(frames[::8], clip.pose.hands[::8], strict=True):
        for x, y in hands.mean(1) * SIZE:
            assert np.linalg.norm(frame[int(y), int(x)] - skin) < 90


def test_all_keypoints_but_the_hips_are_in_the_picture():
    for seed in range(20):
        pose = make_clip(seed, spoken(), 24).pose
        assert pose.hands.min() > -0.05 and pose.hands.max() < 1.06
        assert pose.faces.min() > -0.02 and pose.faces.max() < 1.0


def test_a_headshot_shows_the_face_larger_and_no_hands(clip):
    frames, pose = headshot(clip, SIZE)
    assert frames[0].shape == (SIZE, SIZE, 3) and not pose.hand_scores.any()
    grown = np.ptp(pose.faces[0], axis=0) / np.ptp(clip.pose.faces[0], axis=0)
    assert np.allclose(grown, HEADSHOT_ZOOM, rtol=0.02)


def test_no_held_out_voice_is_trained_on():
    def voices(first, *held_out):
        drawn = (random_voice(np.random.default_rng(seed), *held_out) for seed in range(first, first + 200))
        return {(voice.language, voice.variant) for voice in drawn}

    trained, held_out = voices(0), voices(HELD_OUT, *HELD_OUT_VOICES)
    assert len(trained) > 10 and len(held_out) > 10
    assert not trained & held_out


def test_sentences_follow_their_seed():
    one, again, other = (random_sentence(np.random.default_rng(seed), "de") for seed in (1, 1, 2))
    assert one == again != other


def test_measures_of_the_true_frames_are_perfect(clip, frames):
    from drawn_world.measure import Made

    mask = still_mask(clip.pose, SIZE)
    assert 0.3 < mask.mean() < 0.8
    assert sharpness(Made(clip.pose, frames, frames), mask) == 1
    blurred = np.stack([cv2.blur(frame, (5, 5)) for frame in frames])
    assert sharpness(Made(clip.pose, frames, blurred), mask) < 0.8
    assert psnr(frames, frames, mask) > 90 and flicker(Made(clip.pose, frames, frames)) == 0
    noisy = np.clip(frames + np.random.default_rng(0).normal(0, 10, frames.shape), 0, 255).astype(np.uint8)
    assert psnr(noisy, frames, mask) == pytest.approx(28.1, abs=0.6) and flicker(Made(clip.pose, frames, noisy)) > 5


def test_a_narrow_vae_and_its_widened_file_are_the_same(tmp_path):
    pytest.importorskip("diffusers")
    from drawn_world.train_vae import build, start_with_colours, widen
    from echomimic_core.files.checkpoints import write_tensors
    from echomimic_core.networks.frozen_vae import load_vae

    torch.manual_seed(0)
    narrow = build(16)
    start_with_colours(narrow)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        latents = narrow.encode(pictures * 2 - 1).latents
        made = narrow.decode(latents).sample / 2 + 0.5
    write_tensors(tmp_path / "vae.safetensors", widen(narrow))
    wide = load_vae(tmp_path / "vae.safetensors")
    assert torch.allclose(wide.encode(pictures), latents, atol=5e-3)
    assert torch.allclose(wide.decode(latents), made, atol=5e-3)


def test_hands_follow_the_voice_where_they_should():
    """Loud syllables of random length, with a pause: hands move with them, and lie still in it."""
    rng, t = np.random.default_rng(0), np.arange(12 * AUDIO_SAMPLE_RATE) / AUDIO_SAMPLE_RATE
    loud = np.sin(2 * np.pi * 1.1 * t + 2 * np.sin(t)).clip(0, 1) * ((t < 5) | (t > 8))
    speech = Speech((0.3 * loud * rng.normal(size=len(t))).astype(np.float32), ())
    pose = make_clip(3, speech, 240, begin=1.0, gesture=FROM_VOICE, energy=1.0).pose
    pace = speed(pose)
    assert len(pose) == 240 and pace[24 * 5 : 24 * 6].mean() < 0.4 * pace[: 24 * 4].mean()
    leads = correlations(pace, np.log(np.maximum(loudness_of(speech.sound[AUDIO_SAMPLE_RATE:], 240, 24.0), 1e-3)))
    assert max(leads) > 0.3 and np.argmax(leads) <= 9
    first = make_clip(3, speech, 48, gesture="idle").pose.hands
    assert np.array_equal(first, make_clip(3, spoken(), 48, gesture="idle").pose.hands)
