"""Plant a fault in a copy of the tree, run the tests that should notice it, and say whether they did.

A process with the heavy packages loaded is forked for every fault, so that a fault costs its tests and little more.
"""

import compileall
import contextlib
import json
import multiprocessing
import os
import py_compile
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What the tests of the method need.
COPIED = ("echomimic_core", "drawn_world", "demo", "tests/unit", "tests/conftest.py", "pyproject.toml")
NOT_COPIED = ("__pycache__", "demo/models")  # The demo's models are large, and no test here reads them
HEAVY = (
    *("numpy", "torch", "torch._dynamo", "torch.utils.tensorboard", "safetensors.torch", "accelerate", "transformers"),
    *("pytest", "cv2", "yaml"),
)
PATIENCE = 180  # Seconds after which a fault has made an endless loop

DIES, SURVIVES, BROKEN = "dies", "survives", "broken"


class FaultError(ValueError):
    """A fault cannot be planted; the message says which and why."""


@dataclass(frozen=True)
class Fault:
    """A mistake to plant: `find`, which the file must hold exactly once, becomes `replace`; every one of `tests`, node
    ids or their beginnings, must then fail."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]

    def planted(self, source: str) -> str:
        """The file's text with the fault in it; FaultError if `find` does not occur exactly once."""
        count = source.count(self.find)
        if count != 1:
            raise FaultError(
                f"the fault {self.name!r} no longer applies: {self.file} holds {self.find!r} {count} times instead of "
                "once. Update its text in tests/mutants/faults to the code as it is now"
            )
        return source.replace(self.find, self.replace)


@dataclass(frozen=True)
class Verdict:
    """What became of a fault: one of DIES, SURVIVES and BROKEN, and for the last two why."""

    name: str
    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Report:
    """What a run of tests found: of every node id whether it failed, and what could not be run at all."""

    found: dict[str, bool]
    broken: str = ""

    def failed(self, test: str) -> bool:
        """Whether a test, or any of its parameters, failed; FaultError if it did not run."""
        prefixes = (f"{test}[", f"{test}::")
        of_test = [fails for node, fails in self.found.items() if node == test or node.startswith(prefixes)]
        if self.broken or not of_test:
            raise FaultError(self.broken or f"{test} did not run")
        return any(of_test)


def judge(fault: Fault, report: Report) -> Verdict:
    """The verdict on a fault: it dies where each of its tests failed."""
    try:
        passed = [test for test in fault.tests if not report.failed(test)]
    except FaultError as error:
        return Verdict(fault.name, BROKEN, str(error))
    return Verdict(fault.name, SURVIVES, f"passed: {', '.join(passed)}") if passed else Verdict(fault.name, DIES)


def judge_sound(name: str, tests: tuple[str, ...], report: Report) -> Verdict:
    """The verdict on a tree without a fault: it survives where no test failed."""
    try:
        failed = [test for test in tests if report.failed(test)]
    except FaultError as error:
        return Verdict(name, BROKEN, str(error))
    return Verdict(name, BROKEN, f"failed: {', '.join(failed)}") if failed else Verdict(name, SURVIVES)


def run_faults(
    faults: list[Fault], folder: Path, workers: int, tell: Callable[[Verdict], None] = lambda verdict: None
) -> list[Verdict]:
    """The verdicts on faults, planted one at a time in copies of the tree below `folder`, one for each worker.

    Raises
    ------
    FaultError : a fault does not apply, or a test fails where nothing is planted.
    """
    for fault in faults:
        fault.planted((ROOT / fault.file).read_text(encoding="utf-8"))
    load_heavy()
    forked = multiprocessing.get_context("fork")
    jobs, done = forked.SimpleQueue(), forked.SimpleQueue()
    tests = sorted({test for fault in faults for test in fault.tests})
    files = sorted({file_of(test) for test in tests})
    sound = {file: tuple(test for test in tests if file_of(test) == file) for file in files}
    # A sound tree is tested first, file by file
    for job in [*sound.items(), *sorted(faults, key=lambda fault: fault.tests), *[None] * workers]:
        jobs.put(job)
    trees = [folder / str(number) for number in range(workers)]
    processes = [forked.Process(target=_work, args=(tree, jobs, done)) for tree in trees]
    for process in processes:
        process.start()
    verdicts = []
    for _ in range(len(sound) + len(faults)):
        verdict = done.get()
        if verdict.name in sound and verdict.outcome != SURVIVES:
            for process in processes:
                process.terminate()
            raise FaultError(f"tests fail where no fault is planted: {verdict.why}")
        if verdict.name not in sound:
            verdicts.append(verdict)
            tell(verdict)
    for process in processes:
        process.join()
    return verdicts


