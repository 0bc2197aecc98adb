"""Poses instead of videos: what can be said of them."""

import shutil

from echomimic_core.evaluation.evaluate import evaluate
from echomimic_core.evaluation.sets import gather


def test_released_poses_are_evaluated_as_they_lie(samples):
    found = evaluate(gather(samples / "pose"))
    scores = {score.metric.key: score for score in found.scores}
    assert {k: round(v, 4) for k, v in scores["hkc"].clips.items()} == {"01": 0.9591, "ultraman": 0.8681}
    assert {k: round(v, 2) for k, v in scores["hkv"].clips.items()} == {"01": 60.36, "ultraman": 114.05}
    assert scores["hands"].value == 1 and set(scores) == {"hkc", "hkv", "hands", "gesture-diversity", "jitter"}


def test_a_damaged_pose_is_a_sentence_and_the_other_is_evaluated(samples, tmp_path):
    shutil.copytree(samples / "pose" / "ultraman", tmp_path / "good")
    shutil.copytree(samples / "pose" / "ultraman", tmp_path / "bad")
    for folder in (tmp_path / "good", tmp_path / "bad"):
        folder.chmod(0o755)
    (tmp_path / "bad" / "7.npy").unlink()
    found = evaluate(gather(tmp_path))
    assert list(found.scores[0].clips) == ["good"]
    assert any("lacks 7.npy" in remark for report in found.clips for remark in report.remarks)
