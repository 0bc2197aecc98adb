"""Voice Gestures and Load Gestures in a real ComfyUI: any sound gets hands, any folder a library or a sentence."""

import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from comfy_server import WorkflowError

from echomimic_core.gestures.files import save_library
from echomimic_core.gestures.library import built_in
from echomimic_core.pose import files, gestures

REPO = Path(__file__).resolve().parents[2]
RATE = 16_000
BUILT_IN_KINDS = "beat, beat outwards"


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def voice_gestures(audio: str = "speech.flac", **inputs) -> dict:
    """Nodes that give hands to a sound in the input folder, save the pose, and show the report."""
    defaults = {"frames": 0, "fps": 24.0, "energy": 1.0, "variety": 0.5, "rest": 0.5, "keep": "hands and arms"}
    return {
        "1": node("LoadAudio", audio=audio),
        "2": node("EchoMimicV2VoiceGestures", audio=["1", 0], **{**defaults, "seed": 0, **inputs}),
        "3": node("PreviewAny", source=["2", 1]),
        "4": node("EchoMimicV2SavePose", pose=["2", 0], filename="voice/hands", format="safetensors"),
    }


def load_gestures(source: str, **inputs) -> dict:
    return {
        "8": node("EchoMimicV2LoadGestures", **{"source": source, "fps": 24.0, "name": "", **inputs}),
        "9": node("PreviewAny", source=["8", 1]),
    }


def made(comfy, prompt: dict):
    """The pose that a prompt of `voice_gestures` gives, and its report."""
    outputs = comfy.run(prompt)["outputs"]
    saved = outputs["4"]["text"][0].removeprefix("saved as ")
    assert outputs["2"]["images"], "the timeline is shown"
    return files.load(comfy.base / "output" / saved), outputs["3"]["text"][0]


def write_wave(path: Path, samples: np.ndarray) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path.name


