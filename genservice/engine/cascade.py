"""A generator and a classifier together: samples are drawn until enough of them pass.

The two may live on different workers. The draw is one submission and each chunk of it another, to the classifier; while
one chunk is looked at, the next is drawn. A sample keeps the index of its draw, so the answer has an address as any
other: the same request gives the same samples, and one from `next_index` on gives those that follow.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Output, Results
from genservice.engine.catalog import Version
from genservice.engine.engine import Draw, Engine
from genservice.engine.flow import Flow
from genservice.engine.submission import NO_FLOW, Chunk
from genservice.engine.validation import MOST_INDEX
from genservice.errors import DrawsExhausted, GenserviceError, InvalidRequest, ModelError, OutOfRange, suggestion
from genservice.model.options import OptionScalar, parse_options
from genservice.model.specs import TensorSpec
from genservice.store.names import ModelName

DRAWS_PER_SAMPLE = 100
"""Draws for each sample asked for, where the request gives no limit."""
MOST_DRAWN_TOGETHER = 256
"""Most samples that are looked at together: what is drawn behind the last one that is wanted is made for nothing."""
LEAST_DRAWN_TOGETHER = 16
"""Samples that are looked at together where fewer are asked for: most requests need several draws a sample."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which samples pass.

    Args:
        classifier: What looks at them.
        label: Name of the label that they must have.
        min_probability: They pass with a probability of the label of at least this; 0: if no label is more probable.
        max_draws: Most samples to draw; 0: a hundred for each that is asked for.
        options: Options of the classifier.
    """

    classifier: ModelName
    label: str
    min_probability: float = 0.0
    max_draws: int = 0
    options: Mapping[str, OptionScalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Samples that passed.

    Args:
        chunk: They; None where none of those looked at did.
        draw_count: Samples drawn and looked at so far.
        sample_count: Samples that passed so far.
    """

    chunk: Chunk | None
    draw_count: int
    sample_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Cascade:
    """A draw that was admitted, and what decides which of its samples are kept.

    Args:
        engine: Does the work.
        draw: The draw: as many samples as may be drawn.
        rule: Which pass.
        classifier: The version that looks at them, to the end.
        sample_count: Samples to keep.
        flow: Whose rows they are.
        remaining_s: Gives the seconds until the request's deadline; None where it has none.
    """

    engine: Engine
    draw: Draw
    rule: Rule
    classifier: Version
    sample_count: int
    flow: Flow
    remaining_s: Callable[[], float | None]

    async def kept(self) -> AsyncGenerator[Kept, None]:
        """Draws and looks, until there are enough.

        Yields:
            After each chunk that was looked at, what passed.

        Raises:
            DrawsExhausted: As many as may be drawn were, and not enough passed.
            GenserviceError: The generator or the classifier failed, or the server goes.
        """
        draw_count = sample_count = 0
        async with aclosing(self.draw.events()) as events:
            async for chunk in events:
                assert isinstance(chunk, Chunk)
                results = chunk.results
                passed = np.flatnonzero(await self._passes(results))[: self.sample_count - sample_count]
                sample_count += len(passed)
                enough = sample_count == self.sample_count
                # What was drawn behind the last one that is wanted was not looked at, as far as anybody can tell.
                draw_count += int(passed[-1]) + 1 if enough else len(chunk)
                kept = Kept(_rows_of(chunk.ranges, results, passed), draw_count, sample_count)
                # Not held while the reader has what is kept of them.
                del chunk, results
                if enough:
                    self.draw.submission.finish()
                yield kept
                if enough:
                    return
        first_index = self.draw.submission.call.first_index
        raise DrawsExhausted(
            f"{draw_count} samples were drawn, and {sample_count} of the {self.sample_count} asked for passed.",
            field="filter.max_draws",
            metadata={
                "draw_count": str(draw_count),
                "sample_count": str(sample_count),
                "next_index": str(first_index + draw_count),
            },
        )

    async def _passes(self, results: Results) -> NDArray[np.bool_]:
        """Which rows of a chunk pass."""
        rows: Any = results.get("event", results["samples"])
        try:
            # Patient, as the draw is: a stream that was admitted is not refused on its way.
            _, answer = await self.engine.call(
                self.classifier,
                "classify",
                {"inputs": rows},
                self.rule.options,
                timeout_s=self.remaining_s(),
                flow=self.flow,
                patient=True,
            )
        except InvalidRequest as fault:
            # The request has no part in it: the classifier takes what the generator says it draws.
            raise ModelError(
                f"{self.draw.version.name} drew what {self.classifier.name} does not take: {fault.message}"
            ) from fault
        probabilities: Any = answer["probabilities"]
        assert self.classifier.description is not None
        label = tuple(self.classifier.description.labels).index(self.rule.label)
        if self.rule.min_probability:
            return np.asarray(probabilities[:, label] >= self.rule.min_probability)
        return np.asarray(probabilities.argmax(axis=1) == label)


