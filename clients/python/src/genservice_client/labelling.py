"""Labels of sequences, and scores. Written once: `AsyncClient` has these coroutines, `Client` runs them."""

from __future__ import annotations

from collections.abc import Sequence

from genservice.v1 import classification_pb2, generation_pb2
from genservice_client.classification import Score, ScoreKind
from genservice_client.classifying import Classifying, Options, rows_of
from genservice_client.endpoint import Priority
from genservice_client.options import OptionLike, option_values
from genservice_client.row_values import RowsLike, RowValues
from genservice_client.sequences import LabellingsLike, SequencesLike, SequenceValues
from genservice_client.tagging import Tagging, taggings
from genservice_client.tensors import joined_rows


class Labelling(Classifying):
    """Tags sequences, and scores inputs and labellings."""

    async def tag(
        self,
        model: str,
        sequences: SequencesLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> list[Tagging]:
        """Gives one label to each position, as `Client.tag` does."""
        rows, values = SequenceValues.of(sequences), option_values(options, more_options)
        route = self._route(timeout_s, priority)

        def ask(name: str, part: SequenceValues) -> classification_pb2.TagRequest:
            return classification_pb2.TagRequest(model=name, sequences=part.messages(), options=values)

        responses = await self._in_parts(lambda stubs: stubs.classification.Tag, model, rows, ask, route)
        version = await self._version(responses[0].model, route.deadline)
        return taggings(responses, version.labels, [len(positions) for positions in rows.sequences])

    async def score(
        self,
        model: str,
        inputs: RowsLike | None = None,
        *,
        sequences: SequencesLike | None = None,
        labellings: LabellingsLike | None = None,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Score:
        """Gives log probabilities, as `Client.score` does."""
        values, route = option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: RowValues) -> generation_pb2.ScoreRequest:
            return generation_pb2.ScoreRequest(model=name, inputs=part.message(), options=values)

        def ask_labelled(name: str, part: SequenceValues) -> generation_pb2.ScoreRequest:
            return generation_pb2.ScoreRequest(
                model=name, sequences=part.messages(), labellings=part.labelling_messages(), options=values
            )

        if inputs is not None and sequences is None and labellings is None:
            rows = rows_of(inputs)
            responses = await self._in_parts(lambda stubs: stubs.generation.Score, model, rows, ask, route)
            return _score(responses, len(rows))
        if inputs is None and sequences is not None and labellings is not None:
            labelled = SequenceValues.of(sequences, labellings)
            responses = await self._in_parts(lambda stubs: stubs.generation.Score, model, labelled, ask_labelled, route)
            return _score(responses, len(labelled))
        raise TypeError("give inputs; or sequences and labellings, of a model that tags")


def _score(responses: Sequence[generation_pb2.ScoreResponse], row_count: int) -> Score:
    log_prob = joined_rows([response.log_prob for response in responses], row_count)
    return Score(responses[0].model, log_prob, ScoreKind.from_message(responses[0].kind))
