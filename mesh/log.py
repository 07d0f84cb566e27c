"""Structured logs: one event a line on standard error.

An event has a constant name and key-values; never payloads, secrets or personal
data. `configure` is called once by each process, after it was forked. Until then
events go where the standard library sends them, and importing this module costs
nothing: structlog is loaded by `configure`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from mesh.settings import Settings
from mesh.telemetry import current_trace

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "***"
"""Stands in place of a secret."""

_SECRET = re.compile(
    r"passw|secret|token|authorization|cookie|credential|private_?key", re.IGNORECASE
)
_PLAIN = (str, int, float, bool, type(None))
_SPELLED = (date, timedelta, PurePath)
_ROOT: Final = "engine"
"""Parent of all loggers of ours in the standard library's tree."""


class Logger:
    """Writes events. `log.info("bus_lagging", topic=topic, behind=n)`."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{name}")

    def debug(self, event: str, /, **values: object) -> None:
        """What only a developer wants to know."""
        self._write(logging.DEBUG, event, values)

    def info(self, event: str, /, **values: object) -> None:
        """What is worth knowing and as it should be."""
        self._write(logging.INFO, event, values)

    def warning(self, event: str, /, **values: object) -> None:
        """What an operator should look at when he has time."""
        self._write(logging.WARNING, event, values)

    def error(self, event: str, /, **values: object) -> None:
        """What an operator should look at now; `exc_info=error` adds its traceback."""
        self._write(logging.ERROR, event, values)

    def exception(self, event: str, /, **values: object) -> None:
        """An error with the traceback of the exception being handled."""
        self._write(logging.ERROR, event, {"exc_info": True, **values})

    def _write(self, level: int, event: str, values: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            exc_info = values.pop("exc_info", None)
            self._logger.log(level, "%s", event, exc_info=exc_info, extra={"values": values})


def get_logger(name: str) -> Logger:
    """Answer the logger of a module; `name` is its `__name__`."""
    return Logger(name)


def configure(settings: Settings, service: str) -> None:
    """Send the events of this process to standard error, as the settings say.

    Ours from `settings.log_level` on, those of libraries from WARNING on, Python's
    warnings included. Calling it again replaces what it did before.
    """
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _StandardError)]:
        root.removeHandler(handler)
    root.addHandler(_StandardError(_formatter(settings.log_format, service)))
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(settings.log_level)
    logging.captureWarnings(capture=True)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide the values of keys that look secret, and whatever is not plain data.

    Messages and other objects are shown by the name of their type alone: they
    may hold what must not be logged.
    """
    exc_info = event.pop("exc_info", None)
    shown = {key: _shown(key, value) for key, value in event.items()}
    return shown if exc_info is None else {**shown, "exc_info": exc_info}


def _shown(key: str, value: Any) -> Any:
    if _SECRET.search(key) and value not in (None, ""):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(k): _shown(str(k), v) for k, v in value.items()}
    if isinstance(value, (list, tuple, AbstractSet)):
        return [_shown_item(item) for item in value]
    return _shown_plain(value)


def _shown_plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, _PLAIN):
        return value
    return str(value) if isinstance(value, _SPELLED) else type(value).__name__


def _shown_item(item: Any) -> Any:
    """An item of a sequence; metadata is a sequence of pairs, the first being the key."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        return [item[0], _shown(item[0], item[1])]
    return _shown("", item)


class _StandardError(logging.Handler):
    """Writes to what standard error is at the moment, a whole line at once."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - logging must not break what it tells about
            self.handleError(record)


def _formatter(log_format: str, service: str) -> logging.Formatter:
    from structlog import dev, processors, stdlib  # noqa: PLC0415 - see the module's docstring

    on_terminal = sys.stderr.isatty()
    rendering: tuple[Processor, ...]
    if log_format == "console" or (log_format == "auto" and on_terminal):
        # Not rich's tracebacks: they show local variables.
        tracebacks = dev.plain_traceback
        rendering = (
            dev.ConsoleRenderer(
                colors=on_terminal, timestamp_key="time", exception_formatter=tracebacks
            ),
        )
    else:
        rendering = (processors.format_exc_info, processors.JSONRenderer(ensure_ascii=False))
    remove_meta = stdlib.ProcessorFormatter.remove_processors_meta
    return stdlib.ProcessorFormatter(
        foreign_pre_chain=(_complete(service),), processors=(remove_meta, redact, *rendering)
    )


def _complete(service: str) -> Processor:
    """Adds to an event what every line carries."""

    def complete(_logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
        record: logging.LogRecord = event["_record"]
        always = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": level,
            "event": event["event"],
            "service": service,
            "logger": record.name.removeprefix(f"{_ROOT}."),
        }
        trace = current_trace()
        if trace is not None:
            always["trace_id"] = trace.trace_hex
        return {**always, **getattr(record, "values", {}), **event, **always}

    return complete
