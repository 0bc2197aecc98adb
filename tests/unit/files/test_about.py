"""A file is told for what it is, by its header alone."""

import json

import pytest
import torch
from safetensors.torch import save_file

from echomimic_core.files.__main__ import main
from echomimic_core.files.about import GESTURES, ONE_FILE, OTHER, OTHER_VAE, POSE, SD15_VAE, WHISPER, about
from echomimic_core.models.build import write_tiny_model
from echomimic_core.pose import files, gestures


def weights(path, *names, shape=(4, 4, 3, 3), **metadata):
    save_file({name: torch.zeros(shape) for name in names}, path, metadata or None)
    return path


def test_a_one_file_model_tells_what_is_inside(tmp_path):
    found = about(write_tiny_model(tmp_path / "tiny.safetensors"))
    assert found.kind == ONE_FILE and found.has_audio_encoder and not found.has_vae
    assert found.about["variant"] == "accelerated" and found.about["size"] == "128"


def test_a_pose_file_is_not_taken_for_a_model(tmp_path):
    path = tmp_path / "wave.safetensors"
    files.save(gestures.clip("waving", 4), path)
    assert about(path).kind == POSE


@pytest.mark.parametrize(
    ("names", "shape", "kind"),
    [
        (("encoder.conv_in.weight", "decoder.conv_in.weight"), (8, 4, 3, 3), SD15_VAE),
        (("encoder.conv_in.weight", "decoder.conv_in.weight"), (8, 16, 3, 3), OTHER_VAE),
        (("blocks.0.attn.query.weight",), (4, 4), WHISPER),
        (("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",), (4, 4), "denoising U-Net"),
        (("something",), (4,), OTHER),
    ],
)
def test_weights_are_told_by_their_names(tmp_path, names, shape, kind):
    assert about(weights(tmp_path / "a.safetensors", *names, shape=shape)).kind == kind


def test_a_gesture_library_is_no_model(tmp_path):
    assert about(weights(tmp_path / "g.safetensors", "x", format="echomimicv2-gestures")).kind == GESTURES


def test_a_damaged_file_is_a_sentence(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"<html>")
    assert about(path).kind == OTHER and "web page" in about(path).problem


def test_the_command_answers_in_sentences_and_in_json(tmp_path, capsys):
    path = str(write_tiny_model(tmp_path / "tiny.safetensors"))
    assert main([path]) == 0 and "one-file model with" in capsys.readouterr().out
    assert main([path, "--json"]) == 0 and json.loads(capsys.readouterr().out)[path]["kind"] == ONE_FILE
    assert main([str(tmp_path / "none.pt")]) == 1 and "does not exist" in capsys.readouterr().out
