"""Published weights come from the hub whole, checked and resumable, or a sentence says why not."""

import hashlib
import shutil
import time

import pytest
from hub_server import HubServer

from echomimic_core.files import fetch, hub, published
from echomimic_core.files.durable import WriteError
from echomimic_core.files.published import VAE, WHISPER, needed
from echomimic_core.files.transfer import DownloadError

CONTENT = bytes(range(256)) * 8192  # 2 MiB: eight of the pieces in which it comes
SHORT = 600_000


class Cancelled(BaseException):
    """As ComfyUI's own since 2026."""


@pytest.fixture
def server(monkeypatch):
    from huggingface_hub import constants, file_download

    server = HubServer()
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    if hasattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE"):
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    pause = time.sleep
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: pause(min(seconds, 0.01)))
    yield server
    server.close()


@pytest.fixture(autouse=True)
def known(monkeypatch) -> dict[str, str]:
    """The SHA-256 known of each file: none, since the server's files are not the published ones."""
    known = {}
    monkeypatch.setattr(published, "SHA256", known)
    return known


def nothing(*_) -> None:
    pass


def get(folder, check=nothing, progress=nothing):
    return hub.fetch(hub.announce(WHISPER, folder, check), progress, check)


def transfers(server) -> list:
    return [span for method, path, span in server.asked if method == "GET" and path.startswith("/cdn/")]


def test_a_file_arrives_under_the_name_that_the_loader_finds_and_nothing_else_is_left(server, tmp_path):
    server.add(WHISPER, CONTENT)
    seen = []
    path = get(tmp_path / "new", progress=lambda *at: seen.append(at))
    assert path == tmp_path / "new" / "whisper-tiny.safetensors" and path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_connection_that_breaks_is_gone_on_with(server, tmp_path):
    server.add(WHISPER, CONTENT)
    server.drop_after = [SHORT, SHORT]
    assert get(tmp_path).read_bytes() == CONTENT
    spans = transfers(server)
    assert len(spans) == 3 and spans[0] is None and all(int(span[6:-1]) > 0 for span in spans[1:])


def test_a_connection_that_always_breaks_is_a_sentence_and_the_next_try_goes_on(server, tmp_path):
    server.add(WHISPER, CONTENT)
    server.drop_after = [SHORT] + [0] * 20
    with pytest.raises(DownloadError, match="bytes, which are kept for the next run"):
        get(tmp_path)
    (part,) = tmp_path.iterdir()
    assert 0 < part.stat().st_size < len(CONTENT)
    server.drop_after, before = [], len(transfers(server))
    assert get(tmp_path).read_bytes() == CONTENT
    assert transfers(server)[before:] == [f"bytes={SHORT // hub.CHUNK * hub.CHUNK}-"]


def test_a_cancel_is_heard_while_the_server_says_nothing_and_leaves_a_part_that_resumes(server, tmp_path):
    server.add(WHISPER, CONTENT)
    server.stall_after = SHORT

    def cancel():
        if server.stalled.is_set() and any(path.stat().st_size for path in tmp_path.iterdir()):
            raise Cancelled

    with pytest.raises(Cancelled):
        get(tmp_path, cancel)
    assert not server.released.is_set()
    (part,) = tmp_path.iterdir()
    kept = part.stat().st_size
    server.released.set()
    server.stall_after = None
    assert get(tmp_path).read_bytes() == CONTENT
    assert transfers(server)[-1] == f"bytes={kept}-"


def test_a_cancelled_worker_writes_no_more(tmp_path):
    part = hub.Part(tmp_path / "part", 10)
    part.write(b"12")
    part.abandon()
    with pytest.raises(hub.Abandoned):
        part.write(b"34")
    assert (tmp_path / "part").read_bytes() == b"12"


def test_wrong_bytes_of_the_right_length_are_refused_and_nothing_is_left(server, tmp_path):
    server.add(WHISPER, CONTENT)
    (name,) = server.files
    server.sent[name] = CONTENT[::-1]
    with pytest.raises(DownloadError, match="not the published one: its SHA-256 is"):
        get(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [CONTENT[:-5], CONTENT + b"more", b"<html>sign in</html>"])
def test_a_server_that_lies_about_the_length_is_refused(server, tmp_path, sent):
    server.add(WHISPER, CONTENT)
    (name,) = server.files
    server.sent[name] = sent
    with pytest.raises(DownloadError, match="could not be downloaded"):
        get(tmp_path)
    assert not (tmp_path / WHISPER.name).exists()


@pytest.mark.parametrize("etag", ["0" * 40, "W/abc", "z" * 64])
def test_without_a_sha256_nothing_is_fetched(server, tmp_path, etag):
    server.add(WHISPER, CONTENT)
    server.etag = etag
    with pytest.raises(DownloadError, match="states no size and SHA-256"):
        get(tmp_path)
    assert transfers(server) == []


@pytest.mark.parametrize("etag", [None, "W/abc"])
def test_a_file_of_known_sha256_needs_none_from_the_server(server, tmp_path, known, etag):
    known[WHISPER.name] = server.add(WHISPER, CONTENT)
    server.etag = etag
    assert get(tmp_path).read_bytes() == CONTENT


def test_a_file_other_than_the_published_one_is_refused_before_its_first_byte(server, tmp_path, known):
    server.add(WHISPER, CONTENT)
    known[WHISPER.name] = "0" * 64
    with pytest.raises(DownloadError, match="offers another file than the published one"):
        get(tmp_path)
    assert transfers(server) == []