def sounds() -> dict[str, np.ndarray]:
    rng, t = np.random.default_rng(0), np.arange(6 * RATE)
    chord = sum(np.sin(2 * np.pi * pitch * t / RATE) for pitch in (220, 277, 330)) * (1 + np.sin(t / 2000)) / 8
    shout = np.zeros(3 * RATE)
    shout[RATE : RATE + RATE // 2] = rng.uniform(-1, 1, RATE // 2)
    return {
        "silence": np.zeros(3 * RATE),
        "clicks": (t % (RATE // 2) < 40).astype(float),
        "music": chord,
        "shout": shout,
        "short": np.full(400, 0.5),
    }


def test_a_voice_gets_hands_and_the_same_ones_again(comfy):
    pose, report = made(comfy, voice_gestures())
    again, _ = made(comfy, voice_gestures(variety=0.5000001))
    other, _ = made(comfy, voice_gestures(seed=1))
    assert len(pose) > 48 and pose.bodies is not None and "accents" in report
    np.testing.assert_allclose(pose.hands, again.hands, atol=1e-4)
    assert not np.allclose(pose.hands, other.hands)


def test_hands_alone_have_no_body_and_frames_are_exact(comfy):
    pose, _ = made(comfy, voice_gestures(keep="hands", frames=100))
    assert len(pose) == 100 and pose.bodies is None and pose.faces is None


@pytest.mark.parametrize("name", sounds())
def test_any_sound_gives_hands_that_never_jump(comfy, name):
    file = write_wave(comfy.base / "input" / f"sound_{name}.wav", sounds()[name])
    pose, _ = made(comfy, voice_gestures(file))
    assert len(pose) == max(round(len(sounds()[name]) / RATE * 24), 1)
    if len(pose) > 2:
        assert np.abs(np.diff(pose.hands, 2, axis=0)).max() <= built_in().haste + 1e-5


def test_ten_minutes_of_voice_become_ten_minutes_of_hands(comfy):
    from echomimic_core.media.sound import read_mono

    speech = read_mono(comfy.base / "input" / "speech.flac")
    file = write_wave(comfy.base / "input" / "long.wav", np.resize(speech, 600 * RATE))
    pose, report = made(comfy, voice_gestures(file))
    assert len(pose) == 14_400 and report.startswith("600.0 s")
    assert np.abs(np.diff(pose.hands, 2, axis=0)).max() <= built_in().haste + 1e-5


def test_one_frame_is_a_pose(comfy):
    assert len(made(comfy, voice_gestures(frames=1))[0]) == 1


def test_a_cue_is_obeyed_and_a_typing_mistake_is_named(comfy):
    _, report = made(comfy, voice_gestures(cues="# mine\n1.5 thumbs_up\n".replace("thumbs_up", "thumb_up")))
    assert "  1.50 s  thumb up, right hand, 1 (cue)" in report
    for cues, said in (
        ("1,5 thumb up", "line 1 of the cues is '1,5 thumb up'"),
        ("1.5", "line 1 of the cues"),
        ("1.5 thmub up", "there is no gesture 'thmub up' in the library: it has " + BUILT_IN_KINDS),
        ("999 beat", "outside the clip"),
        ("nan beat", "nan"),
    ):
        with pytest.raises(WorkflowError, match=said):
            comfy.run(voice_gestures(cues=cues))


@pytest.mark.parametrize(
    ("value", "said"),
    [("broken sound", "not numbers"), ("sound without samples", "no samples"), ("none", "audio")],
)
def test_sound_that_is_none_is_refused_with_a_sentence(comfy, value, said):
    prompt = voice_gestures()
    prompt["1"] = node("StrangeValue", name=value)
    with pytest.raises(WorkflowError, match=said):
        comfy.run(prompt)


def test_a_folder_becomes_a_library_that_is_offered_again_and_junk_in_it_is_named(comfy):
    folder = comfy.base / "input" / "my_talks"
    folder.mkdir()
    for number, name in enumerate(("explaining", "open_hands")):
        files.save(gestures.clip(name, 200, seed=number), folder / f"{name}.json")
    (folder / "readme.json").write_text('{"by": "me"}')
    (folder / "clip.mp4").write_bytes(b"not a video")
    (folder / "notes.txt").write_text("hello")
    options = comfy.get("/object_info/EchoMimicV2LoadGestures")["EchoMimicV2LoadGestures"]["input"]["required"]
    assert "my_talks" in options["source"][1]["options"]
    prompt = load_gestures("my_talks") | voice_gestures(gestures=["8", 0])
    pose, report = made(comfy, prompt)
    said = comfy.run(load_gestures("my_talks", fps=24.0, name="mine"))["outputs"]["9"]["text"][0]
    assert "strokes" in said and "readme.json is left out" in said and "clip.mp4 is left out" in said
    assert "explaining, " in report or "open_hands, " in report
    assert (comfy.base / "output" / "gestures" / "mine.safetensors").is_file()
    again, _ = made(comfy, load_gestures("mine.safetensors [output]") | voice_gestures(gestures=["8", 0]))
    np.testing.assert_allclose(again.hands, pose.hands, atol=1e-3)


def test_the_hands_of_a_driving_video_are_found_once(comfy, samples):
    from echomimic_core.media.video import VideoWriter, read_frames

    folder = comfy.base / "input" / "filmed"
    folder.mkdir()
    with VideoWriter(folder / "talk.mp4", 24.0, 270, 480) as film:
        for _, picture in zip(range(60), read_frames(samples / "talk" / "gestures.mp4", 24.0), strict=False):
            film.write(np.asarray(picture[1])[None, ::4, ::4])
    said = comfy.run(load_gestures("filmed"))["outputs"]["9"]["text"][0]
    assert " strokes, " in said
    kept = comfy.base / "output" / "gestures" / "filmed" / "talk.mp4.safetensors"
    found = kept.stat().st_mtime_ns
    comfy.run(load_gestures("filmed", name="filmed", fps=24.0) | {"7": node("PreviewAny", source=["8", 1])})
    assert kept.stat().st_mtime_ns == found


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "there are no gestures 'nowhere'"),
        ("../output", "there are no gestures"),
        ("/etc", "there are no gestures"),
        ("no gestures found", "there are no gestures"),
        ("damaged.safetensors [output]", "damaged.safetensors"),
        ("other.safetensors [output]", "is not a gesture library"),
    ],
)
def test_a_wrong_library_is_a_sentence(comfy, source, said):
    from safetensors.torch import save_file
    from torch import zeros

    folder = comfy.base / "output" / "gestures"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "damaged.safetensors").write_bytes(b"\xff" * 100)
    save_file({"a": zeros(1)}, folder / "other.safetensors")
    with pytest.raises(WorkflowError, match=said):
        comfy.run(load_gestures(source))


