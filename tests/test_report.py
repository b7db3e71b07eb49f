"""The report: one file of its own, whatever a run folder has or lacks."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from reliefseg.errors import InputError
from reliefseg.evaluation.advice import advise, weakest_class
from reliefseg.evaluation.charts import Series, line_chart
from reliefseg.evaluation.embedding import Wanted, embed_all
from reliefseg.evaluation.metrics import SplitEvaluation
from reliefseg.evaluation.pictures import PanelTile, class_panels, scene_picture
from reliefseg.evaluation.reliability import calibration_section
from reliefseg.evaluation.report import hero_scene, write_report
from reliefseg.evaluation.runfiles import RunFiles, SplitFiles, read_run
from reliefseg.raster.classes import ClassSpec, ClassTable

CLASSES = ClassTable((ClassSpec("roof", (200, 30, 40)), ClassSpec("road", (10, 20, 30))))
VOID = {"img", "meta", "br", "line", "path", "rect", "link"}
NASTY = 'a"<script>alert(1)</script>&'


class Page(HTMLParser):
    """Reads a page: elements with attributes, and whether every element is closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def metrics(scenes: dict[str, float], **more) -> dict:
    return {
        "scenes": list(scenes),
        "classes": ["roof", "road"],
        "confusion": [[60, 20], [10, 910]],
        "iou": {"roof": 0.667, "road": 0.968},
        "f1": {"roof": 0.8, "road": 0.984},
        "mean_iou": 0.8175,
        "mean_f1": 0.892,
        "overall_accuracy": 0.97,
        "boundary_f1": 0.41,
        "eroded": {"iou": {"roof": 0.7, "road": 0.98}, "mean_iou": 0.84},
        "per_scene": {name: {"mean_iou": value, "overall_accuracy": value} for name, value in scenes.items()},
        "original": {
            "mean_class_agreement": 0.9,
            "tile_iou": 0.8,
            "map_accuracy": 0.97,
            "trivial": {"mean_class_agreement": 0.5, "tile_iou": 0.2, "map_accuracy": 0.08},
        },
        **more,
    }


def write_split(run: Path, name: str, scenes: dict[str, float], **more) -> Path:
    folder = run / "evaluation" / name
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics(scenes, **more)))
    return folder


def write_picture(path: Path) -> None:
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 2, (24, 32)).astype(np.uint8)
    scene_picture(path, rng.integers(0, 255, (24, 32, 3)).astype(np.uint8), None, ids, ids, CLASSES)


def write_log(run: Path, *lines: dict) -> None:
    run.mkdir(exist_ok=True)
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def step(number: int, phase: str = "train", **scalars) -> dict:
    return {"phase": phase, "event": "step", "step": number, "seconds": 1.0, "loss": 1.0 / (number + 1), **scalars}


def check(number: int, mean_iou: float | None, **more) -> dict:
    return {"phase": "train", "event": "validation", "step": number, "mean_iou": mean_iou, **more}


@pytest.fixture
def full_run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    test = write_split(run, "test", {"bad": 0.2, NASTY: 0.5, "good": 0.9})
    write_split(run, "validation", {"v": 0.4})
    write_picture(test / "pictures" / "bad.png")
    truth = np.zeros((9, 9), np.uint8)
    tile = PanelTile("t", np.zeros((9, 9, 3), np.uint8), np.full((2, 9, 9), 0.5, np.float32), truth)
    class_panels(test / "panels" / "bad.png", [tile], CLASSES)
    for percent in ("010", "100"):
        class_panels(run / "progress" / f"{percent}.png", [tile, tile], CLASSES)
    write_log(
        run,
        *(step(i, "pretrain", images_per_second=30.0) for i in range(3)),
        {"phase": "pretrain", "event": "validation", "step": 2, "mean_average_precision": 0.7, "f1": {"roof": 0.5}},
        *(step(i, fused=1.0, sides=4.0, accuracy_real=0.8, accuracy_fake=0.7) for i in range(400)),
        check(200, 0.3, best=True, iou={"roof": 0.3, "road": None}),
        check(399, 0.2, best=False, iou={"roof": 0.2, "road": 0.1}),
        {"event": "note", "text": f"noted {NASTY}"},
        {"event": "timing", "part": "training", "seconds": 90.0},
        {"event": "timing", "part": "training", "seconds": 30.0},
        {"event": "timing", "part": "read scenes", "seconds": 5.0},
    )
    (run / "config.toml").write_text('preset = "cpu"\n[train]\nsteps = 400\n[train.weights]\nl1 = 0.0\n')
    (run / "environment.json").write_text(json.dumps({"reliefseg": "0.1", "device": "cpu", "threads": 2}))
    scene = {"name": NASTY, "height": 24, "width": 32, "megapixels": 0.000768}
    data = {
        "name": NASTY,
        "bands": ["red", "green", "blue"],
        "classes": [{"name": "roof", "color": "#C81E28"}, {"name": "road", "color": 'red;}<b x="'}],
        "splits": {"test": [scene] * 6},
        "tile_labels": 12,
        "labelled_megapixels": 1.5,
    }
    (run / "data.json").write_text(json.dumps(data))
    return run


