"""Data-set files of Dubai that leave out one site each: what suits a site that nothing is learnt from.

    python benchmarks/left_out.py ../shared/data/dubai OUT

`OUT/tile1`, `tile3`, `tile4`, `tile5`: that site validates whole, three scenes of the other sites have pixel labels,
23 more tile labels. The test site (tile2) is in none of them.
"""

import argparse
from pathlib import Path

PIXEL_LABELLED = ["tile1_part009", "tile4_part003", "tile5_part007", "tile6_part005", "tile3_part007"]
"""The first three that are not of the site left out."""
TILE_LABELLED = [
    *(f"tile1_part00{i}" for i in range(1, 9)), *(f"tile3_part00{i}" for i in range(1, 6)),
    *(f"tile4_part00{i}" for i in range(4, 9)), *(f"tile5_part00{i}" for i in range(1, 6)),
    *(f"tile6_part00{i}" for i in (1, 2, 3, 4, 6, 7, 8, 9)), "tile3_part006", "tile4_part001", "tile5_part006",
]  # fmt: skip
"""The first 23 that are not of the site left out."""


def write_without(site: str, dataset: Path, folder: Path) -> None:
    """One data-set file, with links to the images and labels."""
    head = (dataset / "dataset.toml").read_text("utf-8").split("[splits]")[0]
    pixels, tiles = (
        [name for name in names if not name.startswith(f"{site}_")] for names in (PIXEL_LABELLED, TILE_LABELLED)
    )
    folder.mkdir(parents=True)
    for name in ("images", "masks"):
        (folder / name).symlink_to((dataset / name).resolve())
    splits = {"pixel_labelled": pixels[:3], "tile_labelled": tiles[:23], "validation": [f"{site}_*"]}
    lines = [f"{split} = {names}".replace("'", '"') for split, names in splits.items()]
    (folder / "dataset.toml").write_text("\n".join([f"{head}[splits]", *lines, ""]), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    for site in ("tile1", "tile3", "tile4", "tile5"):
        write_without(site, arguments.dataset, arguments.out / site)


if __name__ == "__main__":
    main()
