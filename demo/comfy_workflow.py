"""From a workflow file, as ComfyUI's page saves it, to the prompt that ComfyUI's server takes."""

from __future__ import annotations

FRONTEND_ONLY = {"Note", "MarkdownNote"}
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


def to_prompt(workflow: dict, object_info: dict) -> dict:
    """Return the API form of a workflow without subgraphs, muted or bypassed nodes.

    `object_info` is the server's own description of its nodes. Raises ValueError naming a node it does not know.
    """
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        kind = node["type"]
        if kind in FRONTEND_ONLY:
            continue
        if kind not in object_info:
            raise ValueError(f"the workflow uses the node {kind}, which this ComfyUI does not have")
        prompt[str(node["id"])] = {"class_type": kind, "inputs": inputs_of(node, object_info[kind]["input"], links)}
    return prompt


def inputs_of(node: dict, schema: dict, links: dict) -> dict:
    """Inputs of one node: its widgets, whose values are saved in the schema's order, then what links bring."""
    inputs = {}
    values = iter(node.get("widgets_values") or [])
    for group in ("required", "optional"):
        for name, spec in schema.get(group, {}).items():
            if not is_widget(spec):
                continue
            inputs[name] = next(values, None)
            if options_of(spec).get("control_after_generate"):
                next(values, None)  # "fixed", "randomize", ...: the page's own business
    for socket in node.get("inputs", []):
        if socket.get("link") is not None:
            inputs[socket["name"]] = links[socket["link"]]
    return inputs


def is_widget(spec: list) -> bool:
    kind = spec[0]
    return (isinstance(kind, list) or kind in WIDGETS) and not options_of(spec).get("forceInput")


def options_of(spec: list) -> dict:
    return spec[1] if len(spec) > 1 else {}


def change(prompt: dict, kind: str, **inputs) -> dict:
    """Set inputs of every node of a kind, in place, and return the prompt."""
    for node in prompt.values():
        if node["class_type"] == kind:
            node["inputs"].update(inputs)
    return prompt
