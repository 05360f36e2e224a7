"""The tables of the parser, made beforehand: to make them of the grammar takes longer than most questions.

    python -m registry.query.grammar_tables

writes them again, and has to after every change of the grammar. Where they are of another grammar, or of another
version of lark, they are not used.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.model.digest import digest_bytes

if TYPE_CHECKING:
    from lark import Lark, Transformer

__all__ = ["TABLES", "load", "make", "render"]

TABLES = "grammar.json"
"""Name of the file beside the grammar."""

_OPTIONS: dict[str, Any] = {"parser": "lalr", "lexer": "basic", "maybe_placeholders": True}


def _read(name: str) -> str:
    return resources.files("registry.query").joinpath(name).read_text(encoding="utf-8")


def _made_of() -> dict[str, str]:
    """Return what tables depend on."""
    import lark

    return {"lark": lark.__version__, "grammar": digest_bytes(_read("grammar.lark").encode())}


def load(builder: Transformer[Any, Any]) -> Lark | None:
    """Make a parser of the tables.

    Parameters
    ----------
    builder : lark.Transformer
        Makes the nodes.

    Returns
    -------
    lark.Lark or None
        None where there are none that fit.
    """
    from lark import Lark

    try:
        found = json.loads(_read(TABLES), object_pairs_hook=_numbered)
    except (OSError, ValueError):
        return None
    if found["of"] != _made_of():
        return None
    made: Any = Lark
    parser: Lark = made._load_from_dict(  # noqa: SLF001 - as parsers do that lark itself generates
        found["data"], found["memo"], transformer=builder
    )
    return parser


def _numbered(pairs: list[tuple[str, Any]]) -> dict[str | int, Any]:
    """Turn the keys that JSON made text of into numbers again."""
    return {int(key) if key.isdecimal() else key: value for key, value in pairs}


def make(builder: Transformer[Any, Any] | None = None) -> Lark:
    """Make a parser of the grammar.

    Parameters
    ----------
    builder : lark.Transformer, optional
        Makes the nodes.

    Returns
    -------
    lark.Lark
        Slow to make, and as quick to use.
    """
    from lark import Lark

    return Lark(_read("grammar.lark"), transformer=builder, **_OPTIONS)


def render() -> str:
    """Return what the file of tables has to hold.

    Returns
    -------
    str
        JSON.
    """
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = make().memo_serialize([TerminalDef, Rule])
    return json.dumps({"of": _made_of(), "data": data, "memo": memo}, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(TABLES).write_text(render(), encoding="utf-8")
