"""Characters with light and shade, hair, clothes with folds and five tapered fingers, in several styles.

The next small model learns this world; the one that is shipped learned `drawn_world.simple`.
"""

from .clip import FROM_VOICE, HELD_OUT_GESTURES, LOOKS, SHADED, WorldClip, make_clip

__all__ = ["FROM_VOICE", "HELD_OUT_GESTURES", "LOOKS", "SHADED", "WorldClip", "make_clip"]
