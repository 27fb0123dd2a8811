"""The client that blocks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Unpack

import numpy.typing as npt

from genservice_client.classification import Classification
from genservice_client.classifying import Options
from genservice_client.endpoint import Endpoint, Priority, Settings
from genservice_client.filtering import SampleFilter
from genservice_client.options import OptionLike
from genservice_client.row_values import RowsLike
from genservice_client.sampling import Order
from genservice_client.sync_comparing import SyncComparing
from genservice_client.sync_labelling import SyncLabelling
from genservice_client.sync_stream import SampleStream
from genservice_client.sync_transport import SyncRuntime
from genservice_client.tensors import Array
from genservice_client.transport import run, run_each
from genservice_client.verbs import Verbs


class Client(SyncLabelling, SyncComparing):
    """Asks a service, all replicas of it. Threads may share a client; each stream is for one of them.

    A model is named `fashion-gan` (the default version), `fashion-gan@3` (version 3), `fashion-gan:stable` (where the
    label points), or in full, such as `models/fashion-gan/versions/3`. Options are keyword arguments, as the model's
    JSON Schema declares them; `options` takes those whose names clash with other arguments. Every method raises
    TypeError or ValueError for arguments that cannot be right, before a call, and GenserviceClientError for calls that
    fail. `timeout_s` is for the whole of a call, its retries included.

    Args:
        target: As `Endpoint.target`.
        settings: As the fields of `Endpoint`.
    """

    def __init__(self, target: str | Sequence[str], **settings: Unpack[Settings]) -> None:
        self._verbs: Verbs = Verbs(SyncRuntime(Endpoint(target, **settings)))

    def sample(
        self,
        model: str,
        sample_count: int,
        *,
        seed: int | None = None,
        first_index: int = 0,
        output: str | None = None,
        chunk_rows: int = 0,
        order: Order = "index",
        preview_steps: int = 0,
        text_deltas: bool = False,
        conditions: Mapping[str, RowsLike] | None = None,
        keep: SampleFilter | None = None,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> SampleStream:
        """Prepares a stream of samples of p(x), or of p(x | conditions).

        A draw of more than `Limits.part_rows` samples is read from all replicas at once.

        Args:
            model: Name of the model.
            sample_count: Samples to draw, 1 or more.
            seed: Seed of all the randomness, from 0 to 2^64 - 1. None: the SDK draws one; `SampleStream.seed` tells it.
            first_index: Index of the first sample, 0 or greater. Sample i of a seed is the same in every draw.
            output: `float32`, `uint8`, or a media type that the model lists, such as `image/png`. None: the model's
                own type, as numbers.
            chunk_rows: Most samples in a chunk. 0: the server chooses.
            order: `index`, or `as_ready`: each sample as soon as it is done, wherever its index lies.
            preview_steps: Give previews of the samples on their way, every so many steps, in `SampleStream.events`. For
                models whose `features` name `preview`. 0: none.
            text_deltas: Give text as it is drawn, in `SampleStream.events`. For models of text.
            conditions: The other inputs of the draw by name: arrays `[rows, ...]`, strings or image files, of one row
                for all samples, or of `sample_count` rows.
            keep: Give only samples that a classifier takes for a label; `sample_count` is how many. They are drawn by
                one replica at a time, and have one row of each condition.
            timeout_s: Seconds for the whole stream, from now on. None: no limit.
            priority: `low`, `normal` or `high`; None: the client's setting.
            options: Options by name.
            more_options: Options.

        Returns:
            The stream, which sends nothing before it is read.
        """
        stream = self._verbs.sample(
            model,
            sample_count,
            seed=seed,
            first_index=first_index,
            output=output,
            chunk_rows=chunk_rows,
            order=order,
            preview_steps=preview_steps,
            text_deltas=text_deltas,
            conditions=conditions,
            keep=keep,
            timeout_s=timeout_s,
            priority=priority,
            options=options,
            **more_options,
        )
        return SampleStream(stream)

    def classify(
        self,
        model: str,
        inputs: RowsLike,
        *,
        top_k: int = 0,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Classification:
        """Gives p(label | x) of each input.

        Args:
            model: Name of the model.
            inputs: `[rows, ...]` in the event's type and shape, or a string a row. Lists of Python's floats are taken
                as float32, and of whole numbers as int64. For models whose `features` name `images`, also PNG, JPEG or
                WebP files, one a row: bytes, paths, or Pillow's pictures, which go as PNG. One string, file or picture
                is one row. Many rows go in several requests.
            top_k: Let the server name this many labels of each row. 0: all are named, after one more call for a
                version that answers for the first time.
            timeout_s: Seconds for the call. None: the client's setting.
            priority: `low`, `normal` or `high`; None: the client's setting.
            options: Options by name.
            more_options: Options.
        """
        return run(
            self._verbs.classify(
                model, inputs, top_k=top_k, timeout_s=timeout_s, priority=priority, options=options, **more_options
            )
        )

    def stream_classify(
        self,
        model: str,
        inputs: Iterable[RowsLike],
        *,
        top_k: int = 0,
        in_flight: int = 4,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Iterator[Classification]:
        """Classifies inputs as they come, and gives the answers in their order. A stream that is cut goes on.

        Args:
            model: Name of the model.
            inputs: Each is one request: rows as `classify` takes them, image files of one type.
            top_k: As in `classify`.
            in_flight: Inputs to send ahead. The first answer comes after so many inputs, so give 1 for a live source.
            timeout_s: Seconds for the whole stream. None: no limit.
            priority: As in `classify`.
            options: Options by name.
            more_options: Options.
        """
        return run_each(
            self._verbs.stream_classify(
                model,
                inputs,
                top_k=top_k,
                in_flight=in_flight,
                timeout_s=timeout_s,
                priority=priority,
                options=options,
                **more_options,
            )
        )

    def encode(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Array:
        """Maps inputs to latents. Arguments are those of `classify`.

        Returns:
            `[rows, ...]` in the latent's type and shape.
        """
        return run(
            self._verbs.encode(model, inputs, timeout_s=timeout_s, priority=priority, options=options, **more_options)
        )

    def decode(
        self,
        model: str,
        latents: npt.ArrayLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Array:
        """Maps latents, `[rows, ...]`, to samples. The other arguments are those of `classify`.

        Returns:
            `[rows, ...]` in the event's type and shape.
        """
        return run(
            self._verbs.decode(model, latents, timeout_s=timeout_s, priority=priority, options=options, **more_options)
        )

    def predict(
        self,
        model: str,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        signature: str = "",
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> dict[str, Array]:
        """Calls a signature of a model as it is; `VersionInfo.signatures` lists them.

        Args:
            model: Name of the model.
            inputs: `[rows, ...]` by name. Many rows go in several requests.
            signature: Name of the signature. Empty: the default one.
            timeout_s: Seconds for the call. None: the client's setting.
            priority: As in `classify`.
            options: Options by name.
            more_options: Options.

        Returns:
            `[rows, ...]` by name.
        """
        return run(
            self._verbs.predict(
                model,
                inputs,
                signature=signature,
                timeout_s=timeout_s,
                priority=priority,
                options=options,
                **more_options,
            )
        )