@pytest.mark.parametrize("name", ["../escaped", "a/b", "..", "con:"])
def test_no_library_is_written_outside_of_its_folder(comfy, name):
    folder = comfy.base / "input" / "one_talk"
    folder.mkdir(exist_ok=True)
    files.save(gestures.clip("explaining", 100), folder / "talk.json") if not any(folder.iterdir()) else None
    with pytest.raises(WorkflowError, match="name"):
        comfy.run(load_gestures("one_talk", name=name))


def test_a_folder_without_a_gesture_is_a_sentence(comfy):
    folder = comfy.base / "input" / "still"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files.save(gestures.clip("explaining", 12), folder / "short.json")
    with pytest.raises(WorkflowError, match="no clip has a gesture to learn from"):
        comfy.run(load_gestures("still"))


def test_a_library_of_another_frame_rate_says_what_to_set(comfy):
    folder = comfy.base / "models" / "echomimic" / "gestures"
    folder.mkdir(parents=True, exist_ok=True)
    save_library(built_in(12.0), folder / "slow.safetensors")
    with pytest.raises(WorkflowError, match="gestures are at 12 fps, but the clip at 24"):
        comfy.run(load_gestures("slow.safetensors [models]") | voice_gestures(gestures=["8", 0]))


@pytest.fixture
def planner(comfy) -> str:
    """A gesture model of random weights in models/echomimic/gestures; its name there."""
    import torch
    from safetensors.torch import save_file

    from echomimic_core.files.tensor_file import TensorFile
    from echomimic_core.gestures.chains import chains_of
    from echomimic_core.gestures.trained import GesturePlanner, PlannerConfig, features_of, save_planner
    from echomimic_core.models.audio_encoder import build_audio_encoder
    from echomimic_core.training.gestures import fit_motion

    torch.manual_seed(0)
    model = GesturePlanner(PlannerConfig(width=16, layers=1, heads=2, latent=8, head=16, reach=1, context=8))
    fit_motion(model, [features_of(chains_of(gestures.clip("explaining", 96)))])
    folder = comfy.base / "models" / "echomimic" / "gestures"
    folder.mkdir(parents=True, exist_ok=True)
    # Whisper's encoder of the small model, which has the released width.
    weights = build_audio_encoder(TensorFile(REPO / "demo" / "models" / "nano.safetensors").state_dict())
    whisper = comfy.base / "models" / "echomimic" / "whisper-tiny.safetensors"
    save_file(weights.encoder.state_dict(), whisper)
    yield save_planner(model, folder / "planner.safetensors").name
    whisper.unlink()


def test_a_trained_model_moves_the_hands(comfy, planner):
    options = comfy.get("/object_info/EchoMimicV2VoiceGestures")["EchoMimicV2VoiceGestures"]["input"]["optional"]
    assert options["model"][1]["options"][0] == "none" and planner in options["model"][1]["options"]
    pose, report = made(comfy, voice_gestures(model=planner, frames=60))
    assert len(pose) == 60 and report.endswith("hands by planner.safetensors.")
    assert len(made(comfy, voice_gestures(model=planner, frames=60, fps=12.0))[0]) == 60


def test_a_trained_model_takes_no_cues_and_a_wrong_one_is_a_sentence(comfy, planner):
    folder = comfy.base / "models" / "echomimic" / "gestures"
    save_library(built_in(), folder / "library.safetensors")
    for inputs, said in (
        ({"model": planner, "cues": "1 beat"}, "takes no cues"),
        ({"model": "gone.safetensors"}, "there is no gesture model 'gone.safetensors'"),
        ({"model": "../x.safetensors"}, "there is no gesture model"),
        ({"model": "library.safetensors"}, "is not a gesture planner"),
    ):
        with pytest.raises(WorkflowError, match=said):
            comfy.run(voice_gestures(**inputs))
