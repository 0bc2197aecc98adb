"""From a workflow file, as ComfyUI's page saves it, to the prompt that ComfyUI's server takes."""

from __future__ import annotations

FRONTEND_ONLY = {"Note", "MarkdownNote"}


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
    options = {name: spec for group in ("required", "optional") for name, spec in schema.get(group, {}).items()}
    values = iter(node.get("widgets_values") or [])
    inputs = {}
    for socket in node.get("inputs", []):
        name = socket["name"]
        value = None
        if "widget" in socket:
            value = next(values, None)
            if seed_control(options.get(name)):
                next(values, None)  # "fixed", "randomize", ...: the page's own business
        if name not in options:
            continue
        if socket.get("link") is not None:
            inputs[name] = links[socket["link"]]
        elif "widget" in socket:
            inputs[name] = value
    return inputs


def seed_control(spec: list | None) -> bool:
    return bool(spec and len(spec) > 1 and spec[1].get("control_after_generate"))


def nodes_of(prompt: dict, kind: str) -> list[dict]:
    """Return the inputs of every node of a kind, to be changed in place."""
    return [node["inputs"] for node in prompt.values() if node["class_type"] == kind]
