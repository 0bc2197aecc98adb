"""The small service of docs/render.md: a video, or the sentence that says why there is none."""

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from echomimic_core import render

DOCS = Path(__file__).resolve().parents[3] / "docs" / "render.md"


@pytest.fixture
def service(monkeypatch, tmp_path):
    """The address of the service, whose videos are the names of what they are made of."""
    monkeypatch.setattr(render, "load_models", lambda _: None)
    monkeypatch.setattr(render, "check_job", lambda job: None)

    def render_job(models, job):
        if job.audio.name == "broken.wav":
            raise ValueError("broken.wav contains no audio: 损坏")
        job.output.write_text(f"{job.image} {job.audio}")

    monkeypatch.setattr(render, "render_job", render_job)
    (code,) = (part.split("```")[0] for part in DOCS.read_text("utf-8").split("```python\n") if "class Service" in part)
    code = code.replace('HTTPServer(("127.0.0.1", 8000), Service).serve_forever()', "")
    names = {}
    exec(code, names)
    server = names["HTTPServer"](("127.0.0.1", 0), names["Service"])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(service, **asked):
    with urllib.request.urlopen(service, json.dumps(asked).encode(), timeout=30) as answer:
        return answer.read().decode()


def test_a_request_is_answered_by_a_video_or_a_sentence(service):
    assert ask(service, faces="ann.png", voices="hello.wav") == f"{Path('faces/ann.png')} {Path('voices/hello.wav')}"
    assert "secret" not in ask(service, faces="../secret/ann.png", voices="hello.wav")
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(service, faces="ann.png", voices="broken.wav")
    assert error.value.code == 400 and error.value.read().decode() == "broken.wav contains no audio: 损坏"
