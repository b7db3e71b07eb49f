"""Shape annotations are checked in all tests: jaxtyping with beartype."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do where a float is meant
_check_shapes = jaxtyping.jaxtyped


def install() -> None:
    """Everything imported from reliefseg after this is checked at each call."""
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
