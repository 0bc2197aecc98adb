"""Load EchoMimicV2 names everything that a model lacks, and fetches it where the artist switched that on."""

import time
import urllib.request

import pytest
from comfy_server import WorkflowError
from comfy_workflow import change
from prompts import small
from safetensors.torch import save
from tiny_models import MODEL_NAME

from echomimic_core.files.published import WHISPER, networks_of
from echomimic_core.files.tensor_file import TensorFile

DEAF = "deaf.safetensors"
PATIENCE_SECONDS = 60


def folder_of(comfy):
    """The first folder for EchoMimicV2's models, as the tests' extra_model_paths.yaml names it."""
    return comfy.base / "elsewhere"


@pytest.fixture
def deaf(comfy, hub):
    """A one-file model without an audio encoder; the hub has Whisper's, with the names of transformers."""
    tiny = TensorFile(comfy.base / "models" / "echomimic" / MODEL_NAME)
    whole = tiny.state_dict(copy=True)
    path = tiny.path.with_name(DEAF)
    deaf = {n: t for n, t in whole.items() if not n.startswith("audio_encoder.")}
    path.write_bytes(save(deaf, tiny.metadata))
    heard = {n.replace("audio_encoder.", "model.encoder."): t for n, t in whole.items() if n not in deaf}
    hub.add(WHISPER, save(heard))
    yield DEAF
    hub.files.clear()
    for left in (path, folder_of(comfy) / WHISPER.name):
        left.unlink(missing_ok=True)


def test_one_sentence_names_everything_that_is_missing(comfy, object_info):
    prompt = change(small("talking_picture", object_info, frames=2), "EchoMimicV2Loader", model="accelerated")
    with pytest.raises(WorkflowError) as said:
        comfy.run(prompt)
    text = str(said.value)
    assert "The accelerated model is not complete, 5 files are missing" in text
    for file in (*networks_of("accelerated"), WHISPER):
        assert file.name in text and file.link in text
    assert f"into {folder_of(comfy)}" in text and "download_missing" in text


def test_what_is_missing_is_fetched_and_used_in_the_same_run(comfy, hub, object_info, deaf):
    prompt = small("talking_picture", object_info, frames=2)
    change(prompt, "EchoMimicV2Loader", model=deaf)
    with pytest.raises(WorkflowError, match="1 file is missing"):
        comfy.run(prompt)
    entry = comfy.run(change(prompt, "EchoMimicV2Loader", download_missing=True))
    assert [file for file in comfy.outputs(entry) if file.suffix == ".mp4"]
    folder = folder_of(comfy)
    assert (folder / "whisper-tiny.safetensors").is_file()
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    # It is found from now on, and nothing is asked any more.
    asked = len(hub.asked)
    comfy.run(change(prompt, "EchoMimicV2Loader", download_missing=False, weight_dtype="float32"))
    assert len(hub.asked) == asked


def test_a_cancel_stops_a_download_of_which_nothing_comes_and_keeps_the_part(comfy, hub, object_info, deaf):
    hub.stall_after = 1 << 19
    hub.stalled.clear()
    prompt = small("talking_picture", object_info, frames=2)
    change(prompt, "EchoMimicV2Loader", model=deaf, download_missing=True)
    queued = comfy.queue(prompt)
    try:
        assert hub.stalled.wait(PATIENCE_SECONDS)
        urllib.request.urlopen(urllib.request.Request(f"{comfy.url}/interrupt", method="POST")).close()
        status = wait_for(lambda: comfy.get(f"/history/{queued}").get(queued))["status"]
    finally:
        hub.stall_after = None
    assert "execution_interrupted" in [name for name, _ in status["messages"]]
    assert not hub.released.is_set()
    (part,) = folder_of(comfy).glob(".echomimic-*.download")
    part.unlink()


def wait_for(ask):
    """What `ask` gives, once it gives something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came")
