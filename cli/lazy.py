"""Commands that start without what only given options need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["MAY_BE_BARE", "LazyCommand", "LazyGroup"]

MAY_BE_BARE = frozenset({"--shared", "--write-pipeline", "--write-qg"})
"""Options that mean something without their value too, which Typer does not know of."""
_LONGEST_SENTENCE = 200
_BEFORE = frozenset({"-v", "-vv", "--verbose", "-q", "--quiet", "--debug"})
"""Options of the program, which people look for after its commands."""


class _LazyOptions:
    """Loads nothing for options that are not given, or are text: to turn text into values Typer loads Pydantic."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters.

        Parameters
        ----------
        ctx : click.Context
            Of the command.

        Returns
        -------
        list of click.Parameter
            Each passes on what is no work.
        """
        parameters = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if "process_value" not in vars(parameter):
                parameter.process_value = _passing_text(parameter)
                if parameter.param_type_name == "argument":
                    _show_plainly(parameter)
        return parameters

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return what a list of commands says of this one.

        Parameters
        ----------
        limit : int, optional
            How much room there is; more lines are taken instead of leaving something out.

        Returns
        -------
        str
            The first sentence of its help.
        """
        text: str = super().get_short_help_str(max(limit, _LONGEST_SENTENCE))  # type: ignore[misc]
        return text


def _show_plainly(argument: Any) -> None:
    """Show an argument by its name alone: of its type, as Typer names it, a user knows nothing."""
    name = argument.metavar or argument.name.upper()
    usage = name if argument.required or name.startswith("[") else f"[{name}]"
    argument.display_type_rich = argument.display_type = lambda *_, **__: None
    argument._usage_display_name = lambda: usage if argument.nargs == 1 or "…" in name else f"{usage}..."  # noqa: SLF001


def _passing_text(parameter: Any) -> Callable[[Any, Any], Any]:
    process = parameter.process_value
    is_repeated = parameter.nargs == -1 or getattr(parameter, "multiple", False)
    described = getattr(parameter, "type_descriptor", None)
    is_text = (
        described is not None
        and described.annotation == (list[str] if is_repeated else str)
        and described.parameter_info.parser is None
    )

    is_count = getattr(parameter, "count", False)

    def process_value(ctx: Any, value: Any) -> Any:
        if is_count and isinstance(value, int):
            return value
        is_absent = value is None and not parameter.required
        if not is_absent and not (is_text and value):
            return process(ctx, value)
        # So does Typer: nothing, or lists with nothing in them.
        plain = value if not is_repeated else () if is_absent else list(value)
        return parameter.callback(ctx, parameter, plain) if parameter.callback else plain

    return process_value


class LazyGroup(_LazyOptions, TyperGroup):
    """A group of commands with options of its own."""


class LazyCommand(_LazyOptions, TyperCommand):
    """A command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the command's name.

        Parameters
        ----------
        ctx : click.Context
            Of the command.
        args : list of str
            The words. An option of `MAY_BE_BARE` with nothing behind it, or another option, has the empty text.

        Returns
        -------
        list of str
            Words that are left.
        """
        behind = [*args[1:], "-"][: len(args)]
        bare = [
            f"{word}=" if word in MAY_BE_BARE and after.startswith("-") else word
            for word, after in zip(args, behind, strict=True)
        ]
        try:
            return super().parse_args(ctx, bare)
        except Exception as error:
            option = getattr(error, "option_name", "")
            if option in _BEFORE and not any(option in (*p.opts, *p.secondary_opts) for p in self.params):
                program, _, command = ctx.command_path.partition(" ")
                error.message += f". It stands before the command: {program} {option} {command}"  # type: ignore[attr-defined]
            raise
