"""The names of a plugin: of its distribution, its module and its family."""

import keyword
import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Self

PREFIX = "genservice-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MOST_CHARACTERS = 50


@dataclass(frozen=True, slots=True)
class PluginName:
    """How a plugin is called.

    Args:
        distribution: What pip installs, and the folder's name, such as `genservice-moons`.
    """

    distribution: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the name of a new plugin.

        Args:
            text: What somebody has given.

        Raises:
            ValueError: It cannot name a distribution, a module and a family; the message says what would be right.
        """
        if _NAME.fullmatch(text) is None or len(text) > MOST_CHARACTERS:
            raise ValueError(
                f"{text[:80]!r} cannot name a plugin: a name has at most {MOST_CHARACTERS} of a-z, 0-9 and '-', begins "
                f"with a letter and has letters or digits around each '-'; such as {_proposal(text)!r}."
            )
        name = cls(text)
        if keyword.iskeyword(name.module) or keyword.issoftkeyword(name.module):
            raise ValueError(f"{text!r} is a keyword of Python: call it {PREFIX + text!r}, say.")
        if find_spec(name.module) is not None:
            raise ValueError(f"{text!r} is taken: Python has a module {name.module!r} here already.")
        return name

    @property
    def module(self) -> str:
        """The Python package."""
        return self.distribution.replace("-", "_")

    @property
    def family(self) -> str:
        """The family of models, such as `moons`."""
        return self.distribution.removeprefix(PREFIX)


def _proposal(text: str) -> str:
    words = re.findall(r"[a-z0-9]+", text.lower())
    name = "-".join(words)[: MOST_CHARACTERS - len(PREFIX)].strip("-") or "mine"
    return name if name.startswith(PREFIX) else PREFIX + name
