"""The author's kit: a conformance suite, fakes, and a scheduler whose clock and batches the test controls."""

from genservice.testing.conformance import ModelConformance
from genservice.testing.diversity import Diversity, measure_diversity
from genservice.testing.harness import Harness
from genservice.testing.puppets import PuppetClock, PuppetReplica

__all__ = ["Diversity", "Harness", "ModelConformance", "PuppetClock", "PuppetReplica", "measure_diversity"]
