"""OpenCV, or a sentence that says how to get it: `from .opencv import cv2`, inside functions."""

try:
    import cv2
except ImportError as error:
    raise ImportError(
        f"OpenCV cannot be loaded ({error}), but poses are drawn with it: run 'pip install opencv-python-headless' "
        "in ComfyUI's Python and restart. On a server without a screen, installing libgl1 helps as well."
    ) from error

__all__ = ["cv2"]
