"""Turn a configured object into plain values and back, so that a checkpoint carries its own recipe.

What makes it possible: a configurable class keeps each constructor argument under the same attribute name.
"""

import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from torch import nn

from mmtasks.configured import Configured
from mmtasks.errors import UserError

Plain = Any


def describe(value: Any) -> Plain:
    """Plain description of a configured object: ``{"class_path": …, "init_args": …}``, nested, or the value itself.

    Raises:
        TypeError: a constructor argument was not kept under its own name, or the class is none that may be made again.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (Mapping, nn.ModuleDict)):
        return {key: describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, nn.ModuleList)):
        return [describe(item) for item in value]
    cls: Any = _own_class(value)
    if not may_be_made(cls):
        raise TypeError(f"{cls.__name__} is none that a checkpoint may make; derive it from mmtasks.config.Configured")
    own = cls.__init__ not in (object.__init__, nn.Module.__init__)  # which say nothing of a class without arguments
    arguments = [name for name in inspect.signature(cls.__init__).parameters if name != "self"] if own else []
    missing = [name for name in arguments if not hasattr(value, name)]
    if missing:
        raise TypeError(f"{cls.__name__} does not keep its argument {missing[0]!r} as an attribute")
    return {
        "class_path": f"{cls.__module__}.{cls.__qualname__}",
        "init_args": {name: describe(getattr(value, name)) for name in arguments},
    }


def _own_class(value: Any) -> type:
    """The class that was written: sharding puts one of its own in front (``torch.distributed.fsdp.fully_shard``)."""
    return next(cls for cls in type(value).__mro__ if not cls.__module__.startswith("torch.distributed."))


def instantiate(plain: Plain) -> Any:
    """The object that ``describe`` described; of classes that could do anything else none is called.

    Raises:
        ImportError: the class is not importable here.
        UserError: it is no part of a model, see ``may_be_made``, or takes no such arguments.
    """
    if isinstance(plain, Mapping):
        if "class_path" in plain:
            cls = import_path(plain["class_path"])
            if not may_be_made(cls):
                raise UserError(f"{plain['class_path']}: no part of a model; it is not run, do not trust this file")
            arguments = instantiate(plain.get("init_args", {}))
            _check_arguments(cls, plain["class_path"], arguments)
            return cls(**arguments)
        return {key: instantiate(item) for key, item in plain.items()}
    if isinstance(plain, list):
        return [instantiate(item) for item in plain]
    return plain


def _check_arguments(cls: type, name: str, arguments: Mapping[str, Any]) -> None:
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{name}: {error}; was this written by another version of its package?") from None


def may_be_made(cls: Any) -> bool:
    """Whether plain values may name this class: a module of torch, or one that says so (``Configured``)."""
    return inspect.isclass(cls) and issubclass(cls, (nn.Module, Configured))


def may_be_called(function: Any) -> bool:
    """Whether plain values may name this function: anything but the standard library's, which could do anything."""
    home = (getattr(function, "__module__", None) or "builtins").partition(".")[0]
    return callable(function) and not inspect.isclass(function) and home not in sys.stdlib_module_names


def completed(plain: Plain, like: Plain) -> Plain:
    """An older description with the arguments that came later, at their defaults, where ``like`` is of the same class.

    Only classes that ``like`` names are imported.
    """
    if isinstance(plain, list) and isinstance(like, list) and len(plain) == len(like):
        return [completed(*pair) for pair in zip(plain, like, strict=True)]
    if not isinstance(plain, Mapping) or not isinstance(like, Mapping):
        return plain
    filled = {key: completed(value, like.get(key)) for key, value in plain.items()}
    if "class_path" not in like or plain.get("class_path") != like["class_path"]:
        return filled
    parameters = inspect.signature(import_path(like["class_path"]).__init__).parameters.values()
    defaults = {p.name: describe(p.default) for p in parameters if p.default is not p.empty}
    return {**filled, "init_args": {**defaults, **filled.get("init_args", {})}}


def import_path(path: str) -> Any:
    """The class or function at a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