def page_of(run: Path) -> tuple[str, Page]:
    path = write_report(run)
    assert path == run / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_a_full_run_has_everything_in_order_of_use(full_run):
    text, page = page_of(full_run)
    sections = [one["id"] for one in page.all("section") if "id" in one]
    assert sections[:5] == ["map", "figures", "next", "data", "settings"]
    assert sections[5:] == ["curves", "split-test", "split-validation", "pictures-test", "progress", "time"]
    for expected in ("81.8", "97.0", "41.0", "Weakest: roof, 66.7\u00a0%", "on 3 scenes that training never read"):
        assert expected in text
    assert f"reliefseg predict {full_run} SCENE… -o OUT" in text
    assert text.index("After 10 % of training") < text.index("At the end of training")
    assert "2 min" in text, "the two parts called training are added up"
    assert "weights.l1" in text


def test_the_page_loads_nothing_from_anywhere(full_run):
    text, page = page_of(full_run)
    assert not re.search(r"https?://", text)
    assert not re.search(r"@import|url\(", text)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    sources = [one["src"] for one in page.all("img")]
    assert sources
    assert all(one.startswith("data:image/") for one in sources)
    identities = [one["id"] for _, one in page.elements if "id" in one]
    assert len(identities) == len(set(identities))
    assert all(one["href"][1:] in identities for one in page.all("a") if "href" in one)


def test_the_page_can_be_read_by_ear(full_run):
    _, page = page_of(full_run)
    assert page.all("html")[0]["lang"] == "en"
    assert all(one["alt"] for one in page.all("img"))
    assert all(one.get("aria-label") for one in page.all("svg"))
    assert all(one.get("scope") in ("row", "col") for one in page.all("th") if one)
    assert page.all("h1")


def test_names_are_escaped_and_colours_checked(full_run):
    text, page = page_of(full_run)
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4
    assert all("red;" not in one.get("style", "") for _, one in page.elements)
    assert "background:#C81E28" in text


@pytest.mark.parametrize(
    "missing",
    ["config.toml", "environment.json", "data.json", "log.jsonl", "progress", "evaluation/test", "evaluation"],
)
def test_whatever_is_missing_the_rest_is_shown(full_run, missing):
    gone = full_run / missing
    gone.rename(full_run.parent / "gone")
    text, _ = page_of(full_run)
    says = {
        "config.toml": "holds no settings",
        "data.json": "data.json is not there",
        "log.jsonl": "The log holds no timings",
        "evaluation/test": "Keep a test scene aside",
        "evaluation": "Nothing was evaluated yet",
    }
    assert says.get(missing, "What to do next") in text


@pytest.mark.parametrize(
    "only",
    [
        {"config.toml": ""},
        {"data.json": "{}", "environment.json": "{}"},
        {"data.json": '{"name": "x", "splits": {}, "classes": []}'},
        {"log.jsonl": ""},
        {"evaluation/test/metrics.json": "{}"},
        {"evaluation/test/metrics.json": '{"classes": ["a"], "confusion": [[0]], "iou": {"a": null}}'},
    ],
)
def test_a_run_of_almost_nothing_has_a_report(tmp_path, only):
    for name, text in only.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    page_of(tmp_path)


def test_without_validation_it_says_that_nothing_was_picked(tmp_path):
    write_log(tmp_path, step(0), step(1))
    text, _ = page_of(tmp_path)
    assert "no checkpoint was picked" in text
    assert "no pretraining" in text


def test_a_picture_from_elsewhere_is_shown_whole(tmp_path):
    folder = write_split(tmp_path, "test", {"a": 0.5})
    (folder / "pictures").mkdir()
    from PIL import Image

    Image.new("RGB", (30, 20)).save(folder / "pictures" / "a.png")
    (folder / "pictures" / ".b.part.png").write_bytes(b"half a picture")
    text, page = page_of(tmp_path)
    assert "Image, map and errors of scene a" in text
    assert len(page.all("img")) == 2


