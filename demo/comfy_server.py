"""Start a ComfyUI with this pack, and talk to it over HTTP; standard library only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from comfy_progress import Progress
from comfy_setup import Installation, SetupError, tail

START_SECONDS = 300
POLL_SECONDS = 0.2
PORT_TRIES = 3
# Threads that spin while they wait for each other more than double the time where something else needs a core, too.
ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}


class WorkflowError(Exception):
    """What ComfyUI said about a workflow that it refused or could not finish.

    `details` is ComfyUI's own answer: the body of the HTTP 400, or the message of the failed node.
    """

    def __init__(self, message: str, details: dict):
        super().__init__(message)
        self.details = details


class ComfyServer:
    """A running ComfyUI; a context manager that stops it.

    Parameters
    ----------
    base : base directory (see comfy_setup.make_base); ComfyUI's output goes to `server.log` in it.
    arguments : more command line arguments for ComfyUI's main.py.
    """

    def __init__(self, installation: Installation, base: Path, arguments: tuple[str, ...] = ()):
        self.installation = installation
        self.base = base
        self.log = base / "server.log"
        self.arguments = arguments
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        for left in reversed(range(PORT_TRIES)):
            try:
                self._start()
                return self
            except SetupError:
                # Another program may take the free port between our look and ComfyUI's.
                if not left or "address already in use" not in self.log_text().lower():
                    raise
        raise AssertionError("unreachable")

    def __exit__(self, *exception):
        self.stop()

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [self.installation.python, "main.py", "--listen", "127.0.0.1", "--port", port]
        command += ["--disable-auto-launch", "--disable-api-nodes", "--base-directory", self.base]
        command += ["--database-url", "sqlite:///:memory:", *self.arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.installation.comfyui,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**ENVIRONMENT, **os.environ},
            )
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SetupError(f"ComfyUI stopped while starting; the end of {self.log}:\n{tail(self.log_text())}")
            try:
                self.get("/system_stats")
                return
            except (urllib.error.URLError, OSError):
                time.sleep(POLL_SECONDS)
        raise SetupError(f"ComfyUI was not up after {START_SECONDS} s; see {self.log}")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def fetch(self, path: str, data: object = None) -> bytes:
        """Return the body of the answer to a GET, or to a POST where there is `data` (sent as JSON)."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def get(self, path: str):
        return json.loads(self.fetch(path))

    def post(self, path: str, data: object):
        content = self.fetch(path, data)
        return json.loads(content) if content else None

    def queue(self, prompt: dict, client_id: str = "") -> str:
        """Queue a workflow in API form and return its id. Raises WorkflowError where ComfyUI refuses it,
        or a part of it.

        `client_id` is of the websocket that is told of its progress.
        """
        try:
            answer = self.post("/prompt", {"prompt": prompt, "client_id": client_id})
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read() or b"{}")
            raise WorkflowError(refusal(answer), answer) from error
        if answer.get("node_errors"):  # It runs what leads to the other outputs.
            raise WorkflowError(refusal(answer), answer)
        return answer["prompt_id"]

    def wait(self, prompt_id: str, seconds: float, progress: Progress | None = None) -> dict:
        """Wait for a queued workflow, saying how far it is, and return its history entry.

        Raises WorkflowError where a node failed or the workflow was cancelled, and SetupError where ComfyUI died.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SetupError(f"ComfyUI stopped in the middle; the end of {self.log}:\n{tail(self.log_text())}")
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry:
                for kind, message in entry["status"]["messages"]:
                    if kind == "execution_error":
                        raise WorkflowError(f"{message['node_type']}: {message['exception_message'].strip()}", message)
                    if kind == "execution_interrupted":
                        raise WorkflowError("the workflow was cancelled", message)
                return entry
            if progress:
                progress.tick()
            time.sleep(POLL_SECONDS)
        raise WorkflowError(f"The workflow was not done after {seconds:.0f} s", {})

    def run(self, prompt: dict, seconds: float = 600, progress: Progress | None = None) -> dict:
        return self.wait(self.queue(prompt, progress.client_id if progress else ""), seconds, progress)

    def outputs(self, entry: dict) -> list[Path]:
        """Return the files that a finished workflow left in the output directory."""
        files = []
        for output in entry["outputs"].values():
            for saved in (item for items in output.values() for item in items if isinstance(item, dict)):
                if saved.get("type") == "output":
                    files.append(self.base / "output" / saved.get("subfolder", "") / saved["filename"])
        return files


def refusal(answer: dict) -> str:
    """Return ComfyUI's reasons for refusing a workflow, one line a reason."""
    lines = [
        f"{node['class_type']}: {error['message']} {error.get('details', '')}".strip()
        for node in answer.get("node_errors", {}).values()
        for error in node["errors"]
    ]
    return "\n".join(lines) or str(answer.get("error", answer))
