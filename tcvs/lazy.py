"""From plain functions to Typer commands, made when they are needed and not before.

A module below ``tcvs.commands`` offers

* ``COMMAND``: a function whose first parameter is the ``Context`` and whose others carry Typer
  annotations; or, for a group, a dict of such functions by name;
* ``EXAMPLES``: lines shown at the end of its help; for a group a dict, by name;
* ``SETTINGS`` (optional): context settings for Typer.

``--json``, ``--quiet`` and ``--repo`` are added to every command here, so that they may stand
before the verb or behind it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from tcvs.coerce import lighten
from tcvs.context import Context, Options
from tcvs.render.help import Formatter, tidy, write_examples, write_panels
from tcvs.verbs import BY_NAME, PANELS, VERBS
from tcvs_core.errors import EXIT_USAGE, UsageError

Repo = Annotated[str | None, typer.Option(metavar="PATH", help="The repository to use.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and asked-for data only.")]


class UnknownVerb(UsageError):
    """The first word names no verb."""

    code = "unknown-verb"


class _Page(typer.Context):
    formatter_class = Formatter


class _Ours:
    """What our commands and groups share: light conversion and our help page."""

    context_class: Any = _Page
    epilog: str | None

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, the --help that Typer adds late included."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            lighten(param)
            tidy(param)
        return params

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the examples as they are, unwrapped."""
        write_examples(formatter, self.epilog)


class VerbCommand(_Ours, TyperCommand):
    """A command."""


class VerbGroup(_Ours, TyperGroup):
    """A group, with a suggestion for a misspelt verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options before the verb; without any word show the help, as an error."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(EXIT_USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or raise a usage error that names the nearest ones."""
        if args[0] == "help":
            args = [*args[1:], "--help"]
            if args == ["--help"]:
                typer.echo(ctx.get_help())
                raise typer.Exit
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            raise _unknown(args[0], self.list_commands(ctx), ctx.command_path)
        return args[0], command, args[1:]


class RootGroup(VerbGroup):
    """The table of verbs as a group: imports a command's module when that command is asked for."""

    def list_commands(self, _ctx: Any) -> list[str]:
        """Return the names to show and to complete."""
        return [verb.name for verb in VERBS if not verb.hidden]

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """Import and build one command, or return None."""
        if cmd_name not in BY_NAME:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = load(cmd_name)
        return self.commands[cmd_name]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs by panel, from the table alone, and then the options."""
        write_panels(formatter, VERBS, PANELS)
        TyperCommand.format_options(cast(Any, self), ctx, formatter)


def _unknown(name: str, known: list[str], path: str) -> UnknownVerb:
    near = get_close_matches(name, known, n=2, cutoff=0.5)
    choices = " or ".join(f"`{path} {one}`" for one in near)
    hint = f"did you mean {choices}?" if near else f"`{path} --help` lists them"
    return UnknownVerb(f"there is no verb `{path} {name}`", subject=name, hint=hint)


def load(name: str) -> Any:
    """Import the module of the verb ``name`` and return its Typer command."""
    verb = BY_NAME[name]
    module = importlib.import_module(f"tcvs.commands.{verb.module}")
    settings: dict[str, Any] = getattr(module, "SETTINGS", {})
    examples = module.EXAMPLES
    if not isinstance(module.COMMAND, dict):
        app = _app()
        _add(app, name, module.COMMAND, examples.replace("tcvs checkout", f"tcvs {name}"), settings)
        return typer.main.get_command(app)
    app = _app(cls=VerbGroup, help=module.__doc__, subcommand_metavar="VERB ...")
    app.callback()(lambda: None)
    for sub, function in module.COMMAND.items():
        _add(app, sub, function, examples.get(sub, ""), settings)
    group = typer.main.get_command(app)
    group.name = name
    return group


def _app(**kwargs: Any) -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None, **kwargs)


def _add(
    app: typer.Typer,
    name: str,
    function: Callable[..., Any],
    examples: str,
    settings: dict[str, Any],
) -> None:
    bound = bind(function)
    app.command(name, cls=VerbCommand, epilog=examples, context_settings=settings)(bound)


def bind(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` without its Context parameter and with the global options."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("typer_context", keyword, annotation=typer.Context),
        inspect.Parameter("json_output", keyword, annotation=Json, default=False),
        inspect.Parameter("quiet", keyword, annotation=Quiet, default=False),
        inspect.Parameter("repo", keyword, annotation=Repo, default=None),
    ]

    @functools.wraps(function)
    def call(**values: Any) -> Any:
        options: Options = values.pop("typer_context").obj or Options()
        options = options.joined(
            repo=values.pop("repo"), json=values.pop("json_output"), quiet=values.pop("quiet")
        )
        return function(Context(options), **values)

    parameters = [one.replace(kind=keyword) for one in own] + shared
    del call.__wrapped__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call
