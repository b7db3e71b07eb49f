"""What labels are worth: the curve over labelled scenes, by hand and on made-up scenes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliefseg.cli import run as command
from reliefseg.config import load_settings
from reliefseg.errors import InputError
from reliefseg.evaluation.label_efficiency import Equivalent, equivalent, worth
from reliefseg.raster import load_dataset
from reliefseg.workflow import LabelCurve, label_curve
from reliefseg.workflow.label_efficiency import ALONE, BOTH, _variants, pool_of
from test_ablation import TINY, made_up, telling

CURVE = {1: 0.3, 2: 0.4, 4: 0.5, 8: 0.5, 16: 0.7}


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.3, Equivalent(1, "about")),
        (0.35, Equivalent(1.5, "about")),
        (0.45, Equivalent(3, "about")),
        (0.5, Equivalent(4, "about")),
        (0.6, Equivalent(12, "about")),
        (0.2, Equivalent(1, "fewer than")),
        (0.8, Equivalent(16, "more than")),
    ],
)
def test_the_number_of_labelled_scenes_is_interpolated_on_the_curve(score, expected):
    found = equivalent(CURVE, score)
    assert found.bound == expected.bound
    assert found.scenes == pytest.approx(expected.scenes)


def test_where_the_curve_falls_more_labels_are_no_worse():
    assert equivalent({1: 0.5, 2: 0.3, 3: 0.7}, 0.6).scenes == pytest.approx(2.0)
    assert equivalent({1: 0.5, 2: 0.3, 3: 0.4}, 0.5) == Equivalent(1, "about")


@given(st.dictionaries(st.integers(1, 50), st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=200)
def test_a_higher_score_never_takes_fewer_scenes(curve, one, other):
    low, high = (equivalent(curve, score) for score in sorted((one, other)))
    rank = {"fewer than": 0, "about": 1, "more than": 2}
    assert (rank[low.bound], low.scenes) <= (rank[high.bound], high.scenes + 1e-9)
    assert min(curve) <= low.scenes <= high.scenes + 1e-9 <= max(curve) + 1e-9


def test_worth_in_words():
    assert worth(CURVE, 2, 0.6) == "about 10 further scenes with pixel labels"
    assert worth({1: 0.1, 1501: 0.7}, 1, 0.5) == "about 1,000 further scenes with pixel labels"
    assert worth(CURVE, 2, 0.4) == "nothing"
    assert worth(CURVE, 2, 0.2).startswith("nothing: even the fewest")
    assert (
        worth(CURVE, 2, 0.9)
        == "more than 14 further scenes with pixel labels: no number that was tried reaches that score"
    )
    assert worth(CURVE, 16, 0.9) == "not known: no larger number of scenes with pixel labels was tried"
    with pytest.raises(ValueError, match="without points"):
        equivalent({}, 0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    splits = {"pixel_labelled": ["s2"], "tile_labelled": ["s0", "s1", "s4"], "validation": ["s3"], "test": ["s5"]}
    folder = made_up(tmp_path_factory.mktemp("labels") / "data", telling, scenes=6, splits=splits)
    text = (folder / "dataset.toml").read_text(encoding="utf-8")
    (folder / "dataset.toml").write_text(text + "[tile_labels]\nfrom_labels = true\nsize = 32\n", encoding="utf-8")
    return folder


QUICK = [*TINY, "train.steps=3", "pretrain.steps=2", "pretrain.batch=2"]


def test_sets_are_nested_and_tile_labels_are_those_of_the_others(data, tmp_path, capsys):
    arguments = ["ablate", str(data), "-o", str(tmp_path / "out"), "--preset", "debug", "--labels", "1,2,all"]
    arguments += ["--seeds", "0", "--quiet", *(part for one in QUICK for part in ("--set", one))]
    assert command(arguments) == 0
    told = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "labels.json").read_text(encoding="utf-8"))
    assert [point["labelled"] for point in found["points"]] == [1, 2, 4]
    assert [point["tile_labels"] for point in found["points"]] == [12, 8, 0]
    assert found["points"][2][BOTH] is None
    assert [len(point[ALONE]["mean_iou"]) for point in found["points"]] == [1, 1, 1]
    assert [point[ALONE]["readings"] for point in found["points"]] == [[1], [1], [1]]
    assert found["points"][0][BOTH]["readings"] == [1]
    names = {}
    for run in (tmp_path / "out" / "runs").iterdir():
        splits = json.loads((run / "seed0" / "data.json").read_text(encoding="utf-8"))["splits"]
        names[run.name] = {split: [scene["name"] for scene in scenes] for split, scenes in splits.items()}
    pool = pool_of(load_dataset(data))
    assert pool[0] == "s2"
    for n in (1, 2, 4):
        assert names[f"labels-{n}"]["pixel_labelled"] == sorted(pool[:n])
        assert "tile_labelled" not in names[f"labels-{n}"]
    assert set(names["labels-2-tiles"]["tile_labelled"]) == set(pool[2:])
    assert "tile labels are worth" in told
    page = (tmp_path / "out" / "labels.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "What labels are worth on made up" in page


def test_tile_labels_count_where_only_training_uses_them(data):
    dataset, settings = load_dataset(data), load_settings("ablation", None, ["pretrain.steps=0"])
    assert set(_variants(dataset, pool_of(dataset), 1, settings)) == {ALONE, BOTH}
    alone = load_settings("ablation", None, ["pretrain.steps=0", "train.lessons.batch=0"])
    assert set(_variants(dataset, pool_of(dataset), 1, alone)) == {ALONE}


def test_more_scenes_than_are_labelled_are_refused(data, tmp_path, capsys):
    with pytest.raises(InputError, match=r"--labels 9: 4 scenes .* take 1 … 4, or all"):
        label_curve(load_dataset(data), tmp_path / "out", load_settings("debug"), LabelCurve((1, 9)))
    for wrong in ("", "some", "1.5"):
        assert command(["ablate", str(data), "-o", str(tmp_path / "out"), "--labels", wrong, "--quiet"]) == 2
        assert "expected whole numbers" in capsys.readouterr().err


def test_labels_are_asked_for_alone(tmp_path, capsys):
    assert (
        command(["ablate", str(tmp_path), "-o", str(tmp_path / "out"), "--labels", "1,all", "--full", "--quiet"]) == 2
    )
    assert "--labels asks another question than --rows, --full and --equal" in capsys.readouterr().err