def test_the_first_scene_is_neither_the_best_nor_the_worst(tmp_path):
    folder = write_split(tmp_path, "test", {"a": 0.9, "b": 0.1, "c": 0.5})
    for scene in "abc":
        write_picture(folder / "pictures" / f"{scene}.png")
    assert hero_scene(read_run(tmp_path).splits[0]) == "c"


def test_no_run_folder_and_broken_files_are_named_all_at_once(tmp_path):
    with pytest.raises(InputError, match=r"found none of config\.toml.*expected a run folder"):
        write_report(tmp_path)
    (tmp_path / "config.toml").write_text("a = [")
    (tmp_path / "data.json").write_text("{")
    (tmp_path / "environment.json").write_text("[]")
    with pytest.raises(InputError) as caught:
        write_report(tmp_path)
    assert [re.search(r"[a-z]+\.[a-z]+(?=:)", one)[0] for one in caught.value.offences] == [
        "environment.json",
        "data.json",
        "config.toml",
    ]
    assert not (tmp_path / "report.html").exists()


def test_a_broken_picture_is_named(tmp_path):
    folder = write_split(tmp_path, "test", {"a": 0.5})
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a\.png: not a whole picture"):
        write_report(tmp_path)


def test_lines_cut_short_are_counted_and_steps_done_twice_count_once(tmp_path):
    write_log(tmp_path, step(0), step(1), step(2), step(1), step(2))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"phase": "train", "eve')
    run = read_run(tmp_path)
    assert [line["step"] for line in run.lines("train", "step")] == [0, 1, 2]
    assert run.unread_lines == 1
    assert "1 line of log.jsonl could not be read" in page_of(tmp_path)[0]


def test_pictures_of_scenes_no_longer_in_the_split_are_left_out(tmp_path):
    folder = write_split(tmp_path, "test", {"a": 0.9, "town/b": 0.8})
    for scene in ("a", "town/b", "gone"):
        write_picture(folder / "pictures" / f"{scene}.png")
    assert set(read_run(tmp_path).splits[0].pictures) == {"a", "town/b"}


def test_pictures_are_made_smaller_until_they_fit(tmp_path):
    for index in range(4):
        write_picture(tmp_path / f"{index}.png")
    wanted = {str(index): Wanted(tmp_path / f"{index}.png", "image", 500) for index in range(4)}
    large, small = embed_all(wanted), embed_all(wanted, budget=30_000)
    assert sum(len(one.uri) for one in small.values()) <= 30_000 < sum(len(one.uri) for one in large.values())
    assert small["0"].width < large["0"].width


def headings(run: Path) -> list[str]:
    files = read_run(run)
    return [one.heading for one in advise(files, files.splits[0] if files.splits else None)]


def test_advice_follows_from_the_figures(tmp_path):
    figures = {"mean_class_agreement": 0.9, "tile_iou": 0.8}
    write_split(tmp_path, "test", {"a": 0.5}, original={**figures, "trivial": {**figures, "tile_iou": 0.1}})
    separable = [step(i, accuracy_real=0.99, accuracy_fake=0.98) for i in range(30)]
    write_log(tmp_path, *separable, check(10, 0.2), check(20, 0.3), check(29, 0.4, best=True))
    found = headings(tmp_path)
    assert "Label more roof" in found
    assert "Do not use this map yet" in found
    assert "Train longer" in found
    assert "Compare with adversarial weight 0" in found
    assert "Repeat with two more seeds before comparing" in found
    assert "Give it a validation scene" not in found


def test_advice_says_how_little_there_was_to_learn_from(tmp_path):
    write_split(tmp_path, "test", {"a": 0.5})
    counted = [{"name": "roof", "labelled_pixels": 1_000}, {"name": "road", "labelled_pixels": 99_000}]
    (tmp_path / "data.json").write_text(json.dumps({"classes": counted}))
    text, _ = page_of(tmp_path)
    assert "Training saw 1,000 labelled pixels of it (1.0 % of all). That is little" in text
    assert "25 % of its pixels are taken for road" in text


def test_measured_figures_are_shown_as_they_were_measured(tmp_path):
    split = SplitEvaluation(CLASSES)
    truth, predicted = np.zeros((40, 50), np.uint8), np.zeros((40, 50), np.uint8)
    truth[:, 25:], predicted[:, 20:] = 1, 1
    split.add("a", truth, predicted)
    measured = split.to_metrics()
    folder = tmp_path / "evaluation" / "test"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(measured))
    text, _ = page_of(tmp_path)
    assert "Weakest: roof, 80.0\u00a0%" in text
    for figure in ("mean_iou", "mean_f1", "overall_accuracy", "boundary_f1"):
        assert f"{100 * measured[figure]:.1f}" in text
    trivial = measured["original"]["trivial"]
    for figure in ("mean_class_agreement", "tile_iou", "map_accuracy"):
        assert f'<td class="number">{100 * trivial[figure]:.1f}</td>' in text


