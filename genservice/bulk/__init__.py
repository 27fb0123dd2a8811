"""Draws many samples of one seed by processes that know nothing of each other, into shards on a common volume."""

from genservice.bulk.errors import BulkError, MixedJobError
from genservice.bulk.job import Job, Plan, agree
from genservice.bulk.run import Progress, run_index
from genservice.bulk.verify import Report, verify

__all__ = ["BulkError", "Job", "MixedJobError", "Plan", "Progress", "Report", "agree", "run_index", "verify"]
