"""Parts of the videos on several machines, and the rights in them."""

import json

import pytest

from echomimic_core.training.data.prepare import main
from echomimic_core.training.data.results import Rights, RightsTable, choose_part, finish
from echomimic_core.training.data.shards import read_manifest

TABLE = "video,origin,licence,consent\ntalks/a*,ours,CC0,signed\ntalks/*,a friend,,\n"


def write_result(out, name: str, clips: int, mark: int = 1) -> None:
    (out / "results").mkdir(exist_ok=True)
    listed = []
    for number in range(clips):
        shard = f"{name}-{number:03d}.safetensors"
        (out / shard).touch()
        listed.append(
            {
                "shard": shard,
                "clip": f"{number:03d}",
                "kind": "semi-body",
                "frames": 24,
                "size": 64,
                "source": name,
                "start": 0.0,
            }
        )
    result = {"video": f"{name}.mp4", "clips": listed, "rejected": [], "fingerprint": {"bytes": mark}}
    (out / "results" / f"{name}.json").write_text(json.dumps(result))


@pytest.fixture
def rights(tmp_path) -> RightsTable:
    path = tmp_path / "rights.csv"
    path.write_text(TABLE, "utf-8")
    return RightsTable(path)


def test_parts_are_all_videos_and_none_twice():
    videos = list(range(11))
    parts = [choose_part(videos, f"{k}/4") for k in range(1, 5)]
    assert sorted(video for part in parts for video in part) == videos
    assert {len(part) for part in parts} == {2, 3}
    assert choose_part(videos, "1/1") == videos


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", ""])
def test_what_is_no_part_is_a_sentence(part):
    with pytest.raises(ValueError, match="such as 2/8"):
        choose_part([1, 2], part)


def test_whoever_ends_lists_what_others_have_done(tmp_path):
    write_result(tmp_path, "b", 2)
    write_result(tmp_path, "c", 1, mark=2)  # Prepared in another way
    mine = {"a": {"video": "a.mp4", "clips": [], "rejected": [{"start": 0.0, "seconds": None, "reason": "mute"}]}}
    marks = {name: {"bytes": 1} for name in "abcd"}
    report = finish(tmp_path, mine, marks, dict.fromkeys(marks, Rights()))
    assert (report["videos"], report["clips"]) == (2, 2)
    assert report["rejected"][0]["video"] == "a.mp4"
    assert [clip.info.source for clip in read_manifest(tmp_path)] == ["b", "b"]


def test_what_another_machine_ends_meanwhile_is_listed_too(tmp_path, monkeypatch):
    from echomimic_core.training.data import results

    write, calls = results.write_manifest, []

    def slow(folder, clips):
        write(folder, clips)
        if not calls:
            write_result(tmp_path, "late", 1)
        calls.append(len(clips))

    monkeypatch.setattr(results, "write_manifest", slow)
    write_result(tmp_path, "b", 1)
    marks = {name: {"bytes": 1} for name in ("b", "late")}
    assert finish(tmp_path, {}, marks, dict.fromkeys(marks, Rights()))["clips"] == 2
    assert calls == [1, 2]


def test_the_list_of_clips_says_whose_they_are(tmp_path, rights):
    write_result(tmp_path, "b", 1)
    marks = {"b": {"bytes": 1}}
    finish(tmp_path, {}, marks, {"b": rights.of("talks/a1.mp4")})
    (clip,) = read_manifest(tmp_path)
    assert (clip.info.origin, clip.info.licence, clip.info.consent) == ("ours", "CC0", "signed")
    finish(tmp_path, {}, marks, {"b": rights.of("talks/b.mp4")})
    assert read_manifest(tmp_path)[0].info.listed()["origin"] == "a friend"
    assert "licence" not in read_manifest(tmp_path)[0].info.listed()


def test_strict_names_what_is_not_known(rights):
    rights.check(["talks/a1.mp4", "talks/a2.mp4"])
    with pytest.raises(ValueError, match=r"^talks/b\.mp4 and 1 more videos: origin, licence or consent is not given"):
        rights.check(["talks/a1.mp4", "talks/b.mp4", "other.mp4"])


def test_the_command_stops_before_the_first_video(tmp_path, capsys):
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "one.mp4").touch()
    (tmp_path / "tiny.pt").touch()
    command = [str(tmp_path / "talks"), str(tmp_path / "out"), "--whisper", str(tmp_path / "tiny.pt"), "--strict"]
    assert main(command) == 1
    assert "one.mp4: origin, licence or consent is not given" in capsys.readouterr().err
    (tmp_path / "talks" / "rights.csv").write_text("video,licence\n*,CC0\n")
    assert main(command) == 1
    assert "has no column consent, origin" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
