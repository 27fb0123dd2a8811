"""The log: one line an event on the standard error stream, as JSON or for people."""

import logging
import sys
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

Format = Literal["console", "json"]
Level = Literal["debug", "info", "warning", "error"]

# Local variables hold what clients sent.
_TRACEBACK = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logs(form: Format = "console", level: Level = "info", *, stream: TextIO | None = None) -> None:
    """Sets up structlog, and brings the lines of libraries that use `logging` into the same form.

    Args:
        form: `json` for machines, `console` for people.
        level: The least important lines that are written.
        stream: Where to; the standard error stream where absent.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = (
        [structlog.processors.ExceptionRenderer(_TRACEBACK), structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.INFO))


def logger(name: str) -> Any:
    """A logger whose lines say where they come from.

    Args:
        name: Such as `genservice.rpc`.
    """
    return structlog.get_logger(component=name)
