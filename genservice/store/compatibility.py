"""Whether the plugins that are installed can load a version."""

from collections.abc import Mapping

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from genservice.errors import PluginError, suggestion
from genservice.plugin_host import Family
from genservice.store.manifest import Manifest


def check_compatible(manifest: Manifest, families: Mapping[str, Family]) -> Family:
    """Finds the family that loads a version.

    Args:
        manifest: What the version says of itself.
        families: The families that are installed, by name.

    Returns:
        The version's family.

    Raises:
        PluginError: No plugin has the family, another distribution than the version's has it, or the plugin is older
            than the one that made the version.
    """
    made_by = f"{manifest.plugin} {manifest.plugin_version}"
    family = families.get(manifest.family)
    if family is None:
        raise PluginError(
            f"No plugin has the family {manifest.family!r}; the version was made by {made_by}."
            f"{suggestion(manifest.family, families)}"
        )
    if canonicalize_name(family.plugin) != canonicalize_name(manifest.plugin):
        raise PluginError(
            f"The version was made by {made_by}, and here the family {family.name!r} comes from {family.plugin}."
        )
    if _version(family.plugin_version) < _version(manifest.plugin_version):
        here = f"{family.plugin} {family.plugin_version}"
        raise PluginError(f"The version was made by {made_by}, and {here} is installed, which is older.")
    return family


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise PluginError(f"{text!r} is not the version of a distribution.") from None
