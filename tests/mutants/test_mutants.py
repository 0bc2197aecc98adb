"""A third of the faults, planted; and that the engine tells those that die from those that survive."""

import json
import multiprocessing
import os
import subprocess
import sys

import pytest

from tests.mutants.__main__ import summary
from tests.mutants.engine import BROKEN, DIES, ROOT, SURVIVES, Fault, FaultError, Report, Verdict, judge, judge_sound
from tests.mutants.faults import FAULTS, third

FAULT = Fault("no clipping", "a.py", "clip(x)", "x", ("tests/test_a.py::test_b", "tests/test_a.py::test_c"))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What became of the third, by name."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("faults are planted in forked processes, which this system does not have")
    out = tmp_path_factory.mktemp("mutants") / "verdicts.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "tests.mutants", "--third", "--workers", "1", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert out.exists(), done.stdout + done.stderr
    return {verdict["name"]: verdict for verdict in json.loads(out.read_text(encoding="utf-8"))}


@pytest.mark.mutants
@pytest.mark.parametrize("fault", third(), ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_noticed(fault, verdicts):
    assert verdicts[fault.name]["outcome"] == DIES, verdicts[fault.name]["why"]


def test_every_fault_still_applies_and_names_tests_that_exist():
    assert len(FAULTS) >= 40 and len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        fault.planted((ROOT / fault.file).read_text(encoding="utf-8"))
        assert fault.tests
        for test in fault.tests:
            file, _, name = test.partition("::")
            assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{fault.name}: there is no {test}"


def test_a_fault_whose_text_is_gone_or_not_alone_is_a_sentence():
    assert FAULT.planted("y = clip(x)") == "y = x"
    for source, times in (("y = clip(z)", 0), ("clip(x) + clip(x)", 2)):
        with pytest.raises(FaultError, match=rf"no longer applies: a.py holds 'clip\(x\)' {times} times instead of"):
            FAULT.planted(source)


def test_a_fault_dies_only_if_every_test_it_names_fails():
    def verdict(**failed):
        return judge(FAULT, Report({f"tests/test_a.py::test_{name}": fails for name, fails in failed.items()}))

    assert verdict(b=True, c=True).outcome == DIES
    assert verdict(b=True, c=False) == Verdict("no clipping", SURVIVES, "passed: tests/test_a.py::test_c")
    assert verdict(b=True) == Verdict("no clipping", BROKEN, "tests/test_a.py::test_c did not run")
    one_of_many = {
        f"tests/test_a.py::test_{name}": fails for name, fails in {"b[1]": False, "b[2]": True, "c": True}.items()
    }
    assert judge(FAULT, Report(one_of_many)).outcome == DIES
    assert judge(FAULT, Report({}, "it cannot be imported")).outcome == BROKEN


def test_a_sound_tree_must_pass_everything():
    found = {"tests/test_a.py::test_b[1]": False, "tests/test_a.py::test_b[2]": True, "tests/test_a.py::test_c": False}
    assert judge_sound("tests/test_a.py", FAULT.tests, Report(found)).outcome == BROKEN
    assert judge_sound("tests/test_a.py", FAULT.tests, Report(dict.fromkeys(found, False))).outcome == SURVIVES


def test_survivors_are_listed_and_end_with_1(capsys):
    assert summary([Verdict("a", DIES)]) == 0
    assert summary([Verdict("a", DIES), Verdict("no clipping", SURVIVES, "passed: test_c")]) == 1
    said = capsys.readouterr().out
    assert "1 of 2 faults die" in said and "survives: no clipping" in said and "passed: test_c" in said
