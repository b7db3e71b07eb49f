"""Arrows between rooms point down the list only. See DESIGN.md, section 2."""

import ast
from pathlib import Path

import pytest

import reliefseg

ROOMS = ["cli", "workflow", "config", "generate", "learning", "inference", "evaluation", "export", "tiles", "depth"]
ROOMS += ["networks", "raster", "hardware", "errors", "lookup"]
STRANGERS = {"learning", "inference", "evaluation"}
HOME = Path(reliefseg.__file__).parent


def imported_rooms(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("reliefseg")]
    names = {f"{n.module}.{a.name}" if n.module == "reliefseg" else n.module for n in froms for a in n.names}
    return {name.split(".")[1] for name in names}


@pytest.mark.parametrize("path", sorted(HOME.rglob("*.py")), ids=lambda p: str(p.relative_to(HOME)))
def test_arrows_point_down(path):
    room = path.relative_to(HOME).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    below = ROOMS[ROOMS.index(room) :]
    upwards = imported_rooms(path) - set(below)
    assert not upwards, f"{path.name} in {room} imports from {upwards}"
    assert room not in STRANGERS or not imported_rooms(path) & (STRANGERS - {room})
    assert room != "networks" or imported_rooms(path) <= {"networks"}
    assert room != "raster" or imported_rooms(path) <= {"raster", "errors"}


@pytest.mark.parametrize("room", ["raster", "evaluation", "generate"])
def test_rooms_without_torch(room):
    sources = [p.read_text(encoding="utf-8") for p in (HOME / room).glob("*.py")]
    assert not any("import torch" in s or "from torch" in s for s in sources)
