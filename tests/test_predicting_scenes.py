"""Several scenes at once: what is passed over, what is told, and what goes on without the rest."""

import os

import pytest
import rasterio
from affine import Affine

from reliefseg.errors import InputError
from reliefseg.workflow import HeightFiles, Shard, Wanted, find_scenes, load_model, merge, predict
from reliefseg.workflow import predicting as predicting_module
from test_predicting import Notes, save_model, write_scene

POLYGONS = Wanted(polygons=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "model")


def small(path, **profile):
    path.parent.mkdir(exist_ok=True)
    return write_scene(path, height=70, width=90, **profile)


def test_shards_and_merge_with_other_options_than_results_that_are_there(model, tmp_path):
    scene, out = small(tmp_path / "a.tif"), tmp_path / "out"
    predict(model, [scene], out)
    for number in (1, 2):
        predict(model, [scene], out, POLYGONS, shard=Shard(number, 2))
    (tally,) = merge(model, [scene], out, POLYGONS)
    assert "polygons" in tally["files"]


def test_a_damaged_scene_does_not_keep_the_others_from_being_done(model, tmp_path):
    cut, good, out = small(tmp_path / "a.tif"), small(tmp_path / "b.tif"), tmp_path / "out"
    cut.write_bytes(cut.read_bytes()[:-6000])
    with pytest.raises(InputError, match="scene a: ") as told:
        predict(model, [cut, good], out)
    assert len(told.value.offences) == 1
    assert (out / "b" / "classes.tif").exists()
    assert not (out / "a").exists()


def test_merge_writes_the_others_where_one_scene_has_no_depth(model, tmp_path, monkeypatch):
    scenes, out = [small(tmp_path / f"{name}.tif") for name in "ab"], tmp_path / "out"
    predict(model, scenes[1:], out, shard=Shard(1, 1 + 1))
    predict(model, scenes[1:], out, shard=Shard(2, 2))
    made = predicting_module.prepared

    def no_depth_of_a(model, scene, *rest):
        if scene.name == "a":
            raise InputError("scene a: a single colour has no depth")
        return made(model, scene, *rest)

    monkeypatch.setattr(predicting_module, "prepared", no_depth_of_a)
    with pytest.raises(InputError, match="scene a: a single colour"):
        merge(model, scenes, out)
    assert (out / "b" / "classes.tif").exists()


def test_the_same_command_goes_on_where_results_lie_among_the_scenes(model, tmp_path):
    folder = tmp_path / "scenes"
    small(folder / "a.tif")
    (folder / "x.tif").mkdir()
    for arguments in ([f"{folder}/**/*.tif"], [f"{folder}/*"], [str(folder)]):
        scenes = find_scenes(arguments)
        assert [p.name for p in scenes] == ["a.tif"]
        predict(model, scenes, folder / "out")
    with pytest.raises(InputError, match="no scene here"):
        find_scenes([str(folder / "out" / "a")])
    assert find_scenes([str(folder / "out" / "a" / "classes.tif")])  # named, so meant


def test_folders_of_results_that_a_shell_names_among_the_scenes_are_passed_over(model, tmp_path):
    scene = small(tmp_path / "scenes" / "a.tif")
    folder = scene.parent
    predict(model, [scene], folder)
    predict(model, [scene], folder / "out")
    (folder / "out" / ".reliefseg-b").mkdir()
    assert find_scenes(sorted(map(str, folder.glob("[!.]*")))) == [scene]
    for alone in ([str(folder / "a"), str(folder / "out")], [str(folder / "out")]):
        with pytest.raises(InputError, match=r"out: no scene here"):
            find_scenes(alone)
    (folder / "out" / "more").mkdir()
    with pytest.raises(InputError, match=r"out: no scene here"):
        find_scenes([str(scene), str(folder / "out")])


def test_names_that_are_not_utf8_are_told(tmp_path):
    small(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.tif"))
    with pytest.raises(InputError, match=r"caf.\.tif: its name is not UTF-8; rename it"):
        find_scenes([str(tmp_path)])


def test_a_mosaic_that_lacks_a_part_is_told(model, tmp_path):
    part = small(tmp_path / "part.tif")
    vrt = tmp_path / "all.vrt"
    with rasterio.open(part) as dataset:
        bands = "".join(
            f'<VRTRasterBand dataType="Byte" band="{n}"><NoDataValue>0</NoDataValue><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">part.tif</SourceFilename><SourceBand>{n}</SourceBand>'
            "</SimpleSource></VRTRasterBand>"
            for n in (1, 2)
        )
        transform = ", ".join(map(str, dataset.transform.to_gdal()))
        vrt.write_text(
            f'<VRTDataset rasterXSize="90" rasterYSize="70"><SRS>{dataset.crs.to_wkt()}</SRS>'
            f"<GeoTransform>{transform}</GeoTransform>{bands}</VRTDataset>"
        )
    predict(model, [vrt], tmp_path / "out")
    part.unlink()
    with pytest.raises(InputError, match=r"scene all: .*names .*part\.tif, which does not exist"):
        predict(model, [vrt], tmp_path / "other")


@pytest.mark.parametrize("gsd", [0.9, 0.003])
def test_pixels_far_from_the_models_are_refused(model, tmp_path, gsd):
    scene = small(tmp_path / "a.tif", gsd=gsd)
    with pytest.raises(InputError, match=r"scene a: pixels of .* Is the size in other units\?"):
        load_model(model).open(scene)


def test_a_refused_size_of_pixels_is_mended_where_it_comes_from(model, tmp_path):
    scene = small(tmp_path / "a.tif", gsd=0.9)
    with pytest.raises(InputError, match="Correct the file's CRS or transform, or"):
        load_model(model).open(scene, gsd=0.1)
    with rasterio.open(scene, "r+") as dataset:
        dataset.crs = rasterio.CRS()
    with pytest.raises(InputError, match="Correct --gsd, or"):
        load_model(model).open(scene, gsd=0.9)


def test_a_stated_gsd_that_the_file_overrules_is_told(model, tmp_path):
    scene, notes = small(tmp_path / "a.tif"), Notes()
    predict(model, [scene], tmp_path / "out", gsd=0.1, say=notes)
    assert not notes.said("is not used")
    predict(model, [scene], tmp_path / "out", gsd=0.2, say=notes)
    assert notes.said("scene a: --gsd 0.2 is not used: by its georeferencing the pixels are 0.1 m")


@pytest.mark.parametrize("gsd", [float("inf"), float("nan"), 0.0, -1.0])
def test_what_is_no_size_of_a_pixel_is_refused(model, tmp_path, gsd):
    with pytest.raises(InputError, match="no size of a pixel"):
        load_model(model).open(small(tmp_path / "a.tif"), gsd=gsd)


def test_heights_that_the_model_has_no_use_for_are_told(model, tmp_path):
    scene, notes = small(tmp_path / "a.tif"), Notes()
    predict(model, [scene], tmp_path / "out", heights=HeightFiles(str(scene)), say=notes)
    assert notes.said("--heights are not used: the model learnt with depth.source = none")


def test_pixels_that_are_not_square_are_told(model, tmp_path):
    scene, notes = small(tmp_path / "a.tif"), Notes()
    with rasterio.open(scene, "r+") as dataset:
        dataset.transform = Affine(0.05, 0, 300000, 0, -0.2, 2700000)
    predict(model, [scene], tmp_path / "out", say=notes)
    assert notes.said("its pixels are not square on the ground, one side is 4 times the other")
