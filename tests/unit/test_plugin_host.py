"""Plugins are real: a module and its distribution's metadata in a folder on the path."""

import importlib
import subprocess
import sys
from importlib.metadata import Distribution, EntryPoint, version
from pathlib import Path
from textwrap import dedent

import pytest

from genservice.plugin_host import PluginHost, PluginReport

PREAMBLE = """
from pathlib import Path
import genservice

class Coin(genservice.Model):
    family = "coin"
    def load(self, directory): pass
"""

FAMILIES = """
@genservice.hookimpl
def genservice_register_families():
    return [Coin]
"""


class Site:
    """A folder of installed plugins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entry_points: list[EntryPoint] = []

    def module(self, name: str, code: str, preamble: str = PREAMBLE) -> str:
        (self.folder / f"{name}.py").write_text(preamble + dedent(code))
        importlib.invalidate_caches()
        return name

    def install(self, name: str, code: str, *, distribution_version: str = "1.2") -> None:
        module = self.module(f"plugin_{name}", code)
        info = self.folder / f"genservice_{name}-{distribution_version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: genservice-{name}\nVersion: {distribution_version}\n"
        )
        (info / "entry_points.txt").write_text(f"[genservice.plugins]\n{name} = {module}\n")
        self.entry_points += Distribution.at(info).entry_points

    def host(self) -> PluginHost:
        return PluginHost.discover(entry_points=self.entry_points, built_ins=())

    def report(self, name: str) -> PluginReport:
        return next(report for report in self.host().reports if report.name == name)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == tmp_path:
            del sys.modules[name]


def test_a_plugin_gives_families_stores_and_data_sources(site):
    site.install(
        "toss",
        FAMILIES
        + """
@genservice.hookimpl
def genservice_register_stores():
    return [Path(__file__).parent]

@genservice.hookimpl
def genservice_register_data_sources():
    return {"tosses": lambda cache: None}
""",
    )
    host = site.host()
    family = host.families["coin"]
    assert (family.name, family.plugin, family.plugin_version) == ("coin", "genservice-toss", "1.2")
    assert family.model.__name__ == "Coin"
    assert host.stores == [site.folder]
    assert list(host.data_sources) == ["tosses"]
    assert host.reports == [
        PluginReport("toss", "genservice-toss", "1.2", "plugin_toss", ("coin",), (site.folder,), ("tosses",), None)
    ]


def test_plugins_are_found_through_the_installed_entry_points(site):
    site.install("toss", FAMILIES)
    host = PluginHost.discover()
    assert host.families["coin"].plugin == "genservice-toss"


def test_a_hook_may_be_a_generator_or_have_another_name(site):
    site.install(
        "toss",
        """
@genservice.hookimpl(specname="genservice_register_families")
def my_families():
    yield Coin