def test_what_the_map_cost_and_the_parts_of_the_loss_are_said_in_words(tmp_path):
    effort = {"steps": {"pretrain": 100, "train": 1600}, "labels": {"tile_labels": 23}, "seconds": 300.0}
    run = tmp_path / "run"
    write_split(run, "test", {"a": 0.5}, **effort)
    write_log(run, *(step(i, fused=1.0, sides=4.0, l1=0.1) for i in range(3)))
    page = write_report(run).read_text()
    assert "pretrain: 100; train: 1,600" in page
    assert "tile labels: 23" in page
    assert "time, evaluation not counted</dt><dd>5 min" in page
    assert "fused map" in page
    assert "side outputs" in page


def test_nothing_trained_means_train_first(tmp_path):
    write_log(tmp_path, step(0, "pretrain"))
    assert headings(tmp_path)[0] == "Train the generator"


def test_the_weakest_class_is_one_that_occurs(tmp_path):
    absent = {"confusion": [[0, 0], [10, 90]], "iou": {"roof": 0.0, "road": 0.9}}
    write_split(tmp_path, "test", {"a": 0.9}, **absent)
    split = read_run(tmp_path).splits[0]
    weakest = weakest_class(split)
    assert weakest is not None
    assert (weakest.name, weakest.taken_for, weakest.share) == ("road", "roof", 0.1)
    assert "in no mean: roof" in page_of(tmp_path)[0]


def test_charts_leave_out_gaps_and_survive_flat_and_single_values():
    assert line_chart("t", [Series("a", [], []), Series("b", [1], [float("nan")])]) == ""
    assert line_chart("t", [Series("a", [5], [0.0])]).count("<circle") == 1
    assert "a: 0 at 3 scenes" in line_chart("t", [Series("a", [3], [0.0])], unit="scenes")
    flat = line_chart("<t>", [Series("<a>", [1, 2, 3], [2.0, None, 2.0]), Series("b", [1], [1e-9])])
    assert "<a>" not in flat
    assert "<t>" not in flat
    long = line_chart("t", [Series("a", range(100_000), np.ones(100_000).tolist())])
    assert len(long) < 10_000


def calibration(temperature: float) -> dict:
    """Two bins with pixels: 80 to 87 % sure and 70 % right; surest and 99 % right."""
    bins = [{"confidence": None, "accuracy": None, "pixels": 0} for _ in range(15)]
    bins[12] = {"confidence": 0.83, "accuracy": 0.7, "pixels": 100}
    bins[14] = {"confidence": 0.98, "accuracy": 0.99, "pixels": 19_900}
    return {"expected_calibration_error": 0.0107, "bins": bins, "temperature": temperature}


def test_reliability_is_drawn_and_said_in_words(full_run):
    for split, temperature in (("test", 1.5), ("validation", 1.5)):
        path = full_run / "evaluation" / split / "metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "calibration": calibration(temperature)}))
    text, page = page_of(full_run)
    assert text.count("Of the pixels that the model is 93 to 100 % sure of, 99 % are right: as it says.") == 2
    assert "lie 1.1 points apart" in text
    assert text.count("A temperature of 1.5, fitted on what validates, makes all probabilities less sure") == 2
    assert text.count("fitted on these very scenes") == 1, "on validation alone"
    shown = [one["aria-label"] for one in page.all("svg") if "80 to 87 % sure, 70 % right" in one["aria-label"]]
    assert len(shown) == 2
    assert text.count("opacity:0.2") == 2, "bars with few pixels are faint"
    with (full_run / "config.toml").open("a") as settings:
        settings.write("[validation]\nblocks = true\n")
    assert "fitted on these very scenes" not in page_of(full_run)[0]


def test_the_example_is_the_bin_that_adds_most_to_the_error():
    bins = calibration(1.0)["bins"]
    bins[12]["pixels"] = 19_900
    split = SplitFiles("test", {"calibration": {**calibration(1.0), "bins": bins}}, {}, {})
    section = calibration_section(RunFiles(Path(), "", {}, {}, [], [split], {}), split)
    assert section is not None
    assert section["sentences"][0].endswith("80 to 87 % sure of, 70 % are right: it is too sure there.")
    assert "No temperature was fitted" in section["sentences"][2]


def test_without_calibration_there_is_no_diagram(full_run):
    assert "How far to trust its probabilities" not in page_of(full_run)[0]
