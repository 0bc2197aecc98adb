"""What an evaluation costs: the benchmark tells it, and own code is faster than the library's by enough to be there."""

import json

import benchmarks.evaluation as benchmark


def arguments(tmp_path, *more: str) -> list[str]:
    """A second of a small film without any network."""
    small = ["--seconds", "1", "--pixels", "64", "--processes", "1", "--mediapipe", str(tmp_path)]
    return [*small, "--networks", str(tmp_path), "--json", str(tmp_path / "out.json"), *more]


def test_the_benchmark_tells_times_and_what_they_cover(tmp_path, capsys):
    assert benchmark.main(arguments(tmp_path, "--each", "0.5")) == 0
    content = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert "MediaPipe's expressions not there" in content["included"] and "dlib not there" in content["included"]
    whole, again, *single = content["rows"]
    assert "PSNR" in whole["note"] and "SSIM" in whole["note"]
    assert 0 < again["seconds"] < whole["seconds"] and whole["cpu_seconds"] > 0
    assert [row["name"] for row in single][:2] == ["PSNR alone, 0.5 s", "SSIM alone, 0.5 s"]
    assert content["included"] in capsys.readouterr().out


def test_a_minute_that_costs_too_much_fails_the_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "PROMISED_SECONDS", 1.0)
    monkeypatch.setattr(benchmark, "PROMISED_PIXELS", 64)
    assert benchmark.main(arguments(tmp_path)) == 0
    monkeypatch.setattr(benchmark, "ALLOWED_CPU", 0.0)
    assert benchmark.main(arguments(tmp_path)) == 1
