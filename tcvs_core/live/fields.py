"""Reading the fields of an action that somebody else wrote; every error names the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from tcvs_core.errors import UsageError

T = TypeVar("T")

_MAX_COORDINATE = 1 << 20
_MAX_ITEMS = 10_000


class Fields:
    """The fields of one action."""

    def __init__(self, data: Mapping[str, Any], tag: str) -> None:
        """``tag`` is the field that says which action it is."""
        self._data = data
        self._what = f"{tag} {data.get(tag)!r}"

    def bad(self, name: str, problem: str, hint: str | None = None) -> UsageError:
        """Make the error for field ``name``."""
        return UsageError(
            f"in {self._what}: the field {name!r} {problem}",
            operation="input",
            subject=name,
            hint=hint,
        )

    def refuse_others(self, *names: str) -> None:
        """Raise UsageError for a field that is not one of ``names``."""
        for name in self._data:
            if name not in names:
                raise self.bad(name, "is not known", f"known are {', '.join(names)}")

    def _required(self, name: str) -> Any:
        value = self._data.get(name)
        if value is None:
            raise self.bad(name, "is missing")
        return value

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(name, f"must be a number, not {value!r}")
        if not math.isfinite(value) or not low <= value <= high:
            raise self.bad(name, f"must be within {low:g} and {high:g}, not {value!r}")
        return value

    def _integer(self, name: str, value: Any) -> int:
        return round(self._number(name, value, -_MAX_COORDINATE, _MAX_COORDINATE))

    def number(self, name: str, default: float | None, low: float, high: float) -> float:
        """Return a number within ``low`` and ``high``; required when ``default`` is None."""
        value = self._data.get(name, default)
        return self._number(name, self._required(name) if value is None else value, low, high)

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number, rounding; required when ``default`` is None."""
        value = self._data.get(name, default)
        return self._integer(name, self._required(name) if value is None else value)

    def optional_integer(self, name: str) -> int | None:
        """Return a whole number or None when it is not there."""
        return None if self._data.get(name) is None else self.integer(name)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; required when ``default`` is None."""
        value = self._data.get(name, default)
        if value is None:
            value = self._required(name)
        if not isinstance(value, str):
            raise self.bad(name, f"must be a text, not {value!r}")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text, None when it is not there or empty."""
        return self.text(name) or None if self._data.get(name) is not None else None

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, at least one."""
        value = self._required(name)
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self.bad(name, f"must be a list of texts, not {value!r}")
        if not 0 < len(value) <= _MAX_ITEMS:
            raise self.bad(name, "must not be empty")
        return list(value)

    def optional_texts(self, name: str) -> list[str]:
        """Return a list of texts, empty when it is not there."""
        return self.texts(name) if self._data.get(name) else []

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        """Return a list of ``count`` whole numbers."""
        value = self._required(name)
        if not isinstance(value, list | tuple) or len(value) != count:
            raise self.bad(name, f"must be a list of {count} numbers, not {value!r}")
        return tuple(self._integer(name, item) for item in value)

    def optional_integers(self, name: str, count: int) -> tuple[int, ...] | None:
        """Return a list of ``count`` whole numbers, None when it is not there."""
        return None if self._data.get(name) is None else self.integers(name, count)

    def points(self, name: str) -> list[tuple[int, int]]:
        """Return a list of points, each ``{"x": .., "y": ..}`` or ``[x, y]``."""
        value = self._required(name)
        if not isinstance(value, list | tuple) or not 2 <= len(value) <= _MAX_ITEMS:
            raise self.bad(name, "must be a list of at least two points")
        points = []
        for item in value:
            pair = (item.get("x"), item.get("y")) if isinstance(item, Mapping) else item
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise self.bad(name, f"must hold points, not {item!r}")
            points.append((self._integer(name, pair[0]), self._integer(name, pair[1])))
        return points

    def choice(self, name: str, choices: Mapping[str, T]) -> T:
        """Return what ``choices`` has for the text in ``name``."""
        text = self.text(name)
        if text not in choices:
            raise self.bad(name, f"must be one of {', '.join(choices)}, not {text!r}")
        return choices[text]
