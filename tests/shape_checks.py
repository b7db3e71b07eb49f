"""Shape annotations are checked in all tests: jaxtyping with beartype."""

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do where a float is meant
_check_shapes = jaxtyping.jaxtyped
LIBRARIES = (
    "lightning_fabric", "matplotlib.figure", "pydantic.dataclasses", "pyogrio", "rasterio", "rich.progress",
    "scipy.stats", "shapely", "tensorboard.compat.proto.summary_pb2", "tensorboard.summary.writer.record_writer",
    "typer",
)  # fmt: skip


def install() -> None:
    """Everything imported from reliefseg after this is checked at each call.

    Libraries are loaded before: inside a module that is checked Python would not find their compiled files.
    """
    for name in LIBRARIES:
        import_module(name)
    jaxtyping.jaxtyped = _jaxtyped
    jaxtyping.install_import_hook("reliefseg", "shape_checks.check")


def _jaxtyped(*, typechecker: Callable[..., Any]) -> Callable[..., Any]:
    """What the hook decorates with: bookkeeping of shapes is dear, so where none is named, only types are checked."""
    return partial(_checked, typechecker=typechecker)


def _checked(what: Any, typechecker: Callable[..., Any]) -> Any:
    if inspect.isclass(what) or _names_shapes(what):
        return _check_shapes(what, typechecker=typechecker)
    return typechecker(what)


def _names_shapes(function: Callable[..., Any]) -> bool:
    try:
        annotations = inspect.get_annotations(function, eval_str=True)
    except NameError:  # names a class that comes further down
        return True
    return any(_is_of_shape(annotation) for annotation in annotations.values())


def _is_of_shape(annotation: Any) -> bool:
    shaped = inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray)
    return shaped or any(_is_of_shape(part) for part in get_args(annotation))
