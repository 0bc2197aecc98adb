"""The part of a VIDEO's file that the graph means, and the file opened by several readers at once."""

from io import BytesIO


def active_window(video) -> tuple[float, float]:
    """(begin, duration) in seconds of the file that a VIDEO from a file stands for; a duration of 0 is to the end.

    A VIDEO that was cut in the graph keeps its whole file and remembers the part. A begin that counts from the end of
    the file, as newer ComfyUI allows, is converted to its start.
    """
    if hasattr(video, "get_active_trim_window"):
        begin, duration = video.get_active_trim_window()
        return float(begin or 0), float(duration or 0)
    # Before that method there were only private attributes, and before those nothing could be cut.
    begin = float(getattr(video, "_VideoFromFile__start_time", 0) or 0)
    duration = float(getattr(video, "_VideoFromFile__duration", 0) or 0)
    if begin < 0:
        whole = video._get_raw_duration() if hasattr(video, "_get_raw_duration") else video.get_duration()
        begin = max(float(whole) + begin, 0.0)
    return begin, duration


def is_as_in_file(video) -> bool:
    """Whether the frames of a VIDEO from a file are those of the file: newer ComfyUI crops them only when asked."""
    return not (hasattr(video, "has_pending_frame_edits") and video.has_pending_frame_edits())


def reader(source):
    """A source for one reader: the path, or a file object of its own on the same bytes.

    Two readers of one file object would each take what the other has not read yet.
    """
    return BytesIO(source.getvalue()) if isinstance(source, BytesIO) else source
