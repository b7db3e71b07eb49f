"""Opens a folder of results with QGIS's own engine; run by a Python that has PyQGIS: qgis_opens.py FOLDER PNG.

Prints what QGIS made of the layers as JSON; draws the class map into PNG and the polygons into one beside it.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize


def _about(layer: QgsRasterLayer | QgsVectorLayer) -> dict:
    extent = layer.extent()
    return {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "renderer": layer.renderer().type(),
    }


def _legend(layer: QgsRasterLayer) -> list:
    return [[entry.value, entry.color.name(), entry.label] for entry in layer.renderer().classes()]


def _categories(layer: QgsVectorLayer) -> list:
    return [[c.value(), c.symbol().color().name(), c.label()] for c in layer.renderer().categories()]


def _draw(layers: list, png: str) -> list:
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(layers[0].extent())
    settings.setOutputSize(QSize(660, 420))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    if png:
        image.save(png)
    return [image.pixelColor(330, 210).name(), image.pixelColor(600, 40).name(), image.pixelColor(10, 10).name()]


def main(folder: Path, png: str) -> None:
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False)
    application.initQgis()
    rasters = {n: QgsRasterLayer(str(folder / f"{n}.tif"), n) for n in ("classes", "uncertainty", "probabilities")}
    polygons = QgsVectorLayer(str(folder / "polygons.gpkg"), "polygons", "ogr")
    told = {name: _about(layer) for name, layer in [*rasters.items(), ("polygons", polygons)]}
    told["classes"]["legend"] = _legend(rasters["classes"])
    told["polygons"]["legend"] = _categories(polygons)
    told["polygons"]["features"] = polygons.featureCount()
    told["classes"]["drawn"] = _draw([rasters["classes"]], png)
    told["polygons"]["drawn"] = _draw([polygons], png.replace(".png", "_polygons.png"))
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # QGIS does not always leave in peace
