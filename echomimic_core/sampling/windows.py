"""Context windows: how a clip of any length is cut for motion modules that see a dozen frames."""


def uniform_windows(num_frames: int, context_frames: int, overlap: int) -> list[list[int]]:
    """The original's `uniform` schedule: overlapping windows, the last ones wrapping round to the first frames.

    Parameters
    ----------
    num_frames : frames in the clip, at least 1.
    context_frames : frames in a window; a shorter clip is one window of its own length.
    overlap : frames shared by neighbouring windows, less than `context_frames`.
    """
    if num_frames <= context_frames:
        return [list(range(num_frames))]
    starts = range(0, num_frames, context_frames - overlap)
    return [[frame % num_frames for frame in range(start, start + context_frames)] for start in starts]


def shift_windows(windows: list[list[int]], num_frames: int, shift: int) -> list[list[int]]:
    """Move every window by `shift` frames round the clip, so that no seam stays where it was the step before."""
    return [[(frame + shift) % num_frames for frame in window] for window in windows]


def open_windows(num_frames: int, context_frames: int, overlap: int, shift: int = 0) -> list[list[int]]:
    """Windows that never wrap, so that the end of the clip knows nothing of its beginning.

    The grid of starts moves by `shift`; windows that would stick out are pushed back inside.
    """
    if num_frames <= context_frames:
        return [list(range(num_frames))]
    stride, last = context_frames - overlap, num_frames - context_frames
    grid = range(-(-shift % stride), last + stride, stride)
    starts = sorted({min(max(start, 0), last) for start in grid})
    return [list(range(start, start + context_frames)) for start in starts]


def windows_at_step(
    num_frames: int, context_frames: int, overlap: int, shift: int, wrap: bool = True
) -> list[list[int]]:
    """The windows of one denoising step, `shift` frames on from those of the first step."""
    if not wrap:
        return open_windows(num_frames, context_frames, overlap, shift)
    return shift_windows(uniform_windows(num_frames, context_frames, overlap), num_frames, shift)
