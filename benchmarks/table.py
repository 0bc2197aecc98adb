"""Rows of measurements as lines of text."""

UNITS = {
    "seconds": "{:.3f} s",
    "cpu_seconds": "{:.1f} s of processor",
    "tflop": "{:.2f} TFLOP",
    "tflops": "{:.3g} TFLOP/s",
    "share_of_matrix_rate": "{:.0%} of the matrix rate",
    "ratio": "{:.2f} x the original's time",
    "ratio_range": "({})",
    "cpu_ratio": "{:.2f} x its processor time",
    "cpu_ratio_range": "({})",
    "speedup": "{:.2f} x as fast",
    "cpu_speedup": "{:.2f} x by processor time",
    "frames_per_second": "{:.2f} frames/s",
    "peak_gib": "peak {:.2f} GiB",
    "estimate_gib": "estimated {:.2f} GiB",
    "weights_gib": "weights {:.2f} GiB",
    "growth_mib": "grows by {:.1f} MiB",
    "allowed_mib": "allowed {:.1f} MiB",
    "psnr_latents": "latents {:.1f} dB",
    "psnr_frames": "frames {:.1f} dB",
    "error": "FAILED: {}",
    "relative_error": "error {:.1e}",
    "note": "{}",
}


def print_table(row: dict) -> None:
    kernels = row.get("kernels", {})
    spent = [f"{kind} {seconds:.2f} s" for kind, seconds in sorted(kernels.items(), key=lambda item: -item[1])]
    cells = spent + [UNITS[key].format(value) for key, value in row.items() if key in UNITS and value is not None]
    print(f"{row['name']:<58} {'  '.join(cells)}", flush=True)
