"""Engines against the network itself, and which one is chosen."""

import pickle

import numpy as np
import pytest
import torch

from reliefseg import hardware
from reliefseg.depth import DepthSettings
from reliefseg.errors import InputError
from reliefseg.export import BundleClass, ModelSpec
from reliefseg.inference import choosing
from reliefseg.inference.choosing import Choice, EngineMaker, fastest
from reliefseg.inference.engines import FusedMap, TorchEngine

WINDOW, MARGIN = 48, 4


@pytest.fixture
def torch_alone():
    """All engines that are installed are meant here."""


def spec_of(loss="softmax"):
    return ModelSpec(
        network="u2net-small", bands=("red", "green"), scene_bands=("red", "green"), loss=loss,
        classes=tuple(BundleClass(name=n, color=(i * 40, 9, 9)) for i, n in enumerate(("road", "roof", "tree"))),
        mean=(0.0, 0.0), std=(1.0, 1.0), working_scale=1.0, reference_gsd=None, window=WINDOW, margin=MARGIN,
        depth=DepthSettings(source="none"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def network():
    """A network whose batch norms are not the identity."""
    torch.manual_seed(0)
    network = spec_of().build_network()
    with torch.no_grad():
        network.train()
        network(torch.randn(4, 2, WINDOW, WINDOW))
    return network.eval()


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).normal(size=(3, 2, WINDOW, WINDOW)).astype(np.float32)


def expected(network, windows, loss="softmax"):
    with torch.inference_mode():
        logits = network.fused(torch.from_numpy(windows))[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    if loss == "softmax":
        return logits.softmax(dim=1).numpy()
    return (logits.sigmoid() / logits.sigmoid().sum(dim=1, keepdim=True)).numpy()


def maker(network, loss="softmax"):
    return EngineMaker(spec_of(loss), network, torch.device("cpu"))


def opened(network, name, loss="softmax"):
    for package in choosing.PACKAGES[name.split("-")[0]]:
        pytest.importorskip(package, reason=f"{package} is not installed here")
    return maker(network, loss).open(name)


ENGINES = ["torch-float32", "openvino-float32", "onnxruntime-float32"]


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_gives_the_networks_probabilities(network, windows, name, loss):
    engine = opened(network, name, loss)
    assert engine.name == name
    found = engine(windows)
    np.testing.assert_allclose(found, expected(network, windows, loss), atol=2e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["torch-bfloat16", "openvino-bfloat16"])
def test_bfloat16_is_close(network, windows, name):
    np.testing.assert_allclose(opened(network, name)(windows), expected(network, windows), atol=0.03)


@pytest.mark.parametrize("name", ENGINES)
def test_equal_batches_give_equal_bytes(network, windows, name):
    engine = opened(network, name)
    np.testing.assert_array_equal(engine(windows), engine(windows))


def test_folding_leaves_the_network_itself_alone(network):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    FusedMap(network)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_auto_takes_the_fastest_of_those_that_agree(network):
    engine = TorchEngine(spec_of(), network, "cpu", torch.float32)
    slow, wrong, quick = Choice(engine, 3.0, 1.0), Choice(engine, 1.0, 0.998), Choice(engine, 2.0, 0.9995)
    assert fastest([slow, wrong, quick]) is quick
    assert fastest([slow, wrong]) is slow


def test_torch_is_always_among_those_tried(network, windows, monkeypatch):
    monkeypatch.setattr(choosing, "find_spec", lambda name: "there" if name == "torch" else None)
    (only,) = maker(network).tried(windows)
    assert only.engine.name.startswith("torch-")
    assert only.agreement == 1


def test_an_engine_is_made_once_and_not_sent_to_other_processes(network, windows, monkeypatch):
    monkeypatch.setattr(choosing, "find_spec", lambda name: "there" if name == "torch" else None)
    made = maker(network)
    assert made.best is None
    (choice,) = made.tried(windows)
    assert made.open(made.best) is choice.engine is made.open(made.best)
    sent = pickle.loads(pickle.dumps(made))
    assert sent.best is None
    assert sent.open(made.best) is not choice.engine


@pytest.mark.parametrize("absent", ["openvino", "onnx"])
def test_an_engine_that_is_not_installed_is_refused(network, monkeypatch, absent):
    monkeypatch.setattr(choosing, "find_spec", lambda name: None if name == absent else "there")
    assert [n for n in maker(network).candidates() if n.startswith("openvino")] == []
    with pytest.raises(
        InputError, match=r"engine 'openvino': is not installed here; pip install 'reliefseg\[openvino\]'"
    ):
        maker(network).full_name("openvino")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_that_of_the_machine_or_the_one_asked_for(network, monkeypatch, precision):
    monkeypatch.setattr(choosing, "find_spec", lambda name: "there")
    monkeypatch.setattr(hardware, "_has_bfloat16", lambda device: precision == "bfloat16")
    made = maker(network)
    assert made.full_name("torch") == f"torch-{precision}"
    assert made.full_name("openvino-int8") == f"openvino-int8-{precision}"
    assert made.full_name("torch-float32") == "torch-float32"
    assert made.full_name("openvino-float32") == "openvino-float32"
    assert made.full_name("onnxruntime") == "onnxruntime-float32"
    if precision == "bfloat16":
        assert made.full_name("openvino-bfloat16") == "openvino-bfloat16"
    else:
        with pytest.raises(InputError, match="'openvino-bfloat16': this processor has no bfloat16; take openvino-floa"):
            made.full_name("openvino-bfloat16")


def test_the_engine_asked_for_with_its_precision_computes(network, windows):
    made = maker(network)
    assert made.open(made.full_name("torch-float32")).name == "torch-float32"
    with pytest.raises(InputError, match="engine 'torch-int4': unknown; known are auto, torch, torch-float32"):
        made.full_name("torch-int4")