def load_heavy() -> None:
    """Import what every test needs, but nothing of this project, before any fork."""
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            __import__(name)
    sys.modules["torch"].set_num_threads(1)


def file_of(test: str) -> str:
    return test.partition("::")[0]


def copy_tree(target: Path) -> None:
    """Copy what the tests need from the repository to an empty folder."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        inside = Path(folder).relative_to(ROOT)
        return {name for name in names if name in NOT_COPIED or (inside / name).as_posix() in NOT_COPIED}

    for name in COPIED:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, target / name)
    # By their hash, not by their time, so that a fault is compiled and all else is not
    compileall.compile_dir(target, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def _work(tree: Path, jobs, done) -> None:
    """Judge jobs in a tree of one's own: faults, or (a file, its tests) without any."""
    copy_tree(tree)
    while (job := jobs.get()) is not None:
        if isinstance(job, Fault):
            path = tree / job.file
            source = path.read_text(encoding="utf-8")
            path.write_text(job.planted(source), encoding="utf-8")
            done.put(judge(job, _run(tree, job.tests)))
            path.write_text(source, encoding="utf-8")
        else:
            done.put(judge_sound(*job, _run(tree, job[1])))


def _run(tree: Path, tests: tuple[str, ...]) -> Report:
    """The report of tests in a tree, run in a process of their own."""
    path = tree / "report.json"
    path.unlink(missing_ok=True)
    child = multiprocessing.get_context("fork").Process(target=_test, args=(tree, tests, path))
    child.start()
    child.join(PATIENCE)
    if child.is_alive():
        child.kill()
        child.join()
        return Report(dict.fromkeys(tests, True))  # An endless loop is noticed by everybody
    if not path.exists():
        return Report({}, f"the process of the tests ended with {child.exitcode}")
    return Report(**json.loads(path.read_text(encoding="utf-8")))


class _Reports:
    """Collects, as a plugin of pytest, which tests failed and what could not even be collected."""

    def __init__(self):
        self.found, self.broken = {}, ""

    def pytest_runtest_logreport(self, report):
        if report.when != "teardown" and not report.skipped:
            self.found[report.nodeid] = self.found.get(report.nodeid, False) or report.failed

    def pytest_collectreport(self, report):
        if report.failed:
            self.broken = f"{report.nodeid} cannot be imported: {str(report.longrepr).strip().splitlines()[-1]}"


def _test(tree: Path, tests: tuple[str, ...], report: Path) -> None:
    """Run tests in the tree, in this process, which ends with them."""
    import pytest

    os.chdir(tree)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # They take longer to load than the tests to run
    sys.dont_write_bytecode = True
    sys.path[:] = [str(tree), *(path for path in sys.path if path and Path(path).resolve() != ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sink = os.open(tree / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(sink, 1), os.dup2(sink, 2)
    reports = _Reports()
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tree), "-m", ""]
    pytest.main([*options, "-c", str(tree / "pyproject.toml"), *tests], plugins=[reports])
    report.write_text(json.dumps({"found": reports.found, "broken": reports.broken}), encoding="utf-8")
    os._exit(0)  # Not by way of what the parent had registered for its own end
