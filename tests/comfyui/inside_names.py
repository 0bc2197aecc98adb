"""Run inside ComfyUI's own Python: every name of ComfyUI that the pack uses, looked up; those not there as JSON.

python inside_names.py COMFYUI_FOLDER PACK_FOLDER
"""

import ast
import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

from started_comfyui import COMFYUI, PACK

THEIRS = {path.stem for path in COMFYUI.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
THEIRS |= {"comfy", "comfy_extras", "comfy_execution", "comfy_api"}
GUARDS = {"ImportError", "ModuleNotFoundError", "AttributeError"}


def sources() -> Iterator[Path]:
    yield PACK / "__init__.py"
    for folder in ("nodes", "bridge"):
        yield from sorted((PACK / folder).rglob("*.py"))


def is_guard(node: ast.AST) -> bool:
    """Whether a `try` expects that a name may not be there."""
    if not isinstance(node, ast.Try):
        return False
    caught = (part for handler in node.handlers if handler.type for part in ast.walk(handler.type))
    return any(isinstance(part, ast.Name) and part.id in GUARDS for part in caught)


def unguarded(node: ast.AST) -> Iterator[ast.AST]:
    """Every part of a tree that runs whatever this ComfyUI has."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not is_guard(child):
            yield from unguarded(child)


def used(path: Path) -> set[str]:
    """Dotted names of ComfyUI in a file: what is imported, and what is taken from it."""
    names, roots = set(), {}
    parts = list(unguarded(ast.parse(path.read_text("utf-8"))))
    for node in parts:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in THEIRS:
                    names.add(alias.name)
                    top = alias.name.split(".")[0]
                    roots[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module.split(".")[0] in THEIRS:
            for alias in node.names:
                roots[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                names.add(f"{node.module}.{alias.name}")
    for node in parts:
        chain, inner = [], node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if chain and isinstance(inner, ast.Name) and inner.id in roots:
            names.add(".".join([roots[inner.id], *reversed(chain)]))
    return names


def is_there(name: str) -> bool:
    """Whether a dotted name leads somewhere; what instances have is not asked."""
    first, *rest = name.split(".")
    found, path = importlib.import_module(first), first
    for part in rest:
        path = f"{path}.{part}"
        if not hasattr(found, part):
            if not inspect.ismodule(found):
                return not inspect.isclass(found)
            try:
                importlib.import_module(path)
            except ImportError:
                return False
        found = getattr(found, part)
    return True


uses = {f"{path.relative_to(PACK)}: {name}" for path in sources() for name in used(path)}
missing = sorted(use for use in uses if not is_there(use.partition(": ")[2]))
print(json.dumps({"looked up": len(uses), "missing": missing}))