""",
    )
    assert list(site.host().families) == ["coin"]


BROKEN = {
    "import error": ("import no_such_module", "importing it failed: ModuleNotFoundError: No module named"),
    "syntax error": ("def", "importing it failed: SyntaxError"),
    "exit at import": ("raise SystemExit(3)", "importing it failed: SystemExit: 3"),
    "base exception at import": ("raise BaseException('no')", "importing it failed: BaseException: no"),
    "mistyped hook": (
        "@genservice.hookimpl\ndef genservice_regster_families(): return [Coin]",
        "there is no hook 'genservice_regster_families' (Did you mean 'genservice_register_families'?).",
    ),
    "no decorator": ("def genservice_register_families(): return [Coin]", "lacks the decorator @hookimpl"),
    "no hook": ("", "it has none of the hooks genservice_register_families, genservice_register_stores"),
    "wrong arguments": (
        "@genservice.hookimpl\ndef genservice_register_families(directory): return [Coin]",
        "genservice_register_families(directory) Argument(s) {'directory'}",
    ),
    "hook raises": (
        "@genservice.hookimpl\ndef genservice_register_families(): raise OSError('disk\\nfull')",
        "its hook genservice_register_families raised: OSError: disk full",
    ),
    "hook exits": (
        "@genservice.hookimpl\ndef genservice_register_stores(): raise SystemExit(1)",
        "its hook genservice_register_stores raised: SystemExit: 1",
    ),
    "generator raises": (
        "@genservice.hookimpl\ndef genservice_register_families():\n    yield Coin\n    raise OSError('late')",
        "its hook genservice_register_families raised: OSError: late",
    ),
    "nothing returned": (
        "@genservice.hookimpl\ndef genservice_register_families(): [Coin]",
        "its hook genservice_register_families returned nothing",
    ),
    "a class and no list": (
        "@genservice.hookimpl\ndef genservice_register_families(): return Coin",
        "which is not of type Iterable",
    ),
    "a string and no list": (
        "@genservice.hookimpl\ndef genservice_register_stores(): return '/models'",
        "its hook genservice_register_stores returned '/models'",
    ),
    "sources as a list": (
        "@genservice.hookimpl\ndef genservice_register_data_sources(): return ['tosses']",
        "which is not of type Mapping",
    ),
    "no model": (
        "@genservice.hookimpl\ndef genservice_register_families(): return [int]",
        "<class 'int'>, which is not a subclass of genservice.Model",
    ),
    "an instance": (
        "@genservice.hookimpl\ndef genservice_register_families(): return [Coin({})]",
        "which is not a subclass of genservice.Model",
    ),
    "abstract class": (
        "class Half(genservice.Generator, genservice.Classifier): family = 'half'\n"
        "@genservice.hookimpl\ndef genservice_register_families(): return [Half]",
        "the family class Half lacks the methods load, logits, sample",
    ),
    "no family name": (
        "del Coin.family" + FAMILIES,
        "the `family` of the class Coin is None",
    ),
    "unsafe family name": (
        "Coin.family = '../coin'" + FAMILIES,
        "the `family` of the class Coin is '../coin', and must match",
    ),
    "missing store": (
        "@genservice.hookimpl\ndef genservice_register_stores(): return [Path('/no/such/folder')]",
        "the model store /no/such/folder is not a folder",
    ),
    "a class that cannot be shown": (
        "class Shy:\n    def __repr__(self): raise OSError('shy')\n"
        "@genservice.hookimpl\ndef genservice_register_families(): return [Shy()]",
        "a look at what it gave failed: OSError: shy",
    ),
    "store as a string": (
        "@genservice.hookimpl\ndef genservice_register_stores(): return ['/']",
        "genservice_register_stores gave '/', which is not a pathlib.Path",
    ),
    "source that is not callable": (
        "@genservice.hookimpl\ndef genservice_register_data_sources(): return {'tosses': 3}",
        "the data source 'tosses' is 3, which cannot be called",
    ),
    "source with an unsafe name": (
        "@genservice.hookimpl\ndef genservice_register_data_sources(): return {'To/sses': print}",
        "the name of a data source is 'To/sses'",
    ),
    "other genservice": (
        "requires_genservice = '>=99'" + FAMILIES,
        f"it needs genservice >=99, and this is {version('genservice')}",
    ),
    "no specifier": ("requires_genservice = 'new'" + FAMILIES, "its requires_genservice, 'new', is no version"),
    "specifier of another type": ("requires_genservice = 1" + FAMILIES, "its requires_genservice, 1, is no version"),
}


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_says_what_is_wrong_and_the_others_load(site, code, reason):
    site.install("aa", code)
    site.install("sound", FAMILIES)
    host = site.host()
    broken, sound = host.reports
    assert reason in broken.problem
    assert broken.problem.startswith("Plugin 'aa' (genservice-aa 1.2): ")
    assert "\n" not in broken.problem
    assert (broken.families, broken.stores, broken.data_sources) == ((), (), ())
    assert sound.problem is None
    assert host.families["coin"].plugin == "genservice-sound"


def test_the_exception_behind_a_problem_is_kept_for_the_log(site):
    site.install("aa", "1 / 0")
    assert isinstance(site.report("aa").error, ZeroDivisionError)


def test_an_interrupt_from_the_keyboard_is_never_swallowed(site):
    site.install("aa", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.host()


def test_a_bad_family_does_not_take_the_good_one_of_its_plugin_with_it(site):
    site.install("aa", "@genservice.hookimpl\ndef genservice_register_families(): return [int, Coin, str]")
    report = site.report("aa")
    assert report.families == ("coin",)
    assert "<class 'int'>" in report.problem
    assert "<class 'str'>" in report.problem


def test_of_two_plugins_with_one_family_the_first_by_name_keeps_it(site):
    site.install("zz", FAMILIES, distribution_version="3.0")
    site.install("aa", FAMILIES)
    host = site.host()
    first, second = host.reports
    assert host.families["coin"].plugin == "genservice-aa"
    assert first.problem is None
    assert second.families == ()
    assert second.problem == (
        "Plugin 'zz' (genservice-zz 3.0): the family 'coin' of Coin is refused:"
        " Coin of genservice-aa 1.2 has that name already."
    )


def test_of_two_plugins_with_one_data_source_the_first_by_name_keeps_it(site):
    source = "@genservice.hookimpl\ndef genservice_register_data_sources(): return {'tosses': print}"
    site.install("zz", source)
    site.install("aa", source)
    first, second = site.host().reports
    assert first.data_sources == ("tosses",)
    assert "'tosses' is refused: the plugin 'aa' has that name already" in second.problem


def test_a_data_source_given_twice_by_one_plugin_is_told(site):
    site.install(
        "aa",
        """
