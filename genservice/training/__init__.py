"""Data sources, the fit loop, evaluation and model cards."""
