"""Makes the files of a new plugin."""
