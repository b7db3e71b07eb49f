"""Files that appear under their final name only when whole, and JSON read back from them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reliefseg.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Lends a temporary sibling to write to; it takes the name `path` when the block ends well.

    The sibling is hidden, keeps the suffix (writers that go by it work) and is flushed to disk before it is
    renamed. Whatever ends the block early, an interruption too, removes it and leaves an older `path` alone.
    Missing folders are made; one that cannot be made is an `InputError`.
    """
    path = Path(path)
    probe_folder(path.parent)
    part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.part{path.suffix}")
    try:
        yield part
        _flush(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder of files; an older folder of that name gives way in one go.

    What a killed process leaves aside is hidden, ends in `.partial` and is removed the next time.
    """
    probe_folder(path.parent)
    part, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old.partial")
    for left_over in (part, old):
        shutil.rmtree(left_over, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        for entry in (*part.iterdir(), part):
            _flush(entry)
        if path.exists():
            path.rename(old)
        part.rename(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Writes indented JSON whole or not at all; a number JSON has no word for (nan) is a `ValueError`."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """What a JSON file of ours holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_json_if_whole(path: Path) -> Any:
    """As `read_json`; None where there is no such file, or a broken one."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def read_json_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of a log, and how many of them an interruption cut short; a file that is missing has none."""
    if not path.is_file():
        return [], 0
    lines: list[dict[str, Any]] = []
    texts = [one for one in path.read_text(encoding="utf-8").splitlines() if one.strip()]
    for text in texts:
        with suppress(ValueError):
            lines.append(json.loads(text))
    return lines, len(texts) - len(lines)


def toml_string(text: str) -> str:
    """A text as TOML writes it: as JSON does, which leaves only DEL unescaped that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def probe_folder(folder: Path) -> None:
    """Makes a folder where it is missing; an `InputError` where that fails or files cannot be put into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder ({error.strerror}); choose another place") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot write into this folder; change its permissions or choose another place")


@contextmanager
def locked(file: Path, otherwise: InputError | None = None) -> Iterator[None]:
    """Holds a file for this process. While another holds it: waits, or raises `otherwise` at once."""
    with _handle(file) as handle:
        try:
            _lock(handle, file, fcntl.LOCK_EX | (fcntl.LOCK_NB if otherwise else 0))
        except BlockingIOError:
            assert otherwise is not None
            raise otherwise from None
        yield


@contextmanager
def shared(file: Path) -> Iterator[None]:
    """Holds a file together with others; `locked` does not get it meanwhile."""
    with _handle(file) as handle:
        _lock(handle, file, fcntl.LOCK_SH)
        yield


def _lock(handle: int, file: Path, how: int) -> None:
    """As `flock`; an `InputError` where the file system has no such thing."""
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
        raise InputError(
            f"{file.parent}: this file system knows no locks ({error.strerror}), and without them two processes could "
            "spoil each other's files; choose another place with -o or --cache"
        ) from error


@contextmanager
def _handle(file: Path) -> Iterator[int]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)


def _flush(path: Path) -> None:
    """Asks the system to put a file, or a folder's list of names, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
