"""Speed and memory of the core, measured: `python -m benchmarks --help`."""
