"""The main job in a real ComfyUI: a picture, a voice and hand poses become a video, and it can be cancelled."""

import re
import time
from pathlib import Path

import av
import pytest
from comfy_server import WorkflowError
from comfy_workflow import change
from prompts import SIZE, small

FPS = 24
VOICE_SECONDS = 6.217


def video_of(comfy, entry: dict) -> Path:
    (path,) = (file for file in comfy.outputs(entry) if file.suffix == ".mp4")
    return path


def measure(path: Path) -> dict:
    """Frames, frame rate and size of a video, and the seconds of sound that can be decoded from it."""
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = sum(1 for _ in film.decode(stream))
        found = {"frames": frames, "fps": float(stream.average_rate), "size": (stream.width, stream.height)}
    with av.open(str(path)) as film:
        samples = sum(frame.samples for frame in film.decode(audio=0))
        found["sound"] = samples / film.streams.audio[0].rate
    return found


@pytest.mark.both_ends
def test_picture_voice_and_pose_become_a_video(comfy, object_info, real_inputs):
    prompt = small("talking_picture", object_info)
    change(prompt, "LoadImage", image=real_inputs.picture)
    change(prompt, "LoadAudio", audio=real_inputs.voice)
    change(prompt, "EchoMimicV2LoadPose", folder=real_inputs.pose)
    found = measure(video_of(comfy, comfy.run(prompt)))
    assert found["frames"] == int(VOICE_SECONDS * FPS) == 149
    assert found["fps"] == FPS
    assert found["size"] == (SIZE, SIZE)
    # AAC comes in packets of 1024 samples, so the end may lie a packet or two later.
    assert found["sound"] == pytest.approx(found["frames"] / FPS, abs=0.06)


@pytest.mark.both_ends
def test_core_samplers_make_the_same_video(comfy, object_info):
    """SamplerCustomAdvanced on APDH Conditioning is the EchoMimicV2 Sampler: the same latents."""
    frames = 12
    saved = {"filename_prefix": "same"}
    latents = []
    for workflow, source in (("talking_picture", "EchoMimicV2Sampler"), ("custom_sampling", "SamplerCustomAdvanced")):
        prompt = small(workflow, object_info, frames=frames)
        (sampler,) = (id for id, node in prompt.items() if node["class_type"] == source)
        prompt = {id: node for id, node in prompt.items() if node["class_type"] not in ("SaveVideo",)}
        prompt["latent"] = {"class_type": "SaveLatent", "inputs": {"samples": [sampler, 0], **saved}}
        entry = comfy.run(prompt)
        latents.append(load_latent(comfy.outputs(entry)))
    first, second = latents
    assert first.shape == (frames, 4, SIZE // 8, SIZE // 8)
    assert (first - second).abs().max() <= 2e-3 * first.abs().max()


def load_latent(files: list[Path]):
    from safetensors.torch import load_file

    (path,) = (file for file in files if file.suffix == ".latent")
    return load_file(path)["latent_tensor"]


# Words of errors and warnings, and the heads of lines that FFmpeg, MediaPipe, TensorFlow and torch write.
NOISE = re.compile(
    r"Traceback|(?i:\berror\b|\bwarning\b|failed)|Warning\b|site-packages"
    r"|^\[\w+ @ 0x|^[IWEF]\d{4} |^INFO: Created"
)


def test_the_log_of_a_whole_run_holds_no_error_and_nothing_of_other_libraries(comfy, object_info, real_inputs):
    """From a driving video, so that hands are found as well."""
    prompt = change(small("driving_video", object_info, frames=3, seed=99), "LoadImage", image=real_inputs.picture)
    shown = len(comfy.log_text())
    comfy.run(prompt)
    log = comfy.log_text()[shown:]
    assert "Prompt executed" in log
    assert not [line for line in log.splitlines() if NOISE.search(line)]


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_portrait_video_from_a_square_picture(comfy, object_info, fit):
    prompt = small("talking_picture", object_info, frames=5)
    change(prompt, "EchoMimicV2ReferenceEncode", width=96, height=168, fit=fit)
    found = measure(video_of(comfy, comfy.run(prompt)))
    assert (found["frames"], found["size"]) == (5, (96, 168))


@pytest.mark.both_ends
def test_cancel_frees_the_queue_at_once(comfy, object_info):
    """Interrupted in the middle of sampling, ComfyUI takes the next workflow within seconds."""
    small_job = small("talking_picture", object_info, frames=2)
    comfy.run(small_job)
    endless = comfy.queue(small("talking_picture", object_info, steps=1000, seed=1))
    time.sleep(3)
    assert comfy.get("/queue")["queue_running"], "the long workflow ended before it could be cancelled"
    comfy.post("/interrupt", {})
    with pytest.raises(WorkflowError, match="cancelled"):
        comfy.wait(endless, 30)
    assert not comfy.get("/queue")["queue_running"]
    comfy.run(change(small_job, "EchoMimicV2Sampler", seed=2))
