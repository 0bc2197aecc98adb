"""Beside the original: both sides get the same window in turn, and what is said of them follows from the pairs."""

import json

import pytest
import torch

from benchmarks.__main__ import main, more_work
from benchmarks.beside import pairs, window
from benchmarks.beside.kernels import kind_of, seconds_by_kind
from benchmarks.chart import bars


class Side:
    """A side that takes a number of seconds per run."""

    def __init__(self, seconds: list[float], log: list, velocity: torch.Tensor):
        self.seconds, self.log, self.velocity = iter(seconds), log, velocity
        self.about = {"torch": "2"}

    def ask(self, what: str, pixels: int, *rest) -> dict:
        self.log.append((self, what))
        if what == "save":
            torch.save(self.velocity, rest[0])
        seconds = next(self.seconds) if what == "time" else 0
        if what == "profile":
            return {"products": 2 * self.velocity.numel()}
        return {"flops": 2e12, "seconds": seconds, "cpu_seconds": 2 * seconds, "peak_bytes": 2**30}


def test_ratios_are_of_pairs_whose_first_alternates():
    log, velocity = [], torch.ones(2, 3)
    theirs, ours = Side([10.0, 20.0, 40.0], log, velocity), Side([5.0, 18.0, 24.0], log, velocity * 1.01)
    original, mine, *kernels, beside = pairs._rows(theirs, ours, 64, 3)
    assert [side is ours for side, what in log if what == "time"] == [False, True, True, False, False, True]
    assert (original["seconds"], mine["seconds"]) == (20.0, 18.0)
    assert beside["ratio"] == pytest.approx(0.6) and beside["ratio_range"] == "0.50 to 0.90"
    assert [row["kernels"] for row in kernels] == [{"products": 12}] * 2
    assert beside["relative_error"] == pytest.approx(0.01) and beside["frames_per_second"] == pytest.approx(12 / 18)


def test_both_sides_make_the_same_weights_and_inputs():
    one, other = (window.fill(torch.nn.Linear(3, 4), "cpu", torch.float32) for _ in range(2))
    assert torch.equal(one.weight, other.weight) and one.weight.abs().max() <= 1 and not one.weight.requires_grad
    first, again = window.inputs(64, "cpu", torch.float32), window.inputs(64, "cpu", torch.float32)
    assert torch.equal(first["pose"], again["pose"]) and first["latents"].shape == (12, 4, 8, 8)
    shapes = [tuple(first["tokens"][name].shape) for name in window.block_names()]
    assert len(shapes) == 16 and shapes[0] == (1, 64, 320) and shapes[6] == (1, 1, 1280) and shapes[-1] == (1, 64, 320)


def test_a_side_that_ends_is_named():
    with pytest.raises(RuntimeError, match="ended with status 3"):
        pairs.Side([pairs.sys.executable, "-c", "raise SystemExit(3)"])


def test_more_counted_work_than_earlier_fails(tmp_path):
    row = {"name": "a window", "tflop": 1.2}
    assert more_work([row], {"a window": 1.1}) == []
    assert more_work([row], {"a window": 1.0}) == ["a window: 1.2 TFLOP, 20% more than earlier"]
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps({"rows": [{"name": "guided window, 32x32", "tflop": 1e-9}]}))
    plot = tmp_path / "times.svg"
    command = ["--device", "cpu", "--size", "tiny", "--pixels", "32", "--sections", "window"]
    assert main([*command, "--compare", str(earlier), "--plot", str(plot)]) == 1
    assert "guided window, 32x32" in plot.read_text()


@pytest.mark.parametrize(
    ("option", "words"), [("--original", "is no checkout"), ("--compare", "is no file that --json")]
)
def test_what_cannot_be_used_is_a_sentence(tmp_path, capsys, option, words):
    with pytest.raises(SystemExit):
        main(["--device", "cpu", option, str(tmp_path / "nothing")])
    assert words in capsys.readouterr().err


def test_bars_are_as_long_as_their_times():
    drawn = bars([{"name": "w, original", "seconds": 2.0}, {"name": "w, ours", "seconds": 1.0}], "<machine>")
    widths = [float(part.split('"')[0]) for part in drawn.split('width="')[2:]]
    assert widths == [pytest.approx(390.0), pytest.approx(195.0)] and "&lt;machine&gt;" in drawn


def test_time_is_told_by_the_kind_of_kernel():
    def work() -> None:
        torch.nn.functional.silu(torch.nn.functional.linear(torch.ones(64, 64), torch.ones(64, 64)))

    spent = seconds_by_kind(work)
    assert spent["products"] > 0 and spent["pointwise"] > 0 and "attention" not in spent


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::mkldnn_convolution", "convolution"),
        ("aten::addmm", "products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("aten::native_group_norm", "norms"),
        ("aten::copy_", "copies"),
        ("aten::gelu", "pointwise"),
        ("aten::view", "other"),
    ],
)
def test_operators_have_their_kind(operator, kind):
    assert kind_of(operator) == kind
