"""The demo in a real ComfyUI: its command from inputs to video, and what it knows of the nodes."""

import sys
from pathlib import Path

import av
import inputs_check
import model_choice
import run
from comfy_progress import Progress
from comfy_setup import Installation, make_base
from prompts import small


def test_the_demo_knows_the_limits_of_the_nodes(object_info):
    width = object_info["EchoMimicV2ReferenceEncode"]["input"]["required"]["width"][1]
    assert (width["min"], width["max"], width["step"]) == (
        inputs_check.SMALLEST,
        inputs_check.LARGEST,
        inputs_check.GRID,
    )
    assert object_info["EchoMimicV2Sampler"]["input"]["required"]["frames"][1]["max"] == inputs_check.MOST_FRAMES


def test_progress_of_a_running_workflow_is_said(comfy, object_info, capsys):
    prompt = small("talking_picture", object_info, frames=24, steps=12, seed=77)
    titles = {id: node["class_type"] for id, node in prompt.items()}
    with Progress(comfy.url, titles, every=0) as progress:
        comfy.run(prompt, progress=progress)
    lines = capsys.readouterr().out.splitlines()
    assert any("EchoMimicV2Sampler: " in line and " of 36, " in line for line in lines)
    assert "EchoMimicV2Sampler" in progress.summary()


def test_the_command_makes_a_video_with_the_packs_own_small_model(tmp_path, monkeypatch, comfy, capsys):
    """Stand-ins of the small model's files; nothing of them is copied, and the workflow file is the user's own."""
    import tiny_models
    from safetensors.torch import save_file

    from echomimic_core.checkpoints import write_tiny_model
    from echomimic_core.config import NANO

    folder = tmp_path / "small"
    folder.mkdir()
    write_tiny_model(folder / model_choice.SMALL_MODEL, 1, NANO)
    save_file(tiny_models.tiny_vae(), folder / model_choice.SMALL_VAE)
    monkeypatch.setattr(model_choice, "SMALL_FOLDER", folder)
    monkeypatch.setattr(model_choice, "SMALL_SIZE", 64)
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
        assert (stream.width, stream.height, sum(1 for _ in film.decode(stream))) == (64, 64, 3)
    assert not list((base / "models").rglob("*.safetensors"))
    said = capsys.readouterr().out
    assert "drawn characters" in said and str(base / "server.log") in said and "done in" in said
