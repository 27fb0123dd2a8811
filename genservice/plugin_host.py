"""Finds plugins and isolates the broken ones: what one does wrong is told in its report, and the others still load."""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, TypeVar

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from genservice.errors import PluginError, suggestion
from genservice.model import hookspecs
from genservice.model.base import Model
from genservice.model.fit import DataSet

GROUP = "genservice.plugins"
BUILT_INS = ("genservice.training.data",)
"""Modules of genservice itself that are plugins; one that is not installed is passed over."""

Taken = TypeVar("Taken")
DataSource = Callable[[Path], DataSet]

_FAMILIES, _STORES, _DATA_SOURCES = HOOKS = (
    "genservice_register_families",
    "genservice_register_stores",
    "genservice_register_data_sources",
)
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MARK = f"{hookspecs.PROJECT}_impl"  # what pluggy's HookimplMarker sets on a function
_HEAVY = frozenset({"tensorflow", "keras"})


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models and where it comes from.

    Args:
        name: Name of the family.
        model: The class that builds its models.
        plugin: Distribution that provides it, such as `genservice-gan`.
        plugin_version: Version of the distribution.
    """

    name: str
    model: type[Model]
    plugin: str
    plugin_version: str


@dataclass(frozen=True, slots=True)
class PluginReport:
    """What became of one plugin.

    Args:
        name: Name of its entry point; for a module that was named directly, the module's name.
        distribution: Distribution that provides it; the module's name where there is none.
        version: Version of the distribution; `0` where there is none.
        module: Module that has the hooks.
        families: Names of the families that it gave and that were taken.
        stores: Folders of models that it gave and that were taken.
        data_sources: Names of the data sources that it gave and that were taken.
        problem: What is wrong with it, on one line; None where nothing is.
        error: The exception behind the problem, for the log.
    """

    name: str
    distribution: str
    version: str
    module: str
    families: tuple[str, ...] = ()
    stores: tuple[Path, ...] = ()
    data_sources: tuple[str, ...] = ()
    problem: str | None = None
    error: BaseException | None = field(default=None, repr=False, compare=False)


class PluginHost:
    """The plugins of this process.

    Attributes:
        families: Families by name.
        stores: Folders of models that ship with plugins.
        data_sources: Functions that fetch a data set into a cache folder and return it, by name.
        reports: One for each plugin, the broken ones too, in the order of loading.
    """

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}
        self.stores: list[Path] = []
        self.data_sources: dict[str, DataSource] = {}
        self.reports: list[PluginReport] = []

    @classmethod
    def discover(
        cls,
        *,
        extra_modules: Iterable[str] = (),
        built_ins: Iterable[str] = BUILT_INS,
        entry_points: Iterable[metadata.EntryPoint] | None = None,
    ) -> Self:
        """Loads the built-ins, then all other plugins by name, so that who keeps a name given twice never varies.

        Args:
            extra_modules: Names of modules that are plugins without being installed as such.
            built_ins: Names of modules of genservice that are plugins; those that do not exist are passed over.
            entry_points: Where plugins are; those installed in the group `genservice.plugins` where absent.

        Returns:
            A host that has what works; `reports` says what does not.
        """
        installed = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        named = [_of_module(module, module, "0") for module in extra_modules]
        others = sorted([*map(_of_entry_point, installed), *named], key=lambda plugin: plugin[0].name)
        here = metadata.version("genservice")
        own = [_of_module(module, "genservice", here) for module in built_ins if _exists(module)]
        host = cls()
        for blank, load in [*own, *others]:
            if all(blank.module != report.module for report in host.reports):
                host.reports.append(host._load(blank, load))
        return host

    def _load(self, blank: PluginReport, load: Callable[[], object]) -> PluginReport:
        light = _HEAVY - sys.modules.keys()
        problems: list[str] = []
        try:
            families, stores, sources = _gifts(blank.name, load)
        except PluginError as refusal:
            problems.append(refusal.message)
            report = replace(blank, error=refusal.__cause__)
        else:
            report = replace(
                blank,
                families=_each(lambda model: self._take_family(model, blank), families, problems),
                stores=_each(self._take_store, stores, problems),
                data_sources=_each(self._take_data_source, sources, problems),
            )
        if loaded := sorted(light & sys.modules.keys()):
            heavy = " and ".join(loaded)
            problems.append(f"loading it imported {heavy}; import networks inside `load` and `fit`, not at the top")
        if not problems:
            return report
        whose = f"Plugin {blank.name!r} ({blank.distribution} {blank.version})"
        return replace(report, problem=f"{whose}: {'; '.join(problems)}.")

    def _take_family(self, model: object, giver: PluginReport) -> str:
        if not (inspect.isclass(model) and issubclass(model, Model)):
            raise PluginError(f"{_FAMILIES} gave {model!r:.80}, which is not a subclass of genservice.Model")
        if missing := sorted(getattr(model, "__abstractmethods__", ())):
            raise PluginError(f"the family class {model.__name__} lacks the methods {', '.join(missing)}")
        name = _safe(getattr(model, "family", None), f"the `family` of the class {model.__name__}")
        if name in self.families:
            owner = self.families[name]
            whose = f"{owner.model.__name__} of {owner.plugin} {owner.plugin_version}"
            raise PluginError(f"the family {name!r} of {model.__name__} is refused: {whose} has that name already")
        self.families[name] = Family(name, model, giver.distribution, giver.version)
        return name

    def _take_store(self, folder: object) -> Path:
        if not isinstance(folder, Path):
            raise PluginError(f"{_STORES} gave {folder!r:.80}, which is not a pathlib.Path")
        if not folder.is_dir():
            raise PluginError(f"the model store {folder} is not a folder")
        self.stores.append(folder)
        return folder

    def _take_data_source(self, named: tuple[object, Any]) -> str:
        name, source = _safe(named[0], "the name of a data source"), named[1]
        if not callable(source):
            raise PluginError(f"the data source {name!r} is {source!r:.80}, which cannot be called")
        if name in self.data_sources:
            owners = [f"the plugin {report.name!r}" for report in self.reports if name in report.data_sources]
            raise PluginError(f"the data source {name!r} is refused: {[*owners, 'it'][0]} has that name already")
        self.data_sources[name] = source
        return name


def _of_entry_point(point: metadata.EntryPoint) -> tuple[PluginReport, Callable[[], object]]:
    distribution, version = (point.dist.name, point.dist.version) if point.dist else (point.module, "0")
    return PluginReport(point.name, distribution, version, point.value), point.load


def _of_module(module: str, distribution: str, version: str) -> tuple[PluginReport, Callable[[], object]]:
    return PluginReport(module, distribution, version, module), lambda: import_module(module)


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _gifts(name: str, load: Callable[[], object]) -> tuple[list[Any], list[Any], list[tuple[Any, Any]]]:
    """What a plugin's hooks give: families, stores and data sources, before a look at each piece."""
    # A manager for each plugin: what one registers can neither break nor wrap another's hooks.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    with _blamed("importing it failed"):
        plugin = load()
    _check_requirement(getattr(plugin, "requires_genservice", ""))
    with _blamed("a hook is not as it is specified"):
        manager.register(plugin, name)
    _check_hook_names(manager, plugin)
    return (
        _pieces(manager, _FAMILIES, Iterable),
        _pieces(manager, _STORES, Iterable),
        _pieces(manager, _DATA_SOURCES, Mapping),
    )


