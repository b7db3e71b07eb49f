"""Where settings come from, and how wrong ones are told."""

import pytest

from reliefseg.config import load_settings, preset_names, read_settings, settings_from, to_toml
from reliefseg.errors import InputError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_survives_being_written(name, tmp_path):
    settings = load_settings(name)
    (tmp_path / "config.toml").write_text(to_toml(settings), encoding="utf-8")
    assert read_settings(tmp_path / "config.toml") == settings


@pytest.mark.parametrize("text", ["a\nb", 'tab\tquote"slash\\', "del\x7f", "Größe"])
def test_any_text_survives_being_written(text, tmp_path):
    settings = load_settings("debug")
    settings = settings.model_copy(update={"depth": settings.depth.model_copy(update={"weights": text})})
    (tmp_path / "config.toml").write_text(to_toml(settings), encoding="utf-8")
    assert read_settings(tmp_path / "config.toml").depth.weights == text


def test_assignments_win_over_the_file_and_the_file_over_the_preset(tmp_path):
    (tmp_path / "mine.toml").write_text("[train]\nsteps = 77\nbatch = 3\n")
    settings = load_settings("debug", tmp_path / "mine.toml", ["train.steps=99", 'depth.source="none"'])
    assert (settings.train.steps, settings.train.batch) == (99, 3)
    assert settings.tiles.size == load_settings("debug").tiles.size


@pytest.mark.parametrize(("text", "value"), [("cpu", "cpu"), ('"cpu"', "cpu")])
def test_strings_need_no_quotes(text, value):
    assert load_settings("debug", None, [f"device={text}"]).device == value


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.stepz=5", r"setting train.stepz: unknown; did you mean train.steps\?"),
        ("steps=5", r"setting steps: unknown; did you mean train\.steps\?"),
        ("train.lr=1", r"setting train\.lr: unknown; did you mean train\.optimiser\.lr\?"),
        ("pretrain.lr=1", r"setting pretrain\.lr: unknown; did you mean pretrain\.optimiser\.lr\?"),
        ("train.steps=many", r"setting train.steps: .*valid integer.*found 'many'"),
        ("train.loss.kind=hinge", r"setting train.loss.kind: .*'softmax' or 'sigmoid'"),
        ("tiles.box_factor=[2.0, 1.0]", r"setting tiles: .*smallest, largest"),
        ("train.steps", r"expected key=value"),
        ("depth.source=radar", r"setting depth.source"),
        ("tiles=3", r"setting tiles"),
        ("tiles.box_factor=[2.0, 1.0]", r"^setting tiles: box_factor must be [^;]*$"),
        ("train.optimiser.betas=[0.5, 1.0]", r"setting train.optimiser.betas.1: .*less than 1; found 1.0"),
    ],
)
def test_wrong_settings_are_named(assignment, message):
    with pytest.raises(InputError, match=message):
        load_settings("debug", None, [assignment])


def test_none_is_a_word_where_a_setting_knows_it():
    assert load_settings("debug", None, ["depth.source=none"]).depth.source == "none"
    assert load_settings("debug", None, ["tiles.box=none"]).tiles.box is None


def test_a_file_from_an_editor_that_marks_utf8(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("\ufeffseed = 7\n", encoding="utf-8")
    assert load_settings("debug", file, []).seed == 7


def test_a_batch_that_cannot_be_normalised_is_refused():
    alone = ["train.batch=1", "tiles.size=32"]
    with pytest.raises(
        InputError, match=r"^setting train.batch = 1: a tile of 32 px [^;]*; take train.batch = 2 or larger tiles$"
    ):
        load_settings("debug", None, alone)
    with pytest.raises(InputError, match="a tile of 64 px"):
        load_settings("debug", None, ["train.batch=1", "network.name=u2net-relief"])
    assert load_settings("debug", None, [*alone, "network.name=unet-small"]).train.batch == 1


def test_all_faults_are_told_at_once():
    with pytest.raises(InputError) as caught:
        settings_from({"train": {"steps": 0, "bach": 2}, "tilez": {}})
    assert len(caught.value.offences) == 3


def test_an_unknown_preset_and_broken_files(tmp_path):
    with pytest.raises(InputError, match=r"preset 'debugg': unknown; did you mean debug\?"):
        load_settings("debugg")
    with pytest.raises(InputError, match="cannot be read"):
        load_settings("debug", tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(InputError, match="not TOML"):
        load_settings("debug", tmp_path / "bad.toml")
