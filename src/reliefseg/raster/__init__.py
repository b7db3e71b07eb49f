"""Scenes, data sets and what is written: numpy and rasterio, no torch."""

from reliefseg.raster.check import check_dataset
from reliefseg.raster.check_report import CheckReport
from reliefseg.raster.classes import IGNORE_INDEX, ClassSpec, ClassTable, Color, color_text
from reliefseg.raster.dataset import Dataset, default_cache, load_dataset, survey_dataset
from reliefseg.raster.dataset_file import FILE_NAME, SPLITS
from reliefseg.raster.faults import explain, nearest
from reliefseg.raster.files import probe_folder, whole_file, write_json, write_text
from reliefseg.raster.grid import Grid, Window, coincide
from reliefseg.raster.init import init_dataset, write_template
from reliefseg.raster.labels import list_label_values
from reliefseg.raster.opening import read_header
from reliefseg.raster.proposal import Proposal
from reliefseg.raster.protocols import PROTOCOLS, init_protocol
from reliefseg.raster.scene import Scene, SceneFiles, open_scene
from reliefseg.raster.tile_labels import TileLabel
from reliefseg.raster.writers import write_raster

__all__ = [
    "FILE_NAME",
    "IGNORE_INDEX",
    "PROTOCOLS",
    "SPLITS",
    "CheckReport",
    "ClassSpec",
    "ClassTable",
    "Color",
    "Dataset",
    "Grid",
    "Proposal",
    "Scene",
    "SceneFiles",
    "TileLabel",
    "Window",
    "check_dataset",
    "coincide",
    "color_text",
    "default_cache",
    "explain",
    "init_dataset",
    "init_protocol",
    "list_label_values",
    "load_dataset",
    "nearest",
    "open_scene",
    "probe_folder",
    "read_header",
    "survey_dataset",
    "whole_file",
    "write_json",
    "write_raster",
    "write_template",
    "write_text",
]
