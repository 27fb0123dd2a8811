"""Measures served models against real data."""

from genservice.training.evaluation.evaluate import evaluate
from genservice.training.evaluation.figures import Evaluation
from genservice.training.evaluation.in_process import serving
from genservice.training.evaluation.measured import publish_measured, with_metrics
from genservice.training.evaluation.subject import Subject
from genservice.training.evaluation.through_server import connecting

__all__ = ["Evaluation", "Subject", "connecting", "evaluate", "publish_measured", "serving", "with_metrics"]
