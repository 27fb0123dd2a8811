"""`model.toml`: what a version is, and the hash and size of each of its files."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT = 1
"""Format of `model.toml` that this release reads and writes."""


class _Frozen(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Frozen):
    """A file of the version."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of its bytes, in hexadecimal."""
    size_bytes: int = Field(ge=0)
    """Its size."""


class Serving(_Frozen):
    """How the engine runs a version. Settings of the server may change each of them."""

    max_batch_rows: Annotated[int, Ge(1)] = 256
    """Most rows in one call of the model."""
    batch_sizes: tuple[Annotated[int, Ge(1)], ...] = ()
    """Sizes that batches are padded to, ascending, the last of them `max_batch_rows`. Empty: powers of two."""
    max_queue_delay_ms: Annotated[float, Ge(0)] = 0
    """How long a free worker waits for a batch to fill. 0: it takes what is there."""
    max_queue_rows: Annotated[int, Gt(0)] = 16384
    """Most rows admitted and not yet computed; more are refused."""
    jit_compile: bool = False
    """Whether XLA compiles the model."""
    joining: Literal["ANY_STEP", "WHOLE_BATCH", "SHRINKING_BATCH"] = "ANY_STEP"
    """When rows of an iterative model may join those that are being drawn. The others are there to be measured against:
    when all have left, with slots that fall free computed on or not."""

    @model_validator(mode="after")
    def _sizes_ascend_to_the_most(self) -> "Serving":
        sizes = self.sizes
        if list(sizes) != sorted(set(sizes)) or sizes[-1] != self.max_batch_rows:
            raise ValueError("batch_sizes ascend without repetition, and the last of them is max_batch_rows")
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes in effect: those given, or powers of two up to `max_batch_rows`."""
        return self.batch_sizes or _powers_up_to(self.max_batch_rows)


class Card(_Frozen):
    """The model card: what people should know before they use the model."""

    summary: str = ""
    """What it is, in a sentence or two."""
    data: str = ""
    """What it was trained on, and by whom the data was made."""
    licence: str = ""
    """SPDX name of the licence of the data and of the weights."""
    trained_by: str = ""
    """The command that made the weights."""
    measured_by: str = ""
    """The command that measured the figures."""
    metrics: Mapping[str, float | int | str] = Field(default_factory=dict)
    """The figures, by name."""
    limits: str = ""
    """What it cannot do, and what limits its quality."""

    def markdown(self) -> str:
        """The card as Markdown."""
        titles = {
            "Data": self.data,
            "Licence": self.licence,
            "Trained by": self.trained_by and f"`{self.trained_by}`",
            "Measured by": self.measured_by and f"`{self.measured_by}`",
            "Limits": self.limits,
        }
        parts = [self.summary, *(f"**{title}.** {text}" for title, text in titles.items() if text)]
        if self.metrics:
            rows = "\n".join(f"| {name} | {value} |" for name, value in self.metrics.items())
            parts.append(f"| figure | value |\n| --- | --- |\n{rows}")
        return "\n\n".join(part for part in parts if part)


class Manifest(_Frozen):
    """The content of `model.toml`."""

    format: int = Field(default=FORMAT, ge=1)
    """Format of this file."""
    family: str
    """Family that builds the model."""
    plugin: str
    """Distribution that provides the family, such as `genservice-gan`."""
    plugin_version: str
    """Version of the distribution that made the files; an older one does not load them."""
    config: Mapping[str, Any] = Field(default_factory=dict)
    """What the family needs to build the model."""
    serving: Serving = Field(default_factory=Serving)
    """How the engine runs it."""
    card: Card = Field(default_factory=Card)
    """What people should know."""
    files: Mapping[str, FileEntry] = Field(default_factory=dict)
    """Every other file of the version, by its path inside the version's folder, with `/`."""


@lru_cache(maxsize=256)
def _powers_up_to(most: int) -> tuple[int, ...]:
    """The powers of two below a number, and the number."""
    return tuple(sorted({*(1 << exponent for exponent in range(most.bit_length())), most}))
