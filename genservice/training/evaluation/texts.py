"""Measures models of text on texts that are held out."""

from time import perf_counter

import numpy as np

from genservice.errors import InvalidRequest
from genservice.model.fit import DataSet
from genservice.training.evaluation.figures import TextFigures, TextScorerFigures
from genservice.training.evaluation.subject import Advance, Subject
from genservice.training.metrics.texts import copies

MOST_TEXTS = 256
"""Texts that are drawn where no number is asked for."""

EXAMPLES = 4
"""Texts that are kept for people."""


class TextMeasurement:
    """Draws texts at default options and from no prompt, and looks for what is copied.

    Args:
        generator: What is measured.
        data: What it was trained on.
        samples: How many to draw; None: `MOST_TEXTS`.
        seed: Seed of the samples, and of the choice of held-out excerpts.
    """

    def __init__(self, generator: Subject, data: DataSet, *, samples: int | None, seed: int) -> None:
        self._generator, self._data, self._seed = generator, data, seed
        self.rows = MOST_TEXTS if samples is None else samples

    async def measure(self, advance: Advance) -> TextFigures:
        """Draws and counts."""
        started = perf_counter()
        texts = [
            str(text)
            for text in await self._generator.draw(
                self.rows, seed=self._seed, first_index=0, options={}, advance=advance
            )
        ]
        elapsed_s = perf_counter() - started
        length = max(1, round(float(np.mean([len(text) for text in texts]))))
        training = [str(text) for text in self._data.train_inputs]
        return TextFigures(
            samples=len(texts),
            near_copies=copies(texts, training),
            near_copies_real=copies(self._real_excerpts(length), training),
            samples_per_second=len(texts) / elapsed_s,
            examples=texts[:EXAMPLES],
        )

    def _real_excerpts(self, length: int) -> list[str]:
        random = np.random.default_rng(self._seed)
        excerpts = _excerpts([str(text) for text in self._data.test_inputs], length)
        return [excerpts[place] for place in random.permutation(len(excerpts))[: self.rows]]


class TextScorerMeasurement:
    """Scores held-out texts, cut into consecutive excerpts; the last one of a text is shorter.

    Args:
        scorer: What is measured.
        data: What it was trained on.
        excerpt_characters: Characters of an excerpt; None: as many as the model takes tokens.

    Raises:
        InvalidRequest: It is not known how long a text may be.
    """

    def __init__(self, scorer: Subject, data: DataSet, *, excerpt_characters: int | None) -> None:
        self._scorer = scorer
        self._characters = excerpt_characters or scorer.offer.most_tokens
        if not self._characters:
            raise InvalidRequest(
                f"How long a text {scorer.offer.name} takes is not known here: say how long the excerpts are."
            )
        self._excerpts = _excerpts([str(text) for text in data.test_inputs], self._characters)
        self.rows = len(self._excerpts)

    async def measure(self, advance: Advance) -> TextScorerFigures:
        """Scores."""
        scores, kind = await self._scorer.score(self._excerpts, advance)
        characters = sum(map(len, self._excerpts))
        return TextScorerFigures(
            characters=characters,
            excerpt_characters=self._characters,
            score_kind=kind,
            nats_per_character=-float(np.sum(scores, dtype=np.float64)) / characters,
        )


def _excerpts(texts: list[str], length: int) -> list[str]:
    return [text[start : start + length] for text in texts for start in range(0, len(text), length)]
