"""A gallery and the model that fills it, without asyncio."""

from genservice_client.classifying import Options
from genservice_client.comparison import Identification
from genservice_client.endpoint import Priority
from genservice_client.gallery import Gallery
from genservice_client.model_gallery import AsyncModelGallery
from genservice_client.options import OptionLike
from genservice_client.row_values import RowsLike
from genservice_client.transport import run


class ModelGallery:
    """A gallery with the model that embeds: it enrols inputs, and finds inputs among those that were enrolled."""

    def __init__(self, gallery: AsyncModelGallery) -> None:
        self._gallery = gallery

    @property
    def entries(self) -> Gallery:
        """The names and embeddings; `entries.save("people.npz")` keeps them."""
        return self._gallery.entries

    def enrol(
        self,
        name: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> None:
        """Adds someone, or more embeddings of someone.

        Args:
            name: Who.
            inputs: What shows them, as in `Client.classify`; each row becomes an entry.
            timeout_s: Seconds for the call. None: the client's setting.
            priority: `low`, `normal` or `high`; None: the client's setting.
            options: Options by name.
            more_options: Options.

        Raises:
            ValueError: The gallery holds embeddings of another version than the one that answers.
        """
        run(self._gallery.enrol(name, inputs, timeout_s=timeout_s, priority=priority, options=options, **more_options))

    def identify(
        self,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Identification:
        """Finds who is on each input. The other arguments are those of `enrol`.

        Raises:
            ValueError: The gallery is empty, or holds embeddings of another version than the one that answers.
        """
        return run(
            self._gallery.identify(inputs, timeout_s=timeout_s, priority=priority, options=options, **more_options)
        )
