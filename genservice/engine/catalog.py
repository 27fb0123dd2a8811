"""The versions that the engine knows, the states that they are in, and which of them answers a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from genservice.engine.batcher import Batcher
from genservice.engine.observer import Observer
from genservice.engine.verbs import verbs_of
from genservice.errors import ModelFailed, ModelNotReady, NotFound, suggestion
from genservice.model.base import Model
from genservice.plugin_host import Family
from genservice.store.manifest import Manifest, Serving
from genservice.store.names import ModelName

STABLE = "stable"
"""The label that answers a request which names neither version nor label, where it is set."""


class State(StrEnum):
    """State of a version."""

    LOADING = "LOADING"
    WARMING = "WARMING"
    READY = "READY"
    RECOVERING = "RECOVERING"  # its worker died, and another is being started; requests wait
    DRAINING = "DRAINING"
    UNLOADED = "UNLOADED"  # in the store, and not served
    FAILED = "FAILED"


ANSWERING = (State.READY, State.RECOVERING)
"""States in which requests are taken."""


@dataclass(slots=True, eq=False)
class Version:
    """One version, and what serves it.

    Args:
        model: Name of the model.
        number: Number of the version.
        state: Where it stands.
        wanted: Whether it is to be served.
        reason: Why it is FAILED.
        content_hash: SHA-256 of its content; empty where the files are damaged.
        manifest: Its `model.toml`; None where that is damaged.
        description: The model, made from the manifest's config and not loaded: what it offers.
        serving: How it is run, settings of the server included; None where the manifest is damaged.
        family: What makes its model; None where it is not installed.
        batcher: Its queue; only while it is served.
        numerics: Fingerprint of what the bits of its results depend on; empty until it was loaded.
        asked: Whether a request came for it before it was ready.
        answer_row_bytes: Bytes of one row of each verb's result.

    Attributes:
        name: Its resource name.
    """

    model: str
    number: int
    state: State = State.UNLOADED
    wanted: bool = False
    reason: str = ""
    content_hash: str = ""
    manifest: Manifest | None = None
    description: Model | None = None
    serving: Serving | None = None
    family: Family | None = None
    batcher: Batcher | None = None
    numerics: str = ""
    asked: bool = False
    answer_row_bytes: Mapping[str, int] = field(default_factory=dict)
    name: ModelName = field(init=False)

    def __post_init__(self) -> None:
        self.name = ModelName(self.model, version=self.number)

    @property
    def verbs(self) -> tuple[str, ...]:
        """The verbs that it has; none where the description could not be made."""
        return verbs_of(self.description) if self.description is not None else ()


@dataclass(eq=False)
class Catalog:
    """The versions by model and number, the labels, and who is told when one changes.

    Args:
        observer: Is told of states.
    """

    observer: Observer
    _versions: dict[str, dict[int, Version]] = field(default_factory=dict)
    _labels: dict[str, Mapping[str, int]] = field(default_factory=dict)
    _listeners: set[Callable[[str], None]] = field(default_factory=set)
    _answering: dict[ModelName, Version] = field(default_factory=dict)
    """Versions that were found to answer a name since something changed."""

    def models(self) -> list[str]:
        """Names of the models, sorted."""
        return sorted(self._versions)

    def versions(self, model: str) -> list[Version]:
        """The versions of a model, the newest first.

        Raises:
            NotFound: There is no such model.
        """
        if model not in self._versions:
            raise NotFound(f"There is no model {model!r}.{suggestion(model, self._versions)}", field="model")
        return [version for _, version in sorted(self._versions[model].items(), reverse=True)]

    def find(self, model: str, number: int) -> Version | None:
        """A version, if it is known."""
        return self._versions.get(model, {}).get(number)

    def add(self, version: Version) -> None:
        """Takes in a version, or replaces it."""
        self._versions.setdefault(version.model, {})[version.number] = version
        self._tell(version)

    def move(self, version: Version, state: State, reason: str = "") -> None:
        """Puts a version into another state."""
        version.state, version.reason = state, reason
        self._tell(version)

    def labels(self, model: str) -> Mapping[str, int]:
        """Version numbers by label."""
        return self._labels.get(model, {})

    def set_labels(self, model: str, labels: Mapping[str, int]) -> None:
        """Takes in the labels of a model as the store has them."""
        self._labels[model] = labels
        self.changed(model)

    def changed(self, model: str) -> None:
        """Tells the listeners that something about a model is different."""
        self._answering.clear()
        for listener in list(self._listeners):
            listener(model)

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Calls the listener with a model's name whenever it changes.

        Returns:
            Ends the listening.
        """
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def default(self, model: str) -> Version | None:
        """The version that answers where none is named; None where there is none.

        That is the one labelled `stable`, or, where that label is not set, the newest that is ready or recovers.
        """
        stable = self.labels(model).get(STABLE)
        candidates = self.versions(model) if stable is None else [self.find(model, stable)]
        return next((version for version in candidates if version and version.state in ANSWERING), None)

    def known(self, name: ModelName) -> list[Version]:
        """The versions that a name stands for: all of a model, or one.

        Raises:
            NotFound: There is no such model, version or label.
        """
        versions = self.versions(name.model)
        number = name.version
        if name.label is not None:
            labels = self.labels(name.model)
            if name.label not in labels:
                raise NotFound(
                    f"The model {name.model!r} has no label {name.label!r}.{suggestion(name.label, labels)}",
                    field="model",
                )
            number = labels[name.label]
        if number is None:
            return versions
        version = self.find(name.model, number)
        if version is None:
            numbers = ", ".join(str(known.number) for known in versions)
            raise NotFound(f"The model {name.model!r} has no version {number}. There are: {numbers}.", field="model")
        return [version]

    def ready(self, name: ModelName, content_hash: str = "") -> Version:
        """The version that answers a request.

        Args:
            name: The model, or one version of it.
            content_hash: What a stream that goes on is pinned to: it may end on a version that is being drained.

        Raises:
            NotFound: There is no such model, version or label.
            ModelNotReady: It is not served now.
            ModelFailed: It could not be loaded.
        """
        answering = self._answering.get(name)
        if answering is not None:
            return answering
        versions = self.known(name)
        if name.version is None and name.label is None:
            stable = self.find(name.model, self.labels(name.model).get(STABLE, 0))
            newest = [version for version in versions if version.state is not State.UNLOADED] or versions
            version = self.default(name.model) or stable or newest[0]
        else:
            version = versions[0]
        if version.state in ANSWERING:
            self._answering[name] = version
            return version
        if version.state is State.DRAINING and version.batcher is not None and content_hash == version.content_hash:
            return version
        if version.state is State.FAILED:
            raise ModelFailed(f"{version.name} could not be loaded: {version.reason}", field="model")
        soon = version.asked = version.wanted
        raise ModelNotReady(f"{version.name} is {version.state}.", field="model", retry_after_s=1.0 if soon else None)

    def _tell(self, version: Version) -> None:
        self.observer.state_changed(version.model, version.number, version.state, version.reason)
        self.changed(version.model)
