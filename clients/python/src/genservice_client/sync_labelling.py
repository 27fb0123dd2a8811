"""Labels of sequences, and scores, without asyncio."""

from genservice_client.classification import Score
from genservice_client.classifying import Options
from genservice_client.endpoint import Priority
from genservice_client.labelling import Labelling
from genservice_client.options import OptionLike
from genservice_client.row_values import RowsLike
from genservice_client.sequences import LabellingsLike, SequencesLike
from genservice_client.sync_catalogue import SyncCatalogue
from genservice_client.tagging import Tagging
from genservice_client.transport import run


class SyncLabelling(SyncCatalogue):
    """Tags sequences, and scores inputs and labellings."""

    _verbs: Labelling

    def tag(
        self,
        model: str,
        sequences: SequencesLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> list[Tagging]:
        """Gives one label to each position of each sequence.

        Args:
            model: Name of the model.
            sequences: One sequence an entry: an array `[positions, ...]`, or a list of strings, one token a position.
                Many sequences go in several requests.
            timeout_s: Seconds for the call. None: the client's setting.
            priority: `low`, `normal` or `high`; None: the client's setting.
            options: Options by name.
            more_options: Options.

        Returns:
            One a sequence.
        """
        return run(
            self._verbs.tag(model, sequences, timeout_s=timeout_s, priority=priority, options=options, **more_options)
        )

    def score(
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
        """Gives log p(x) of each input, in nats; or, of a model that tags, log p(labelling | sequence).

        Args:
            model: Name of the model.
            inputs: As in `classify`.
            sequences: In place of `inputs`: as in `tag`.
            labellings: With `sequences`: the labels of each, one a position.
            timeout_s: As in `tag`.
            priority: As in `tag`.
            options: Options by name.
            more_options: Options.
        """
        return run(
            self._verbs.score(
                model,
                inputs,
                sequences=sequences,
                labellings=labellings,
                timeout_s=timeout_s,
                priority=priority,
                options=options,
                **more_options,
            )
        )
