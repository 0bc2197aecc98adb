"""At the door: every node's own schema is read, and what does not fit it never gets to the node."""

import inspect
from functools import wraps

from .values import WIDGETS, make_ours


def checks_choices() -> bool:
    """Whether this ComfyUI compares the choices of our kind of nodes with their lists before a run."""
    try:
        from comfyui_version import __version__ as version
    except ImportError:
        return False
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) >= (0, 33)


# Checked before a run as well; of the others ComfyUI checks as much as can be known by then. What is named here it no
# longer checks itself, and says what is wrong with one of them at each of them: so choices only where it passes all.
CHECKED_BEFORE = ("FLOAT",) if checks_choices() else ("FLOAT", "COMBO")


def inspected(node: type) -> type:
    """The same node class, whose values pass the customs before its own methods see them.

    `execute` gets every value as its schema says. Before the run, numbers and choices of widgets are compared with the
    schema, then the node's own `validate_inputs` is asked; it and `fingerprint_inputs` are left out where one of their
    values comes by a wire and is not known yet. A list that the node's own `validate_inputs` looks at (of files) is
    not compared here: the node has better words for what is gone.
    """
    Customs(node)
    return node


class Customs:
    """What the customs know of one node."""

    def __init__(self, node: type):
        self.node = node
        self.define = node.define_schema.__func__
        self.execute = node.execute.__func__
        self.signature = inspect.signature(self.execute)
        self.validate = vars(node)["validate_inputs"].__func__ if "validate_inputs" in vars(node) else None
        self.asked = [] if self.validate is None else list(inspect.signature(self.validate).parameters)[1:]
        self.inputs: list | None = None
        self.checker = self.validator()
        node.define_schema = classmethod(self.definer())
        node.execute = classmethod(self.executer())
        node.validate_inputs = classmethod(self.checker)
        if "fingerprint_inputs" in vars(node):
            node.fingerprint_inputs = classmethod(self.fingerprinter(vars(node)["fingerprint_inputs"].__func__))

    def schema_inputs(self) -> list:
        if self.inputs is None:
            self.node.define_schema()
        return self.inputs

    def definer(self):
        """`define_schema` that remembers what it says; ComfyUI asks again whenever lists of files may have changed."""

        @wraps(self.define)
        def define_schema(cls):
            schema = self.define(cls)
            self.inputs = list(schema.inputs)
            names = [given.id for given in self.inputs if str(given.get_io_type()) in CHECKED_BEFORE]
            names += [name for name in self.asked if name not in names]
            # ComfyUI hands over what is named here, and leaves out its own checks of it.
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            parameters = [inspect.Parameter("cls", kind)]
            parameters += [inspect.Parameter(name, kind, default=None) for name in names]
            self.checker.__signature__ = inspect.Signature(parameters)
            return schema

        return define_schema

    def executer(self):
        @wraps(self.execute)
        def execute(cls, *args, **kwargs):
            values = {}
            for name, value in self.signature.bind(cls, *args, **kwargs).arguments.items():
                is_rest = self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
                values.update(value if is_rest else {name: value})
            del values["cls"]
            for given in self.schema_inputs():
                if given.id in values:
                    values[given.id] = make_ours(given, values[given.id], given.id in self.asked)
            return self.execute(cls, **values)

        return execute

    def validator(self):
        def validate_inputs(cls, **values):
            for given in self.schema_inputs():
                if values.get(given.id) is not None and str(given.get_io_type()) in WIDGETS:
                    try:
                        make_ours(given, values[given.id], given.id in self.asked)
                    except ValueError as error:
                        return str(error)
            left_out = {each.id: getattr(each, "default", None) for each in self.schema_inputs() if each.optional}
            asked = {name: values.get(name, left_out.get(name)) for name in self.asked}
            if self.validate is None or None in asked.values():
                return True
            return self.validate(cls, **asked)

        return validate_inputs

    def fingerprinter(self, fingerprint):
        @wraps(fingerprint)
        def fingerprint_inputs(cls, **values):
            try:
                return fingerprint(cls, **values)
            except (TypeError, AttributeError):
                if None not in values.values():
                    raise
                return ""  # What comes by a wire changes with the node that it comes from.

        return fingerprint_inputs
