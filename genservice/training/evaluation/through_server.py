"""Models behind a server, asked through the SDK."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import ModelNotReady, VerbNotSupported
from genservice.model.options import OptionScalar
from genservice.model.specs import TensorSpec
from genservice.training.evaluation.subject import Advance, Offer, Rows, in_parts
from genservice_client import AsyncClient, ModelInfo, VersionInfo


@asynccontextmanager
async def connecting(address: str, models: Sequence[str]) -> AsyncIterator[Sequence["ClientSubject"]]:
    """Finds models on a server.

    Args:
        address: Of the server, `host:port`.
        models: Their names, in any of the SDK's forms.

    Yields:
        The models, in the order of the names.

    Raises:
        GenserviceClientError: Nobody answers there, or there is no such model.
        ModelNotReady: No version of one is ready.
    """
    async with AsyncClient(address, timeout_s=None) as client:
        yield [ClientSubject(client, _answering(await client.model(name))) for name in models]


class ClientSubject:
    """A version behind a server.

    Args:
        client: Connected to the server.
        version: The version; ready.
    """

    def __init__(self, client: AsyncClient, version: VersionInfo) -> None:
        self._client = client
        self._version = version

    @property
    def offer(self) -> Offer:
        """What it offers."""
        event = self._version.event
        if event is None:
            raise VerbNotSupported(f"{self._version.name} can only predict: there are no figures of that.")
        return Offer(
            name=self._version.name,
            verbs=self._version.verbs,
            labels=self._version.labels,
            options=tuple(self._version.options_schema.get("properties", {})),
            event=TensorSpec(
                event.shape, "string" if event.dtype is None else event.dtype.name, event.minimum, event.maximum
            ),
            threshold=self._version.threshold,
            card=self._version.card,
        )

    async def draw(
        self, sample_count: int, *, seed: int, first_index: int, options: Mapping[str, OptionScalar], advance: Advance
    ) -> Rows:
        """Draws samples."""
        stream = self._client.sample(
            self._version.name, sample_count, seed=seed, first_index=first_index, options=options
        )
        chunks: list[Any] = []
        async for chunk in stream:
            chunks.append(chunk.texts() if self.offer.is_text else chunk.to_numpy())
            advance(len(chunk))
        if self.offer.is_text:
            return [text for chunk in chunks for text in chunk]
        return np.concatenate(chunks)

    async def ask(self, verb: str, rows: Rows, advance: Advance) -> NDArray[Any]:
        """Classifies or embeds rows."""
        answers: list[NDArray[Any]] = []
        for part in in_parts(rows, advance):
            if verb == "classify":
                answers.append((await self._client.classify(self._version.name, part)).probabilities)
            else:
                answers.append(await self._client.embed(self._version.name, part))
        return np.concatenate(answers)

    async def score(self, rows: Rows, advance: Advance) -> tuple[NDArray[Any], str]:
        """Gives log p(x)."""
        answers = [await self._client.score(self._version.name, part) for part in in_parts(rows, advance)]
        return np.concatenate([answer.log_prob for answer in answers]), answers[0].kind.value

    async def tag(self, sequences: Sequence[Rows], advance: Advance) -> list[list[str]]:
        """Names the label of each position."""
        return [
            list(tagging.labels)
            for part in in_parts(sequences, advance)
            for tagging in await self._client.tag(self._version.name, part)
        ]

    async def score_labellings(
        self, sequences: Sequence[Rows], labellings: Sequence[Sequence[str]], advance: Advance
    ) -> tuple[NDArray[Any], str]:
        """Gives log p(labelling | sequence)."""
        given = iter(labellings)
        answers = [
            await self._client.score(
                self._version.name, sequences=part, labellings=[next(given) for _ in range(len(part))]
            )
            for part in in_parts(sequences, advance)
        ]
        return np.concatenate([answer.log_prob for answer in answers]), answers[0].kind.value


def _answering(model: ModelInfo) -> VersionInfo:
    """The version that was asked for, or the one that answers where none is named."""
    if len(model.versions) == 1:
        return model.versions[0]
    for version in model.versions:
        if version.number == model.default_version:
            return version
    raise ModelNotReady(f"No version of {model.name} is ready.")
