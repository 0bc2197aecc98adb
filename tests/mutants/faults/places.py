"""Where the method and its tests lie, for the faults beside this file."""

from tests.mutants.engine import Fault

UNIT, CORE = "tests/unit", "echomimic_core"
SAMPLES, TRAINER = f"{UNIT}/training/data/test_method.py", f"{UNIT}/training/run/test_method.py"
DATASET, LOOP = f"{CORE}/training/data/dataset.py", f"{CORE}/training/run/loop.py"
PHD, DIFFUSION = f"{CORE}/training/loss/phd.py", f"{CORE}/training/loss/diffusion.py"
PHD_TESTS, NETWORK_TESTS = f"{UNIT}/training/loss/test_phd.py", f"{UNIT}/training/model/test_networks.py"
APDH_TESTS, HPA = f"{UNIT}/apdh/test_schedule.py", f"{CORE}/training/data/hpa.py"
STEERING, STEERING_TESTS = f"{CORE}/apdh/steering.py", f"{UNIT}/apdh/test_steering.py"
SCHEDULE, SCHEDULE_TESTS = f"{CORE}/sampling/schedule.py", f"{UNIT}/sampling/test_schedule.py"
WINDOWS, WINDOW_TESTS = f"{CORE}/sampling/windows.py", f"{UNIT}/sampling/test_windows.py"
NETWORKS = f"{CORE}/training/model/networks.py"


def fault(name: str, file: str, find: str, replace: str, *tests: str) -> Fault:
    return Fault(name, file, find, replace, tests)
