"""Where settings come from: a preset, then a file, then --set, each over the one before; all faults at once."""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from reliefseg.config.settings import Settings
from reliefseg.errors import InputError
from reliefseg.raster.files import toml_string

Table = dict[str, Any]


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    files = resources.files("reliefseg.config").joinpath("presets").iterdir()
    return sorted(Path(f.name).stem for f in files if f.name.endswith(".toml"))


def read_preset(name: str) -> Table:
    """A preset's table."""
    if name not in preset_names():
        raise InputError(
            f"preset {name!r}: unknown{_nearest(name, preset_names())}; known are {', '.join(preset_names())}"
        )
    text = resources.files("reliefseg.config").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def load_settings(preset: str, config: Path | None = None, assignments: Sequence[str] = ()) -> Settings:
    """Settings from a preset, a TOML file and `key=value` assignments."""
    table = read_preset(preset)
    if config is not None:
        table = _merged(table, _read_toml(config))
    for assignment in assignments:
        table = _merged(table, _assignment(assignment))
    return settings_from(table)


def settings_from(table: Table) -> Settings:
    """Settings from a table; InputError names every unknown key with the nearest right one, and every wrong value."""
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        raise InputError([_fault(e) for e in error.errors()]) from None


def read_settings(path: Path) -> Settings:
    """Settings from a run's config.toml."""
    return settings_from(_read_toml(path))


def to_toml(settings: Settings) -> str:
    """All settings as TOML; what is None is left out."""
    lines = list(_toml_lines(settings.model_dump(mode="json"), ()))
    return "\n".join(lines).lstrip("\n") + "\n"


def _read_toml(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"settings {path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"settings {path}: not TOML ({error})") from None


def _assignment(text: str) -> Table:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text!r}: expected key=value, for example --set train.steps=500")
    parsed: Any = _value(key.strip(), value.strip())
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return parsed


def _value(key: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return None if text == "none" and not _knows_none(key) else text


def _knows_none(key: str) -> bool:
    """Whether a setting has a value of that name; elsewhere the word stands for no value."""
    kind: Any = Settings
    for part in key.split("."):
        field = getattr(kind, "model_fields", {}).get(part)
        kind = None if field is None else field.annotation
    return "none" in get_args(kind)


def _merged(below: Table, above: Table) -> Table:
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"setting {where}: unknown{_nearest(where, list(all_keys()))}"
    if error["type"] == "value_error":  # a rule over several settings, which names them
        rule = error["msg"].removeprefix("Value error, ")
        return f"setting {where}: {rule}" if where else f"setting {rule}"
    return f"setting {where}: {error['msg']}; found {error['input']!r}"


def all_keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every key that --set takes, with its dots."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from all_keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def _nearest(word: str, known: list[str]) -> str:
    same_end = [k for k in known if k.rsplit(".", 1)[-1] == word.rsplit(".", 1)[-1]]
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    found = difflib.get_close_matches(word, same_end, n=1, cutoff=0) or near
    return f"; did you mean {found[0]}?" if found else ""


def _toml_lines(table: Table, path: tuple[str, ...]) -> Iterator[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, dict) and v is not None}
    if path and plain:
        yield f"\n[{'.'.join(path)}]"
    for key, value in plain.items():
        yield f"{key} = {_toml_value(value)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml_lines(value, (*path, key))


def _toml_value(value: typing.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_string(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return repr(value)
