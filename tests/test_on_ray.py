"""Pieces computed by a Ray cluster on this machine: the same bytes, with workers killed too."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from reliefseg.cli import run as command
from reliefseg.depth import DepthSettings
from reliefseg.errors import InputError
from reliefseg.inference import on_ray
from reliefseg.inference.source import FileSource
from reliefseg.inference.store import FolderStore
from reliefseg.workflow import load_model, predict
from test_predicting import contents, save_model, write_scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with depth, a scene and what comes out without Ray."""
    pytest.importorskip("ray", reason="ray is not installed here")
    folder = tmp_path_factory.mktemp("ray")
    deep = {"mean": (100.0, 110.0, 0.2), "std": (50.0, 40.0, 0.1), "depth": DepthSettings(source="builtin", turns=1)}
    save_model(folder / "model", **deep)
    write_scene(folder / "city.tif")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reliefseg.inference.plan.PIECE", 40)
        predict(folder / "model", [folder / "city.tif"], folder / "plain", engine="torch")
    return folder


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of few windows; the plan takes them along to the workers."""
    monkeypatch.setattr("reliefseg.inference.plan.PIECE", 40)


def workers_below(pid):
    """Processes that compute pieces among the descendants of a process; Ray's own services are called otherwise."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = stat.read_text().split(" (", 1)
            name = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        parents[int(number)] = (int(rest.rsplit(")", 1)[1].split()[1]), name)

    def descends(number):
        while number in parents and number != pid:
            number = parents[number][0]
        return number == pid

    return [n for n, (_, name) in parents.items() if name.startswith("ray::_compute") and descends(n)]


def test_workers_give_the_same_bytes_whether_they_live_or_are_killed(folder, monkeypatch, small_pieces):
    ray = pytest.importorskip("ray", reason="ray is not installed here")
    kept, keep, killed, sent, put = [], FolderStore.keep, [], [], ray.put
    monkeypatch.setattr(ray, "put", lambda kit: sent.append(kit.source.depth) or put(kit))

    def deadly(self, piece, computed):
        keep(self, piece, computed)
        kept.append(piece.number)
        if len(kept) == 3:
            killed.extend(workers_below(os.getpid()))
            for worker in killed:
                os.kill(worker, signal.SIGKILL)

    monkeypatch.setattr(FolderStore, "keep", deadly)
    (tally,) = predict(folder / "model", [folder / "city.tif"], folder / "out", engine="torch", ray="local")
    assert killed
    assert sent == [None], "workers look for no depth raster: it may lie on this machine alone"
    assert len(kept) == tally["pieces"] > 6
    assert contents(folder / "out") == contents(folder / "plain")


def test_a_fault_of_the_source_is_told_as_without_ray(tmp_path, capsys):
    pytest.importorskip("ray", reason="ray is not installed here")
    scene = write_scene(tmp_path / "cut.tif", height=600, width=600)
    content = scene.read_bytes()
    scene.write_bytes(content[: len(content) // 2])
    model = save_model(tmp_path / "model")  # without depth, which would find the fault first
    arguments = [str(model), str(scene), "-o", str(tmp_path / "out"), "--engine", "torch", "--ray", "local"]
    assert command(["predict", *arguments, "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "does the file end early?" in said
    assert "Traceback" not in said


def test_an_address_where_nothing_answers_is_one_message(folder, capsys):
    arguments = [str(folder / "model"), str(folder / "city.tif"), "-o", str(folder / "no"), "--ray", "auto"]
    assert command(["predict", *arguments]) == 2
    assert "--ray auto: no Ray cluster answers there" in capsys.readouterr().err


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(on_ray, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'reliefseg\[ray\]'"), on_ray.connected("auto"):
        pass


def test_workers_find_the_image_from_any_folder_they_run_in(tmp_path, monkeypatch):
    model = load_model(save_model(tmp_path / "model"))
    write_scene(tmp_path / "city.tif", height=50, width=50)
    monkeypatch.chdir(tmp_path)
    scene = model.open(Path("city.tif"))
    sent = on_ray.as_sent(FileSource(scene, scene.bands, Path("depth.tif")))
    assert (sent.scene.image, sent.depth) == (tmp_path / "city.tif", None)
    remote = replace(scene, files=replace(scene.files, image=Path("/vsizip/a.zip/city.tif")))
    assert on_ray.as_sent(FileSource(remote, scene.bands, None)).scene == remote
