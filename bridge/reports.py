"""What a node has to say, said on the node itself: the page draws `ui` texts for ComfyUI's own nodes only."""

import logging


def say(text: str) -> None:
    """Show a text on the node that runs now; nothing happens where there is no page."""
    try:
        from comfy_execution.utils import get_executing_context
        from server import PromptServer
    except ImportError:
        return
    context, page = get_executing_context(), getattr(PromptServer, "instance", None)
    if context is not None and page is not None and hasattr(page, "send_progress_text"):
        page.send_progress_text(text, context.node_id)


def warn(text: str) -> None:
    """Show a text on the node that runs now, and in the log."""
    logging.warning("EchoMimicV2: %s", text)
    say(text)