@contextmanager
def cascade(
    engine: Engine,
    name: ModelName,
    rule: Rule,
    *,
    sample_count: int,
    first_index: int = 0,
    output: Output | None = None,
    chunk_rows: int = 0,
    flow: Flow = NO_FLOW,
    remaining_s: Callable[[], float | None] = lambda: None,
    **asked: Any,
) -> Iterator[Cascade]:
    """Admits a request for samples that pass; at the end, what is under way of it is given up.

    Args:
        engine: Does the work.
        name: The generator.
        rule: Which samples pass.
        sample_count: Samples to keep.
        first_index: Index of the first draw.
        output: Form of the samples.
        chunk_rows: Most samples in a chunk; 0: the engine chooses.
        flow: Whose rows they are.
        remaining_s: Gives the seconds until the request's deadline.
        asked: What else `Engine.sample` takes.

    Raises:
        GenserviceError: The request is refused; the class and the field say why.
    """
    with ExitStack() as stack:
        classifier = _classifier(engine, rule, stack)
        most = min(engine.settings.max_sample_count, MOST_INDEX - max(first_index, 0))
        if rule.max_draws and not sample_count <= rule.max_draws <= most:
            raise OutOfRange(
                f"`filter.max_draws` is from `sample_count`, {sample_count}, to {most}; got {rule.max_draws}.",
                field="filter.max_draws",
            )
        max_draws = rule.max_draws or min(DRAWS_PER_SAMPLE * sample_count, most)
        together = min(MOST_DRAWN_TOGETHER, max(LEAST_DRAWN_TOGETHER, sample_count))
        form = output or Output()
        draw = engine.sample(
            name,
            # What is wrong with `sample_count` itself is told by the draw.
            sample_count=max(max_draws, sample_count) if sample_count > 0 else sample_count,
            first_index=first_index,
            output=Output(form.dtype, form.media_type, with_event=True),
            chunk_rows=min(chunk_rows, together) or together,
            timeout_s=remaining_s(),
            least_rows=sample_count,
            flow=flow,
            **asked,
        )
        stack.callback(draw.submission.cancel)
        _check_fit(draw.version, classifier)
        yield Cascade(engine, draw, rule, classifier, sample_count, flow, remaining_s)


def _classifier(engine: Engine, rule: Rule, stack: ExitStack) -> Version:
    """The classifier of a rule, which it can apply; the version stays until the end of the stack."""
    try:
        classifier = stack.enter_context(engine.using(rule.classifier, "classify"))
        assert classifier.description is not None
        labels = tuple(classifier.description.labels)
        parse_options(classifier.description.Options, rule.options, labels)
    except GenserviceError as error:
        if error.field:
            error.field = f"filter.{error.field}" if error.field.startswith("options.") else "filter.classifier"
        raise
    if rule.label not in labels:
        raise InvalidRequest(
            f"`filter.label`: {rule.label!r} is not a label of {classifier.name}.{suggestion(rule.label, labels)}",
            field="filter.label",
        )
    if not 0 <= rule.min_probability <= 1:
        raise OutOfRange(
            f"`filter.min_probability` is from 0 to 1; got {rule.min_probability:g}.", field="filter.min_probability"
        )
    return classifier


def _check_fit(generator: Version, classifier: Version) -> None:
    """Checks that a classifier takes what a generator gives."""
    assert generator.description is not None
    assert classifier.description is not None
    given, taken = generator.description.event, classifier.description.event
    if _event(given) != _event(taken):
        raise InvalidRequest(
            f"`filter.classifier`: {classifier.name} takes {_event(taken)}; {generator.name} draws {_event(given)}.",
            field="filter.classifier",
        )


def _event(spec: TensorSpec) -> str:
    bounds = "" if spec.minimum is None else f" from {spec.minimum:g} to {spec.maximum:g}"
    return f"{spec.dtype} {list(spec.shape)}{bounds}"


def _rows_of(ranges: tuple[tuple[int, int], ...], results: Results, places: NDArray[np.int64]) -> Chunk | None:
    """Some rows of a chunk, in the form that was asked for; None where there are none."""
    if not len(places):
        return None
    numbers = np.concatenate([np.arange(start, stop) for start, stop in ranges])[places]
    cuts = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
    kept = tuple((int(numbers[start]), int(numbers[stop - 1]) + 1) for start, stop in pairwise(cuts))
    samples: Any = results["samples"]
    rows: Results = {"samples": [samples[place] for place in places] if isinstance(samples, list) else samples[places]}
    return Chunk(kept, [rows])
