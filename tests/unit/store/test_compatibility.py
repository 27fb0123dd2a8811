import pytest

from genservice import Model
from genservice.errors import PluginError
from genservice.plugin_host import Family
from genservice.store.compatibility import check_compatible


@pytest.fixture
def families():
    return {"coin": Family("coin", Model, "genservice-coin", "1.10")}


@pytest.mark.parametrize("made_by", ["1.10", "1.9", "0.1", "1.10rc1"])
def test_a_version_of_the_same_or_an_older_plugin_is_loaded(families, make_manifest, made_by):
    assert check_compatible(make_manifest(plugin_version=made_by), families) is families["coin"]


@pytest.mark.parametrize("made_by", ["1.11", "2.0", "1.10.post1"])
def test_a_version_of_a_newer_plugin_is_refused(families, make_manifest, made_by):
    with pytest.raises(
        PluginError, match=f"made by genservice-coin {made_by}, and genservice-coin 1.10 is installed, which is older"
    ):
        check_compatible(make_manifest(plugin_version=made_by), families)


def test_an_unknown_family_is_told_with_its_distribution_and_the_nearest(families, make_manifest):
    manifest = make_manifest(family="coins", plugin="genservice-bank")
    with pytest.raises(PluginError, match=r"family 'coins'.* made by genservice-bank 1\.0\. Did you mean 'coin'\?"):
        check_compatible(manifest, families)


def test_the_family_of_another_distribution_is_refused(families, make_manifest):
    with pytest.raises(PluginError, match=r"made by genservice-bank 1\.0, and here .* comes from genservice-coin"):
        check_compatible(make_manifest(plugin="genservice-bank"), families)


def test_a_distribution_may_be_spelled_in_any_way_that_pip_takes(families, make_manifest):
    assert check_compatible(make_manifest(plugin="Genservice_Coin"), families)


def test_a_version_that_is_none_is_refused(families, make_manifest):
    with pytest.raises(PluginError, match="'new' is not the version of a distribution"):
        check_compatible(make_manifest(plugin_version="new"), families)
