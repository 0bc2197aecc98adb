# One word for each thing that is done often. `just` lists them.

python := env("PYTHON", "python3")
# What tests/run.py makes, with torch, ComfyUI's packages and ruff.
made := env("COMFYUI_PYTHON", justfile_directory() / ".cache/venv/bin/python")

_default:
    @just --list

# Every test but the slow ones, in a real ComfyUI that is set up by itself; more arguments go to pytest.
test *arguments:
    {{python}} tests/run.py {{arguments}}

# The core alone, without ComfyUI: the inner loop. PYTHON names one that has '.[standalone,training,dev]'.
fast *arguments:
    {{python}} -m pytest tests/unit -m "not slow and not work" -n auto --dist loadfile {{arguments}}

# Style, and mend what can be mended.
lint:
    {{python}} -m ruff check --fix .
    {{python}} -m ruff format .

# An mp4 from the inputs that come along.
demo *arguments:
    {{python}} demo/run.py {{arguments}}

# Freeze the nodes' ids and inputs anew; they may only grow at the end.
schema:
    {{python}} tests/run.py tests/comfyui/test_pack.py --freeze-schema

# Damaged and hostile files of every kind, for as long as you like.
fuzz minutes="30":
    {{python}} -m tests.fuzz --minutes {{minutes}}

# Plant every fault of tests/mutants in the method: each must be noticed by the tests it names.
mutants *arguments:
    {{made}} -m tests.mutants {{arguments}}

# Speed and memory of this machine.
bench *arguments:
    {{python}} -m benchmarks {{arguments}}

# What the registry checks before it takes a version.
registry:
    {{python}} -m venv .cache/registry
    .cache/registry/bin/pip install --quiet comfy-cli
    .cache/registry/bin/comfy --skip-prompt --no-enable-telemetry node validate

# Everything: both ends of ComfyUI, older and newer pages, other people's environments, the registry.
release-check: && registry
    {{python}} tests/run.py -m "" --comfyui 0.33.0 --frontends 1.32.9 1.58.1
    {{python}} tests/run.py -m "" --comfyui 0.3.75
    {{made}} -m tests.environments
    if [ -d ../shared/parity ]; then {{made}} -m echomimic_core.verify ../shared/parity; fi
    {{made}} -m ruff check .
    {{made}} -m ruff format --check .
