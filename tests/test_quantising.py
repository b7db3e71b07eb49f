"""A model in int8: made from training scenes, measured on validation scenes, refused where it is another model's."""

import json

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from reliefseg.cli import run as command
from reliefseg.errors import InputError
from reliefseg.export import load_bundle, save_bundle
from reliefseg.export.int8 import Int8Cost, Int8Network, digest, load_int8, save_int8
from reliefseg.inference.computing import windows_over
from reliefseg.inference.plan import Plan
from reliefseg.inference.source import ArraySource
from reliefseg.raster import load_dataset
from reliefseg.tiles import Normalisation, SceneArrays
from reliefseg.workflow import load_model, predict, quantise
from test_predicting import Notes, save_model, write_scene

COLOURS = [(0, 9, 9), (40, 9, 9), (80, 9, 9)]


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "model")


@pytest.fixture
def dataset(tmp_path):
    root = tmp_path / "data"
    (root / "labels").mkdir(parents=True)
    for seed, name in enumerate(("a", "b", "c")):
        write_scene(root / f"{name}.tif", height=90, width=120, seed=seed)
        with rasterio.open(root / f"{name}.tif", "r+") as image:
            image.transform = Affine(0.1, 0, 300000 + 50 * seed, 0, -0.1, 2700000)
            profile = image.profile | {"count": 3, "nodata": None}
        colours = np.array(COLOURS, np.uint8)[np.random.default_rng(seed).integers(0, 3, (90, 120))]
        with rasterio.open(root / "labels" / f"{name}.tif", "w", **profile) as labels:
            labels.write(np.moveaxis(colours, -1, 0))
    classes = "".join(
        f'[[classes]]\nname = "{name}"\ncolor = "#{bytes(colour).hex()}"\n'
        for name, colour in zip(("road", "roof", "tree"), COLOURS, strict=True)
    )
    (root / "dataset.toml").write_text(
        'name = "three"\nbands = ["red", "green"]\n'
        f'{classes}[files]\nimages = "{{scene}}.tif"\nlabels = "labels/{{scene}}.tif"\n'
        '[splits]\npixel_labelled = ["a"]\ntile_labelled = ["b"]\nvalidation = ["c"]\n'
        "[tile_labels]\nfrom_labels = true\nsize = 64\n"
    )
    return root


def given_int8(bundle, **changes):
    """A stand-in for an int8 network, saved beside the model."""
    known = {"model": load_model(bundle).hash, "network": digest(b"onnx"), "engine": "openvino-int8-float32"}
    cost = Int8Cost(**(known | {"scenes": 4, "mean_iou": 0.5967, "mean_iou_int8": 0.5931} | changes))
    save_int8(bundle, Int8Network(b"onnx", cost))
    return cost


def test_what_it_costs_is_kept_with_the_model_and_said(model):
    cost = given_int8(model)
    assert load_model(model).int8 == Int8Network(b"onnx", cost)
    assert str(cost) == "mean IoU of 4 validation scenes 59.3 in int8 (openvino-int8-float32), 59.7 as trained"


@pytest.mark.parametrize("fault", ["none", "another model", "altered", "cut", "without its cost"])
def test_none_but_a_whole_one_of_this_very_model_is_taken(model, dataset, fault, monkeypatch):
    if fault != "none":
        given_int8(model, **({"model": "other"} if fault == "another model" else {}))
    folder = model / "int8"
    if fault == "altered":
        (folder / "network.onnx").write_bytes(b"onny")
    elif fault == "cut":
        (folder / "cost.json").write_text((folder / "cost.json").read_text()[:30])
    elif fault == "without its cost":
        (folder / "cost.json").unlink()
    assert load_int8(model, load_model(model).hash) is None
    monkeypatch.setattr("reliefseg.inference.choosing.find_spec", lambda name: "there")
    with pytest.raises(InputError, match="no int8 network of this very model; `reliefseg quantise RUN DATASET` makes"):
        predict(model, [dataset / "c.tif"], model.parent / "out", engine="openvino-int8")


def test_windows_are_spread_over_what_a_scene_shows():
    valid = np.ones((200, 400), bool)
    valid[:, 200:] = False
    columns = np.broadcast_to(np.arange(400, dtype=np.uint16), (1, 200, 400)).copy()
    arrays = SceneArrays(columns, valid, np.full(valid.shape, 255, np.uint8), None)
    plan = Plan.of(200, 400, 1.0, window=32, margin=0, batch=4)
    source, as_they_are = ArraySource(arrays), Normalisation((0.0,), (1.0,))
    left = np.stack(list(windows_over(plan, source, as_they_are, 10_000)))[:, 0, 0, 0]
    assert 0.4 < len(left) / (len(plan.down.kept) * len(plan.across.kept)) < 0.6
    few = np.stack(list(windows_over(plan, source, as_they_are, 12)))[:, 0, 0, 0]
    assert 4 <= len(few) <= 12
    assert few.min() < 70
    assert few.max() > 130
    assert set(few) <= set(left)


def test_a_data_set_without_the_models_bands_or_with_nothing_to_see_is_refused(tmp_path, model, dataset, monkeypatch):
    monkeypatch.setattr("reliefseg.workflow.quantising.installed", lambda name: True)
    other = save_model(tmp_path / "other", bands=("red", "nir"), scene_bands=("red", "nir"))
    with pytest.raises(InputError, match="data set three: no band nir; it has red, green"):
        quantise(other, load_dataset(dataset))
    for name in ("a", "b"):
        with rasterio.open(dataset / f"{name}.tif", "r+") as image:
            image.write(np.zeros((2, *image.shape), np.uint8))
    with pytest.raises(InputError, match="data set three: no training scene shows anything"):
        quantise(model, load_dataset(dataset))


def test_without_the_packages_it_says_what_to_install(model, dataset, monkeypatch, capsys):
    monkeypatch.setattr("reliefseg.inference.choosing.find_spec", lambda name: None)
    assert command(["quantise", str(model), str(dataset)]) == 2
    assert "pip install 'reliefseg[int8]'" in capsys.readouterr().err


def test_it_predicts_nearly_the_same_and_its_cost_is_measured(model, dataset, tmp_path):
    for package in ("onnx", "onnxruntime", "openvino"):
        pytest.importorskip(package, reason=f"{package} is not installed here")
    spec, network = load_bundle(model)
    network.train()
    with torch.no_grad():
        network(torch.randn(4, 2, 48, 48))  # batch norms that are not the identity
    save_bundle(model, spec, network.eval())
    cost = quantise(model, load_dataset(dataset))
    assert (cost.model, cost.scenes) == (load_model(model).hash, 1)
    assert abs(cost.mean_iou - cost.mean_iou_int8) < 0.02
    assert json.loads((model / "int8" / "cost.json").read_text()) == cost.model_dump()
    assert quantise(model, load_dataset(dataset)) == cost
    notes = Notes()
    (tally,) = predict(model, [dataset / "c.tif"], tmp_path / "int8", engine="openvino-int8", say=notes)
    assert tally["engine"].startswith("openvino-int8-")
    assert notes.said(str(cost))
    engines = load_model(model).engines
    windows = np.random.default_rng(0).normal(size=(2, 2, 48, 48)).astype(np.float32)
    exact, found = (engines.open(name)(windows) for name in ("torch-float32", "openvino-int8-float32"))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (np.abs(found - exact).mean(axis=(0, 2, 3)) < 0.25 * exact.std(axis=(0, 2, 3))).all()
