"""The pages of the HTTP port: `/metrics`, `/livez` and `/readyz`."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from genservice.engine.catalog import State
from genservice.engine.engine import Engine
from genservice.server.http import Headers, Page


def pages(
    engine: Engine, registry: CollectorRegistry, is_leaving: Callable[[], bool]
) -> Mapping[str, Callable[[Headers], Page]]:
    """What makes each page.

    Args:
        engine: What is asked after.
        registry: Where the metrics are.
        is_leaving: Whether the server has begun to shut down.
    """

    def metrics(headers: Headers) -> Page:
        encode, content_type = choose_encoder(headers.get("accept", ""))
        return Page(encode(registry), content_type=content_type)

    def alive(headers: Headers) -> Page:
        # That this is answered at all says that the loop turns.
        del headers
        return Page(b"alive\n")

    def ready(headers: Headers) -> Page:
        del headers
        reason = "draining" if is_leaving() else why_not_ready(engine)
        return Page(f"{reason}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE) if reason else Page(b"ready\n")

    return {"/metrics": metrics, "/livez": alive, "/readyz": ready}


def why_not_ready(engine: Engine) -> str:
    """Why the engine is not ready, for people; empty where it is."""
    if engine.ready:
        return ""
    if engine.draining:
        return "draining"
    catalog = engine.catalog
    versions = [version for model in catalog.models() for version in catalog.versions(model)]
    loading = [str(version.name) for version in versions if version.state in (State.LOADING, State.WARMING)]
    if loading:
        return f"loading: {', '.join(loading)}"
    ready = {version.model for version in versions if version.state is State.READY}
    missing = [model for model in engine.settings.required_models if model not in ready]
    return f"required models missing: {', '.join(missing)}" if missing else "loading"
