"""A check: a name, and what finds its problems."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploy.checks.manifests import Manifests

Found = Iterator[tuple[str, str]]
"""What is wrong: the object, such as `Deployment/genservice`, and what about it."""

Look = Callable[[Manifests], Found]

CHECKS: dict[str, Look] = {}
"""All checks, by name."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that is wrong.

    Args:
        check: Name of the check that found it.
        about: The object.
        message: What is wrong with it.
    """

    check: str
    about: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.about}: {self.message}"


def check(name: str) -> Callable[[Look], Look]:
    """Makes a function a check."""

    def register(look: Look) -> Look:
        CHECKS[name] = look
        return look

    return register


def problems(manifests: Manifests) -> list[Problem]:
    """Everything that is wrong with manifests.

    Args:
        manifests: All objects that are applied together.
    """
    return [
        Problem(name, about, message) for name, look in sorted(CHECKS.items()) for about, message in look(manifests)
    ]
