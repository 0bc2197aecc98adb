"""A zipped pose folder is read as the folder is, in memory; whatever else a zip may hold is a sentence."""

import zipfile

import numpy as np
import pytest

from echomimic_core.pose import files, zipped


def record(x=0.5) -> dict:
    return {"hands": np.full((2, 21, 2), x), "hands_score": np.ones((2, 21))}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "clip"
    path.mkdir()
    for frame in range(12):
        np.save(path / f"{frame}.npy", record(frame / 20), allow_pickle=True)
    return path


def zip_of(path, entries: dict, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content, **options)
    return path


def contents(folder, prefix="") -> dict:
    return {prefix + file.name: file.read_bytes() for file in folder.iterdir()}


def same(one, other) -> bool:
    return np.array_equal(one.hands, other.hands) and np.array_equal(one.hand_scores, other.hand_scores)


@pytest.mark.parametrize("prefix", ["", "clip/", "a/b/", "../../", "/etc/", "C:\\poses\\"])
def test_a_zip_is_read_as_its_folder_wherever_its_names_point(folder, tmp_path, prefix):
    path = zip_of(tmp_path / "clip.zip", contents(folder, prefix))
    before = sorted(tmp_path.rglob("*"))
    assert same(files.load_zip(path, 24.0), files.load_folder(folder, 24.0))
    assert sorted(tmp_path.rglob("*")) == before


def test_what_macos_adds_is_left_out(folder, tmp_path):
    entries = contents(folder, "clip/") | contents(folder, "__MACOSX/clip/._") | {"clip/.DS_Store": b"x"}
    assert len(files.load_zip(zip_of(tmp_path / "clip.zip", entries))) == 12


def big(count: int) -> dict:
    return {f"{index}.npy": bytes(2**20) for index in range(count)}


BAD = {
    "nothing": ({}, "contains no .npy file"),
    "pictures": ({"a.png": b"x"}, "contains no .npy file"),
    "two folders": ({"a/0.npy": b"x", "b/0.npy": b"x"}, "the poses of 2 folders"),
    "a gap": ({"0.npy": b"x", "2.npy": b"x"}, r"lacks 1\.npy"),
    "no pose": ({"0.npy": b"x"}, "it is not a .npy file"),
    "a large frame": ({"0.npy": bytes(2**20 + 1)}, "0.npy has more than 1 MB"),
    "too much": (big(65), "unpacks to more than 64 MB"),
}


@pytest.mark.parametrize(("entries", "words"), BAD.values(), ids=BAD)
def test_a_zip_that_holds_something_else_is_a_sentence(tmp_path, entries, words):
    with pytest.raises(ValueError, match=words) as said:
        files.load_zip(zip_of(tmp_path / "clip.zip", entries))
    assert str(tmp_path / "clip.zip") in str(said.value)


def test_no_zip_half_a_zip_and_a_garbled_one_are_sentences(folder, tmp_path):
    path = zip_of(tmp_path / "clip.zip", contents(folder))
    whole = path.read_bytes()
    middle = len(whole) // 3
    for content in (b"", b"PK", whole[:-30], whole[:middle], whole[:middle] + bytes(40) + whole[middle + 40 :]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(path)):
            files.load_zip(path)


def test_a_zip_that_lies_about_its_sizes_is_stopped_where_it_ends(tmp_path):
    path = zip_of(tmp_path / "bomb.zip", {"0.npy": bytes(2**26)})
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="cannot be read"):
        files.load_zip(path)


def test_an_encrypted_zip_is_refused(folder, tmp_path):
    path = zip_of(tmp_path / "clip.zip", contents(folder))
    content = bytearray(path.read_bytes())
    place = 0
    while (place := content.find(b"PK\x01\x02", place)) >= 0:
        content[place + 8] |= zipped.LOCKED
        place += 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="locked by a password"):
        files.load_zip(path)


def test_an_unsupported_compression_is_refused(folder, tmp_path):
    path = tmp_path / "clip.zip"
    zip_of(path, contents(folder), compress_type=zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match="packed in a way that is not read"):
        files.load_zip(path)
