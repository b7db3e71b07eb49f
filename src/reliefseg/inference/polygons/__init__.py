"""Class maps as polygons that fit together: regions, merged where too small, with borders simplified once."""
