"""Files at addresses: what a list of jobs asks of a path, with sentences for what cannot be reached."""

import sys

import pytest

from echomimic_core.files.addresses import Address, below, place, save_text

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket():
    """An empty folder in memory."""
    files = fsspec.filesystem("memory")
    files.makedirs("/bucket", exist_ok=True)
    yield Address("memory://bucket")
    files.rm("/bucket", recursive=True)


def test_an_address_is_told_from_a_path(tmp_path):
    assert place("s3://faces/ann.png") == Address("s3://faces/ann.png")
    assert place(tmp_path) == tmp_path and place("a/b.png").name == "b.png"
    assert below(Address("s3://faces"), "a/ann.png") == Address("s3://faces/a/ann.png")
    assert below(tmp_path, "s3://faces/ann.png") == Address("s3://faces/ann.png")
    assert below(Address("s3://faces"), tmp_path) == tmp_path and below(tmp_path, "b.png") == tmp_path / "b.png"
    address = Address("s3://faces/ann.b.png")
    assert (address.name, address.stem, address.suffix, str(address.parent)) == (
        *("ann.b.png", "ann.b", ".png"),
        "s3://faces",
    )


def test_a_file_comes_and_goes_whole(bucket, tmp_path):
    (tmp_path / "one.bin").write_bytes(b"one")
    target = bucket / "videos" / "one.bin"
    assert not target.exists()
    target.put(tmp_path / "one.bin")
    assert target.exists() and [found.name for found in (bucket / "videos").iterdir()] == ["one.bin"]
    (tmp_path / "near").mkdir()
    assert target.fetch(tmp_path / "near").read_bytes() == b"one"
    save_text(bucket / "notes.txt", "ä")
    assert (bucket / "notes.txt").read_bytes().decode() == "ä" and bucket.is_dir() and not target.is_dir()
    assert (bucket / "videos").fetch(tmp_path).joinpath("one.bin").read_bytes() == b"one"


def test_an_upload_that_fails_leaves_nothing(bucket, tmp_path, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    (tmp_path / "one.bin").write_bytes(b"one")

    def fail(*_, **__):
        raise RuntimeError("no more credit")

    monkeypatch.setattr(MemoryFileSystem, "mv", fail)
    with pytest.raises(OSError, match="memory://bucket/one.bin cannot be reached: no more credit"):
        (bucket / "one.bin").put(tmp_path / "one.bin")
    assert list(bucket.iterdir()) == []


def test_what_cannot_be_reached_is_a_sentence(bucket, tmp_path, monkeypatch):
    with pytest.raises(OSError, match="memory://bucket/none.wav does not exist"):
        (bucket / "none.wav").fetch(tmp_path)
    with pytest.raises(OSError, match="nowhere://a/b cannot be reached"):
        Address("nowhere://a/b").exists()
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ValueError, match="needs fsspec"):
        bucket.exists()
