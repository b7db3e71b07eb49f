"""Settings of a run and the presets."""

from reliefseg.config.load import load_settings, preset_names, read_preset, read_settings, settings_from, to_toml
from reliefseg.config.settings import NetworkSettings, Settings, ValidationSettings

__all__ = [
    "NetworkSettings",
    "Settings",
    "ValidationSettings",
    "load_settings",
    "preset_names",
    "read_preset",
    "read_settings",
    "settings_from",
    "to_toml",
]