def test_every_known_sha256_is_of_a_file_that_is_fetched(monkeypatch):
    monkeypatch.undo()
    assert set(published.SHA256) <= {file.name for file in needed("standard", "accelerated")}
    assert all(hub.SHA256.fullmatch(digest) for digest in published.SHA256.values())


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_server_that_refuses_is_a_sentence_with_address_and_folder(server, tmp_path, status):
    server.add(WHISPER, CONTENT)
    server.status = status
    with pytest.raises(DownloadError) as said:
        get(tmp_path)
    assert f"{server.url}/openai/whisper-tiny/resolve/main/model.safetensors" in str(said.value)
    assert str(said.value).endswith(f"put it into {tmp_path} as whisper-tiny.safetensors")


def test_a_damaged_part_costs_one_more_transfer(server, tmp_path):
    digest = server.add(WHISPER, CONTENT)
    (tmp_path / f".echomimic-{digest[:16]}.download").write_bytes(b"x" * SHORT)
    assert get(tmp_path).read_bytes() == CONTENT
    assert transfers(server) == [f"bytes={SHORT}-", None]


def test_a_server_that_cannot_go_on_from_a_part_sends_the_whole(server, tmp_path):
    digest = server.add(WHISPER, CONTENT)
    server.ranges = False
    (tmp_path / f".echomimic-{digest[:16]}.download").write_bytes(CONTENT[:SHORT])
    assert get(tmp_path).read_bytes() == CONTENT


def test_a_disk_without_room_is_said_before_the_first_byte(server, tmp_path, monkeypatch):
    server.add(WHISPER, CONTENT)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(WriteError, match="there is no room for the download: 2 MB are to come into"):
        fetch.fetch_all([WHISPER], {"echomimic": tmp_path}, nothing, nothing)
    assert transfers(server) == []


def test_a_disk_that_fills_up_is_a_sentence_and_the_part_stays(server, tmp_path, monkeypatch):
    server.add(WHISPER, CONTENT)
    write = hub.Part.write

    def full(part, block):
        if part.length:
            part.write_error = OSError(28, "No space left on device")
            raise part.write_error
        return write(part, block)

    monkeypatch.setattr(hub.Part, "write", full)
    with pytest.raises(WriteError, match="the disk is full"):
        get(tmp_path)
    (part,) = tmp_path.iterdir()
    assert part.stat().st_size == hub.CHUNK


def test_the_offline_mode_of_the_hub_is_obeyed(server, tmp_path, monkeypatch):
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    server.add(WHISPER, CONTENT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    reset = getattr(_http, "reset_sessions", None) or getattr(_http, "close_session", nothing)
    reset()
    try:
        with pytest.raises(DownloadError, match="(?i)offline"):
            get(tmp_path)
    finally:
        monkeypatch.undo()
        reset()
    assert server.asked == []


def test_the_token_goes_to_the_hub(server, tmp_path, monkeypatch):
    server.add(WHISPER, CONTENT)
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    get(tmp_path)
    assert server.tokens == ["Bearer hf_of_a_test"]


def test_all_files_are_told_with_sizes_folders_and_licences_before_the_first_byte(server, tmp_path):
    folders = {kind: tmp_path / kind for kind in ("echomimic", "vae")}
    for file in (WHISPER, VAE):
        server.add(file, CONTENT)
    told = []

    def tell(text):
        told.append((text, len(transfers(server))))

    paths = fetch.fetch_all([WHISPER, VAE], folders, tell, nothing)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "echomimic/whisper-tiny.safetensors",
        "vae/sd-vae-ft-mse.safetensors",
    ]
    text, before = told[0]
    assert before == 0
    for words in ("4 MB", "2 MB", "Apache-2.0", "MIT", str(folders["vae"]), "https://huggingface.co/openai/"):
        assert words in text


def test_the_command_fetches_what_is_missing_and_no_more(server, tmp_path, capsys):
    for index, file in enumerate(needed("standard", "accelerated")):
        server.add(file, CONTENT[: 1000 + index])
    (tmp_path / "echomimic").mkdir()
    (tmp_path / "echomimic" / "tiny.pt").write_bytes(b"there")
    assert fetch.main(["accelerated", "--to", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {file.name for file in needed("accelerated")} - {WHISPER.name} | {"tiny.pt"}
    told = capsys.readouterr().out
    assert str(tmp_path / "echomimic" / "denoising_unet_acc.pth") in told
    # A list with a line for each file, then one line that goes over itself.
    assert len([line for line in told.splitlines() if line.startswith("denoising_unet_acc.pth")]) == 1
    assert "\r1 of 5: " in told and "\\" not in told


def test_the_command_says_what_failed_in_one_sentence(server, tmp_path, capsys):
    server.status = 500
    assert fetch.main(["standard", "--to", str(tmp_path)]) == 1
    assert "denoising_unet.pth could not be downloaded" in capsys.readouterr().err


def test_the_digest_of_a_resumed_part_is_of_the_whole(tmp_path):
    path = tmp_path / "part"
    path.write_bytes(CONTENT[:SHORT])
    part = hub.Part(path, len(CONTENT))
    assert part.read_what_is_there() == SHORT
    part.write(CONTENT[SHORT:])
    assert part.digest.hexdigest() == hashlib.sha256(CONTENT).hexdigest()
    part.abandon()
