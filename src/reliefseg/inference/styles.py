"""Styles that QGIS takes for a layer by itself, from a file of the same name beside it."""

from __future__ import annotations

from xml.etree import ElementTree as xml

from reliefseg.raster import ClassTable, Color, color_text


def raster_style(classes: ClassTable) -> str:
    """A class map in the classes' colours, with their names in the legend."""
    root = _root()
    renderer = xml.SubElement(
        xml.SubElement(root, "pipe"), "rasterrenderer",
        {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""},
    )  # fmt: skip
    palette = xml.SubElement(renderer, "colorPalette")
    for index, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True)):
        entry = {"value": str(index), "color": color_text(color).lower(), "alpha": "255", "label": name}
        xml.SubElement(palette, "paletteEntry", entry)
    return _text(root)


def polygon_style(classes: ClassTable) -> str:
    """Polygons filled in the colours of their `class_id`, without outlines."""
    root = _root()
    renderer = xml.SubElement(
        root, "renderer-v2", {"type": "categorizedSymbol", "attr": "class_id", "enableorderby": "0"}
    )
    categories, symbols = xml.SubElement(renderer, "categories"), xml.SubElement(renderer, "symbols")
    for index, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True)):
        entry = {"value": str(index), "type": "long", "symbol": str(index), "label": name, "render": "true"}
        xml.SubElement(categories, "category", entry)
        _fill(symbols, str(index), color)
    return _text(root)


def _fill(symbols: xml.Element, name: str, color: Color) -> None:
    symbol = xml.SubElement(symbols, "symbol", {"type": "fill", "name": name, "alpha": "1", "clip_to_extent": "1"})
    layer = xml.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0", "locked": "0"})
    for key, value in {"color": ",".join(map(str, (*color, 255))), "style": "solid", "outline_style": "no"}.items():
        xml.SubElement(layer, "prop", {"k": key, "v": value})


def _root() -> xml.Element:
    return xml.Element("qgis", {"version": "3.22.0", "styleCategories": "Symbology"})


def _text(root: xml.Element) -> str:
    xml.indent(root)
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + xml.tostring(root, encoding="unicode") + "\n"
    )
