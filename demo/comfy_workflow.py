"""From a workflow file, as ComfyUI's page saves it, to the prompt that ComfyUI's server takes."""

from __future__ import annotations

FRONTEND_ONLY = {"Note", "MarkdownNote"}
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
# A choice whose options bring widgets of their own, which follow it under its name and a dot.
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
UNREADABLE = "COMFY_"  # Other inputs of this kind grow widgets by rules that are not known here.
UPLOADS = ("image_upload", "audio_upload", "video_upload")


def to_prompt(workflow: dict, object_info: dict) -> dict:
    """Return the API form of a workflow without subgraphs, muted or bypassed nodes.

    `object_info` is the server's own description of its nodes. Raises ValueError naming a node that it does not know,
    and one whose widgets cannot be told from what is saved.
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
    values = list(node.get("widgets_values") or [])
    sockets = {socket["name"] for socket in node.get("inputs", [])}
    inputs, page_only = take_widgets(values, schema, sockets, node["type"])
    if len(values) > page_only:
        raise ValueError(f"{node['type']}: the workflow holds {len(values)} more values than its widgets: {values}")
    for socket in node.get("inputs", []):
        if socket.get("link") is not None:
            inputs[socket["name"]] = links[socket["link"]]
    return inputs


def take_widgets(values: list, schema: dict, sockets: set[str], kind: str, prefix: str = "") -> tuple[dict, int]:
    """(values of a node's widgets by name, how many values of the page's own may be left behind them).

    values : those saved and not yet taken; the taken ones are removed.
    sockets : names of the inputs that are drawn as sockets.
    """
    inputs, page_only = {}, 0
    for group in ("required", "optional"):
        for name, spec in schema.get(group, {}).items():
            options = options_of(spec)
            if spec[0] == DYNAMIC_COMBO:
                chosen = inputs[prefix + name] = take(values, options["options"][0]["key"])
                for option in options["options"]:
                    if option["key"] == chosen:
                        more, left = take_widgets(values, option["inputs"], sockets, kind, f"{prefix}{name}.")
                        inputs.update(more)
                        page_only += left
            elif is_widget(spec):
                inputs[prefix + name] = take(values, default_of(spec))
                if options.get("control_after_generate"):
                    take(values)  # "fixed", "randomize", ...: the page's own business
                page_only += 2 * any(options.get(upload) for upload in UPLOADS)
            elif is_unknown_widget(spec) and name not in sockets:
                raise ValueError(f"{kind}: its input {name} is of the kind {spec[0]}, whose widgets are not known here")
    return inputs, page_only


def take(values: list, default: object = None) -> object:
    """The next saved value, or `default` where the workflow was saved before there was one more widget."""
    return values.pop(0) if values else default


def is_widget(spec: list) -> bool:
    kind = spec[0]
    return (isinstance(kind, list) or kind in WIDGETS) and not options_of(spec).get("forceInput")


def is_unknown_widget(spec: list) -> bool:
    """Whether an input may be drawn as a widget of a kind that is not known here: it has a default, or grows."""
    kind, options = spec[0], options_of(spec)
    if options.get("forceInput"):
        return False
    return "default" in options or (isinstance(kind, str) and kind.startswith(UNREADABLE))


def options_of(spec: list) -> dict:
    return spec[1] if len(spec) > 1 else {}


def default_of(spec: list) -> object:
    options = options_of(spec)
    choices = spec[0] if isinstance(spec[0], list) else options.get("options")
    return options.get("default", choices[0] if choices else None)


def change(prompt: dict, kind: str, **inputs) -> dict:
    """Set inputs of every node of a kind, in place, and return the prompt."""
    for node in prompt.values():
        if node["class_type"] == kind:
            node["inputs"].update(inputs)
    return prompt
