"""Comparisons, without asyncio."""

import numpy as np
import numpy.typing as npt

from genservice_client.classifying import Options
from genservice_client.comparing import Comparing
from genservice_client.comparison import Comparison, Identification, Neighbours
from genservice_client.endpoint import Priority
from genservice_client.gallery import Gallery
from genservice_client.options import OptionLike
from genservice_client.row_values import RowsLike
from genservice_client.sync_catalogue import SyncCatalogue
from genservice_client.sync_gallery import ModelGallery
from genservice_client.transport import run


class SyncComparing(SyncCatalogue):
    """Embeds and compares inputs, finds them in galleries, and finds their neighbours."""

    _verbs: Comparing

    def embed(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> npt.NDArray[np.float32]:
        """Maps inputs to vectors whose distances mean something. Arguments are those of `classify`.

        Returns:
            float32 `[rows, dimensions]`.
        """
        return run(
            self._verbs.embed(model, inputs, timeout_s=timeout_s, priority=priority, options=options, **more_options)
        )

    def compare(
        self,
        model: str,
        inputs: RowsLike,
        others: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Comparison:
        """Says of each pair of inputs whether both show the same.

        Args:
            model: Name of the model.
            inputs: The first of each pair, as in `classify`.
            others: The second of each pair. Where one side has one row, that is compared with all of the other.
            timeout_s: As in `classify`.
            priority: As in `classify`.
            options: Options by name.
            more_options: Options.
        """
        return run(
            self._verbs.compare(
                model, inputs, others, timeout_s=timeout_s, priority=priority, options=options, **more_options
            )
        )

    def enrol(
        self,
        model: str,
        name: str,
        inputs: RowsLike,
        gallery: Gallery,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> None:
        """Adds someone to a gallery; `Client.gallery` does the same for a gallery of one model.

        Args:
            model: Name of the model.
            name: Who.
            inputs: What shows them, as in `classify`; each row becomes an entry.
            gallery: Gets the embeddings, and takes down which version made them.
            timeout_s: As in `classify`.
            priority: As in `classify`.
            options: Options by name.
            more_options: Options.

        Raises:
            ValueError: The gallery holds embeddings of another version than the one that answers.
        """
        run(
            self._verbs.enrol(
                model, name, inputs, gallery, timeout_s=timeout_s, priority=priority, options=options, **more_options
            )
        )

    def identify(
        self,
        model: str,
        inputs: RowsLike,
        gallery: Gallery,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Identification:
        """Finds who is on each input.

        Args:
            model: Name of the model.
            inputs: As in `classify`.
            gallery: The known ones. It is sent along with each request.
            timeout_s: As in `classify`.
            priority: As in `classify`.
            options: Options by name.
            more_options: Options.

        Raises:
            ValueError: The gallery is empty, or holds embeddings of another version than the one that answers.
        """
        return run(
            self._verbs.identify(
                model, inputs, gallery, timeout_s=timeout_s, priority=priority, options=options, **more_options
            )
        )

    def gallery(self, model: str, gallery: Gallery | None = None) -> ModelGallery:
        """Gives a gallery of a model, to be filled and asked.

        Args:
            model: Name of the model.
            gallery: The entries, such as `Gallery.load("people.npz")`. None: there are none yet.
        """
        return ModelGallery(self._verbs.gallery(model, gallery))

    def neighbours(
        self,
        model: str,
        inputs: RowsLike,
        k: int,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Neighbours:
        """Finds the nearest rows of the model's reference set.

        Args:
            model: Name of the model.
            inputs: As in `classify`.
            k: Neighbours of each input, from 1 to the version's `reference_rows`, and at most 1000.
            timeout_s: As in `classify`.
            priority: As in `classify`.
            options: Options by name.
            more_options: Options.
        """
        return run(
            self._verbs.neighbours(
                model, inputs, k, timeout_s=timeout_s, priority=priority, options=options, **more_options
            )
        )