def _pieces(manager: pluggy.PluginManager, hook: str, kind: type[Any]) -> list[Any]:
    caller = getattr(manager.hook, hook)
    with _blamed(f"its hook {hook} raised"):
        answers = caller()
    # pluggy leaves out a hook that returned None.
    if len(answers) < len(caller.get_hookimpls()):
        raise PluginError(f"its hook {hook} returned nothing")
    for answer in answers:
        if isinstance(answer, str) or not isinstance(answer, kind):
            raise PluginError(f"its hook {hook} returned {answer!r:.80}, which is not of type {kind.__name__}")
    # A hook may be a generator function, whose faults show as it is read.
    with _blamed(f"its hook {hook} raised"):
        return [piece for answer in answers for piece in (answer.items() if kind is Mapping else answer)]


def _check_requirement(requirement: Any) -> None:
    here = metadata.version("genservice")
    try:
        met = SpecifierSet(requirement).contains(here, prereleases=True)
    except (InvalidSpecifier, TypeError, AttributeError):
        raise PluginError(f"its requires_genservice, {requirement!r:.80}, is no version specifier") from None
    if not met:
        raise PluginError(f"it needs genservice {requirement}, and this is {here}")


def _check_hook_names(manager: pluggy.PluginManager, plugin: object) -> None:
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if not caller.has_spec():
            raise PluginError(f"there is no hook {caller.name!r} ({suggestion(caller.name, HOOKS).strip()})")
    for name, value in getattr(plugin, "__dict__", {}).items():
        if name.startswith("genservice_register_") and inspect.isfunction(value) and not hasattr(value, _MARK):
            raise PluginError(f"its function {name} lacks the decorator @hookimpl, so it would never be called")
    if not callers:
        raise PluginError(f"it has none of the hooks {', '.join(HOOKS)}")


def _safe(name: object, what: str) -> str:
    if isinstance(name, str) and _SAFE_NAME.fullmatch(name):
        return name
    raise PluginError(f"{what} is {name!r:.80}, and must match {_SAFE_NAME.pattern}")


def _each(take: Callable[[Any], Taken], pieces: Iterable[Any], problems: list[str]) -> tuple[Taken, ...]:
    """Takes what can be taken; why the rest cannot goes to `problems`."""
    taken = []
    for piece in pieces:
        try:
            taken.append(take(piece))
        except PluginError as refusal:
            problems.append(refusal.message)
        except Exception as error:  # noqa: BLE001 - a metaclass or a __repr__ of the plugin may raise anything
            problems.append(f"a look at what it gave failed: {type(error).__name__}: {error}")
    return tuple(taken)


@contextmanager
def _blamed(deed: str) -> Iterator[None]:
    """Turns whatever a plugin's code raises, SystemExit included, into a PluginError."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{deed}: {type(error).__name__}: {' '.join(str(error).split())}") from error
