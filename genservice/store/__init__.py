"""The model store: versions, labels, integrity."""
