"""Metrics and logs. It is called by the rest of genservice, and never calls it."""
