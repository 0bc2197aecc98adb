"""Characters with light and shade, hair, clothes with folds and five tapered fingers, in several styles.

The next small model is to learn this world; the one that is shipped learned `drawn_world.character`.
"""

from .clip import LOOKS, WorldClip, make_clip

__all__ = ["LOOKS", "WorldClip", "make_clip"]
