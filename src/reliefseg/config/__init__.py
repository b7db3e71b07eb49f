"""Settings of a run and the presets."""

from reliefseg.config.load import load_settings, preset_names, read_settings, settings_from, to_toml
from reliefseg.config.settings import Settings

__all__ = [
    "Settings",
    "load_settings",
    "preset_names",
    "read_settings",
    "settings_from",
    "to_toml",
]
