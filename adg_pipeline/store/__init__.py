"""The store: everything the pipeline keeps, under one data directory. See docs/store.md for the layout."""

from adg_pipeline.store.store import DATA_DIR_VARIABLE, Store, default_data_dir

__all__ = ["DATA_DIR_VARIABLE", "Store", "default_data_dir"]
