"""What a trained network is saved as."""

from reliefseg.export.bundle import BundleClass, ModelSpec, bundle_hash, load_bundle, save_bundle

__all__ = ["BundleClass", "ModelSpec", "bundle_hash", "load_bundle", "save_bundle"]
