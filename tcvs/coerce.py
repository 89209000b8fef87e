"""Convert the words of a command line to the few types that tcvs's parameters have.

Typer converts through pydantic, whose import costs more time than everything else that a short
command does together.  tcvs's parameters are plain: ``str``, ``int``, ``float``, ``bool``,
``Literal`` and lists of those.  ``lighten`` gives such a parameter a ``process_value`` of its own;
every other one is left as Typer made it, except that nothing is loaded to convert no value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import typer

_NUMBER = {int: "a whole number", float: "a number"}


def lighten(param: Any) -> None:
    """Replace the conversion of a Typer parameter, once."""
    descriptor = getattr(param, "type_descriptor", None)
    if descriptor is None or "process_value" in vars(param):
        return
    convert = _converter(descriptor.annotation)
    full = param.process_value
    low, high = descriptor.parameter_info.min, descriptor.parameter_info.max

    def process(ctx: Any, value: Any) -> Any:
        many = param.multiple or param.nargs == -1
        if convert is None and (many or value is not None):
            return full(ctx, value)
        try:
            if many:
                value = tuple(convert(one) for one in value or ()) if convert else ()
            elif convert and value is not None:
                value = convert(value)
                _check_range(value, low, high)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None
        if param.required and param.value_is_missing(value):
            return full(ctx, None)  # raises Typer's own error for a missing value
        return param.callback(ctx, param, value) if param.callback else value

    param.process_value = process


def _check_range(value: Any, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        raise ValueError(f"{value} is less than {low}")
    if high is not None and value > high:
        raise ValueError(f"{value} is more than {high}")


def _converter(annotation: Any) -> Callable[[Any], Any] | None:
    if get_origin(annotation) is list:
        (inner,) = get_args(annotation)
        return _converter(inner)
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)

        def choose(value: Any) -> Any:
            if value not in choices:
                raise ValueError(f"{value!r} is none of {', '.join(map(str, choices))}")
            return value

        return choose
    if annotation in (str, bool):
        return annotation  # type: ignore[no-any-return]
    if annotation in _NUMBER:

        def number(value: Any) -> Any:
            try:
                return annotation(value)
            except ValueError:
                raise ValueError(f"{value!r} is not {_NUMBER[annotation]}") from None

        return number
    return None
