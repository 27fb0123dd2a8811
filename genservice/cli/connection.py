"""A client, whose errors are told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from genservice.cli.failures import Failure

if TYPE_CHECKING:
    from genservice_client import Client, VersionInfo


PNG = "image/png"
FIRST_CONTACT_ATTEMPTS = 3
"""Attempts to reach the server at all. Once it has answered, a cut is waited out, as the SDK does by itself."""


@contextmanager
def connected(server: str) -> "Iterator[Client]":
    """Gives a client of a server.

    Args:
        server: Its address.

    Raises:
        Failure: Nobody answers there, or a call failed.
    """
    from genservice_client import Client, GenserviceClientError, RetryPolicy, UnavailableError

    try:
        with Client(server, retry=RetryPolicy(max_attempts=FIRST_CONTACT_ATTEMPTS)) as scout:
            scout.models()
    except (GenserviceClientError, ValueError) as error:
        nobody = f"No server answers at {server!r}: " if isinstance(error, UnavailableError) else ""
        raise Failure(f"{nobody}{error}") from error
    try:
        with Client(server) as client:
            yield client
    except GenserviceClientError as error:
        raise Failure(error.message) from error


def answering_version(client: "Client", name: str) -> "VersionInfo":
    """The version that answers for a model.

    Args:
        client: Connected to the server.
        name: The model, in any of the SDK's forms.

    Raises:
        Failure: None is ready.
    """
    try:
        model = client.model(name)
    except ValueError as error:
        raise Failure(str(error)) from error
    version = model.answering
    if version is None:
        raise Failure(f"No version of {model.name} is ready.")
    return version


def picture_form(version: "VersionInfo") -> str | None:
    """The form in which samples can be shown: PNG where numbers have no bounds that would tell black from white.

    Args:
        version: What samples.

    Returns:
        What the SDK's `output` is to be; None: the numbers themselves.
    """
    bounded = version.event is not None and version.event.minimum is not None
    return PNG if not bounded and PNG in version.media_types else None
