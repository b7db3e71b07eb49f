"""What is wrong in a settings file, said in words: unknown keys are named with the nearest right one."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError


def explain(error: ValidationError, model: type[BaseModel], where: str) -> list[str]:
    """One offence a fault, beginning with `where` (a file) and the key's place, as `[tile_labels] size`."""
    faults: dict[str, list[str]] = {}
    for fault in error.errors():
        place, text = _explain_one(dict(fault), model)
        faults.setdefault(place, []).append(text)
    return [f"{where}: {place}: {' or '.join(dict.fromkeys(texts))}" for place, texts in faults.items()]


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint as `did you mean 'size'?`, else all that is known; empty where nothing is known."""
    lowered = {k.lower(): k for k in reversed(known)}
    close = get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.5)
    if close:
        return f"did you mean {lowered[close[0]]!r}?"
    return f"known: {', '.join(known)}" if known else ""


def _explain_one(fault: dict[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    path = list(fault["loc"])
    found = repr(fault.get("input"))
    if fault["type"] == "extra_forbidden":
        return _place(path), f"unknown key; {_key_hint(path, model)}"
    if fault["type"] == "missing":
        return _place(path), "is missing"
    return _place(_real(path, model)), f"{found if len(found) < 60 else found[:57] + '…'}: {_sentence(fault)}"


def _key_hint(path: list[str | int], model: type[BaseModel]) -> str:
    word, owner = str(path[-1]), _model_at(path[:-1], model)
    if word not in owner.model_fields:
        tables = [place for place, table in _tables(model) if word in table.model_fields]
        if tables:
            return f"it belongs {' or '.join(tables)}"
    return nearest(word, list(owner.model_fields))


def _sentence(fault: dict[str, Any]) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return text if text.startswith("should") or fault["type"] == "value_error" else text[0].lower() + text[1:]


def _place(path: list[str | int]) -> str:
    """`classes, 2, color` as `[[classes]] 3, color`; `files, images` as `[files] images`."""
    if len(path) == 1:
        return str(path[0])
    if isinstance(path[1], int):
        entry = f"[[{path[0]}]] number {path[1] + 1}"
        return ", ".join([entry, *map(str, path[2:])])
    table = f"[{'.'.join(map(str, path[:2]))}]" if len(path) > 2 and isinstance(path[2], str) else f"[{path[0]}]"
    rest = path[2:] if table.count(".") else path[1:]
    return " ".join([table, *(f"entry {p + 1}" if isinstance(p, int) else str(p) for p in rest)])


def _real(path: list[str | int], model: type[BaseModel]) -> list[str | int]:
    """The path without pydantic's names for the members of a union, which are no keys."""
    kept: list[str | int] = []
    for part in path:
        at = _model_at(kept, model) if kept else model
        after_key = isinstance(part, str) and kept and kept[-1] in _all_keys(model)
        if after_key and part not in at.model_fields and not _is_table_of_tables(kept, model):
            break
        kept.append(part)
    return kept


def _all_keys(model: type[BaseModel]) -> set[str | int]:
    return {key for _, table in _tables(model) for key in table.model_fields}


def _is_table_of_tables(path: list[str | int], model: type[BaseModel]) -> bool:
    field = model.model_fields.get(str(path[0])) if len(path) == 1 else None
    return field is not None and get_origin(field.annotation) is dict


def _model_at(path: list[str | int], model: type[BaseModel]) -> type[BaseModel]:
    """The model that a path leads to; the innermost one where it leads to a plain value."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models_in(model.model_fields[part].annotation), model)
    return model


def _tables(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of a file and how to say where it stands."""
    yield "at the top of the file", model
    for key, field in model.model_fields.items():
        for table in _models_in(field.annotation):
            origin = get_origin(field.annotation)
            name = f"[[{key}]]" if origin is list else f"[{key}.NAME]" if origin is dict else f"[{key}]"
            yield f"in {name}", table


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside `X | None`, `list[X]`, `dict[str, X]`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, list, dict, tuple):
        for part in get_args(annotation):
            yield from _models_in(part)