@genservice.hookimpl
def genservice_register_data_sources(): return {"tosses": print}

@genservice.hookimpl(specname="genservice_register_data_sources")
def again(): return {"tosses": print}
""",
    )
    report = site.report("aa")
    assert report.data_sources == ("tosses",)
    assert "the data source 'tosses' is refused: it has that name already" in report.problem


def test_a_requirement_that_is_met_lets_the_plugin_in(site):
    site.install("aa", "requires_genservice = '>=0.0.1'" + FAMILIES)
    assert site.report("aa").problem is None


def test_a_module_can_be_a_plugin_without_being_installed(site):
    site.module("coins", FAMILIES)
    host = PluginHost.discover(entry_points=(), extra_modules=["coins", "coins"], built_ins=())
    assert host.families["coin"].plugin == "coins"
    assert [(report.name, report.version) for report in host.reports] == [("coins", "0")]


def test_built_ins_come_first_and_those_that_do_not_exist_are_passed_over(site):
    site.install("aa", FAMILIES)
    site.module("own", FAMILIES)
    host = PluginHost.discover(entry_points=site.entry_points, built_ins=["genservice.no.such", "absent", "own"])
    assert [report.module for report in host.reports] == ["own", "plugin_aa"]
    assert host.families["coin"].plugin == "genservice"


def test_a_plugin_that_loads_tensorflow_is_told_and_still_works(site):
    site.module("tensorflow", "", preamble="")
    site.module("keras", "", preamble="")
    site.module("heavy", "import tensorflow, keras" + FAMILIES)
    script = (
        "from genservice.plugin_host import PluginHost\n"
        "host = PluginHost.discover(entry_points=(), extra_modules=['heavy'], built_ins=())\n"
        "print(host.reports[0].families, host.reports[0].problem)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(site.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == (
        "('coin',) Plugin 'heavy' (heavy 0): loading it imported keras and tensorflow;"
        " import networks inside `load` and `fit`, not at the top.\n"
    )


def test_importing_the_host_loads_no_tensorflow():
    script = "import sys, genservice.plugin_host; assert not {'tensorflow', 'keras', 'grpc'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_release_under_development_meets_the_requirement_of_its_number(site, monkeypatch):
    site.install("aa", "requires_genservice = '>=0.1'" + FAMILIES)
    monkeypatch.setattr("genservice.plugin_host.metadata.version", lambda distribution: "0.2.0.dev1")
    assert site.report("aa").problem is None
