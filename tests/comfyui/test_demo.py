"""The demo in a real ComfyUI: its command from inputs to video, and what it knows of the nodes."""

import json
import sys
from pathlib import Path

import av
import inputs_check
import model_choice
import run
from comfy_progress import Progress
from comfy_server import ComfyServer
from comfy_setup import Installation, make_base
from comfy_workflow import to_prompt
from prompts import small


def test_the_demo_knows_the_limits_of_the_nodes(object_info):
    width = object_info["EchoMimicV2ReferenceEncode"]["input"]["required"]["width"][1]
    # 0 is the model's own size; what is below 64 is refused by the node (test_quick_start)
    assert (width["min"], width["max"], width["step"]) == (0, inputs_check.LARGEST, inputs_check.GRID)
    assert object_info["EchoMimicV2Sampler"]["input"]["required"]["frames"][1]["max"] == inputs_check.MOST_FRAMES


def test_progress_of_a_running_workflow_is_said(comfy, object_info, capsys):
    prompt = small("talking_picture", object_info, frames=24, steps=12, seed=77)
    titles = {id: node["class_type"] for id, node in prompt.items()}
    with Progress(comfy.url, titles, every=0) as progress:
        comfy.run(prompt, progress=progress)
    lines = capsys.readouterr().out.splitlines()
    assert any("EchoMimicV2Sampler: " in line and " of 36, " in line for line in lines)
    assert "EchoMimicV2Sampler" in progress.summary()


def test_the_command_makes_a_video_with_the_packs_own_small_model(tmp_path, monkeypatch, comfy, object_info, capsys):
    """A stand-in for it, all in one file; it is not copied, and of the workflow only the model is changed."""
    import tiny_models
    from safetensors.torch import save_file

    from drawn_world.train import bundle
    from echomimic_core.config import NANO
    from echomimic_core.models.build import write_tiny_model

    folder = tmp_path / "small"
    folder.mkdir()
    networks = write_tiny_model(tmp_path / "networks.safetensors", 1, NANO)
    save_file(tiny_models.tiny_vae(), tmp_path / "vae.safetensors")
    bundle(networks, networks, tmp_path / "vae.safetensors", folder / model_choice.SMALL_MODEL)
    monkeypatch.setattr(model_choice, "SMALL_FOLDER", folder)
    queued, queue = [], ComfyServer.queue
    monkeypatch.setattr(
        ComfyServer, "queue", lambda self, prompt, *more: queued.append(prompt) or queue(self, prompt, *more)
    )
    empty = tmp_path / "comfyui"
    for name in comfy.installation.comfyui.iterdir():
        empty.mkdir(exist_ok=True)
        if name.name not in ("models", "extra_model_paths.yaml"):
            (empty / name.name).symlink_to(name)

    monkeypatch.setattr(sys, "argv", ["run.py", "--frames", "3", "--output", str(tmp_path / "talking.mp4")])
    options = run.parse_arguments()
    inputs_check.check_options(options, tmp_path)
    base = make_base(tmp_path / "base")
    video = run.keep(run.make_video(options, Installation(empty, Path(sys.executable)), base), options.output)
    with av.open(str(video)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, sum(1 for _ in film.decode(stream))) == (128, 128, 3)
    assert not list((base / "models").rglob("*.safetensors"))
    as_saved = to_prompt(json.loads(run.WORKFLOW.read_text("utf-8")), object_info)
    (prompt,) = queued
    changed = {
        (node["class_type"], name)
        for id, node in prompt.items()
        for name, value in node["inputs"].items()
        if value != as_saved[id]["inputs"][name]
    }
    users = {("LoadImage", "image"), ("LoadAudio", "audio"), ("EchoMimicV2Sampler", "frames")}
    assert changed == {("EchoMimicV2Loader", "model"), ("EchoMimicV2AlignPose", "framing")} | users
    said = capsys.readouterr().out
    assert "drawn characters" in said and str(base / "server.log") in said and "done in" in said
