"""Names of choices that menus and commands offer, apart from what they name, so that a menu loads none of it."""

# Hands of a pose that is shorter than its clip, and what a pose turns around (`pose.edit`).
FIT_MODES = ("loop", "ping-pong", "hold")
PIVOTS = ("frame", "person", "wrists")

# How a picture is framed for a pose (`pose.align`), and how a pose is fitted to another kind of body (`pose.retarget`).
FRAMINGS = ("show hands", "original", "keep")
RETARGET_MODES = ("off", "five fingers", "four fingers")

# What becomes of a hand that is lost for long (`pose.clean`), and who finds it (`pose.detectors`).
LONG_GAPS = ("hold", "empty")
BUILT_IN, PACKAGE = "built-in", "mediapipe"
DETECTORS = (BUILT_IN, PACKAGE)

# What of a person changes, how a crop follows them (`scene.crop`), a clip after its end (`scene.footage`), and what is
# pasted (`scene.paste`).
MASKS = ("person", "face", "lower face")
CAMERAS = ("still", "follow")
EXTENSIONS = ("stop", "hold", "ping-pong")
BODIES = ("silhouette", "box")
MOST_SPEAKERS = 4

# Plain colours of a background, red, green and blue in 0..1, and all that takes its place (`media.picture`).
COLOURS = {
    "green": (0.0, 0.69, 0.25),
    "blue": (0.0, 0.28, 0.73),
    "black": (0.0, 0.0, 0.0),
    "grey": (0.5, 0.5, 0.5),
    "white": (1.0, 1.0, 1.0),
}
FILLS = ("keep", *COLOURS, "blur", "picture")

# Groups of keypoints that can be drawn for the model, and what the voice may move (`apdh.steering`).
KEYPOINT_GROUPS = ("hands", "body", "face", "lips")
REACHES = ("body", "head", "lips")

# The original's own DDIM, beside the host's samplers.
ORIGINAL_SAMPLER = "original"

# Shortcuts that go well together, and what is tried on the device (`sampling.speed`).
SPEED_PRESETS = ("exact", "fast", "fastest")
TUNINGS = ("layout", "kernels", "off")
