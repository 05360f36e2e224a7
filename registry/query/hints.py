"""What to write instead: hints for what other languages have, by what stands around the place of an error."""

from __future__ import annotations

import re

__all__ = ["syntax_hint"]

_BEFORE = 14
_AFTER = 12

# What is written there comes first, what is missing there last.
_HINTS = (
    (r"=\s*=|<>|=<|=>|\^=|~", "Comparisons are = != < <= > >=."),
    (r"\bIS\b", "Write x = NULL or x != NULL."),
    (r"\bLIKE\b|\w\s+GLOB\b", "Write GLOB(x, 'pattern') with * and ?."),
    (r"\bBETWEEN\b", "Write x >= a AND x <= b, or x IN (a..b) for integers."),
    (r"\b(TRUE|FALSE)\b", "A truth value stands alone: x, or NOT x."),
    (r'["`]', "Strings have single quotes; names have none."),
    (r"&&|\|\|", "Write AND, OR."),
    (r"\\'|''", "A string cannot hold a quote: give it as a bind value, :name, or in a table of data IDs."),
    (r"\d\.\d+\.\.|\.\.\s*\d*\.\d", "Ranges are of integers."),
    (r"\.\.", "Write first..last or first..last:step, with integers."),
    (r"%\s*[sd(]|\$|\?|[{}]|:\s*(\d|$)|::", "Values are given beside the expression, under a name: :name."),
    (r"\*\*|//|\^|<<|>>", "Arithmetic is + - * / %."),
    (r"[\[\]]", "Lists stand in round brackets: IN (1, 2)."),
    (r"!(?!=)", "Write NOT, or !=."),
    (r";", "Write one expression, without a semicolon."),
    (r"#|/\*|--\s", "There are no comments; -- is two minus signs."),
    (
        r"\w\s+\.\s*\w|\w\.\s+\w|(\w\.){2}\w+\.\w",
        "A name has up to three parts and no spaces: visit.timespan.begin.",
    ),
    (r"\bIN\s*\(\s*\)|,\s*\)", "A list has at least one item, and no comma after the last."),
    (r"\bIN\s*(?![\s(]|$)", "IN takes a list in brackets: IN ('a', 'b')."),
    (r"\bNOT\s*\(['\d]", "Write NOT IN ('a', 'b'), or NOT before a condition."),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), hint) for pattern, hint in _HINTS)
_IN_LIST = re.compile(r"\bIN\s*\([^()]*$", re.IGNORECASE)
_QUALIFIED = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]")
_BY_CHARACTER = {
    ")": "There is no bracket to close, or something is missing before it.",
    "(": "An operator is missing before it, or the name of a function.",
    ",": "Commas stand in lists, in timespans and between the arguments of a function.",
}
_OPERATOR = re.compile(r"[-=<>!+*/%]|(AND|OR|IN|OVERLAPS)\b", re.IGNORECASE)
_WORD = re.compile(r"[\w:]")
_OPERAND = re.compile(r"[\w')]\s*\Z")


def syntax_hint(text: str, position: int, otherwise: str = "") -> str:
    """Return what to do about text that does not fit.

    Parameters
    ----------
    text : str
        The expression.
    position : int
        Offset of the first character that does not fit; that of the end if something is missing there.
    otherwise : str
        The hint where nothing around the place suggests one.

    Returns
    -------
    str
        One next step; empty where none suggests itself.
    """
    begin = max(0, position - _BEFORE)
    around = text[begin : position + _AFTER]
    if position < len(text) and _QUALIFIED.match(text, position) and _IN_LIST.search(text[:position][-200:]):
        return "Names in a list have one part; compare longer ones with = and OR."
    found = next((hint for pattern, hint in _COMPILED if pattern.search(around)), "")
    if not found and text[position : position + 1] in set("=<>") and _OPERAND.search(text[:position][-20:]):
        return "Comparisons do not chain: join them with AND."
    return found or otherwise or _by_place(text, position)


def _by_place(text: str, position: int) -> str:
    """Return a hint that goes by what begins at the place."""
    if position >= len(text.rstrip()):
        return "Close the bracket." if text.count("(") > text.count(")") else "Something has to follow."
    if text[position] == "'":
        alone = "'" not in text[position + 1 :]
        return (
            "A string stands between single quotes, on one line."
            if alone
            else "An operator or a comma is missing before it."
        )
    if text[position] in _BY_CHARACTER:
        return _BY_CHARACTER[text[position]]
    if _OPERATOR.match(text, position):
        return "Something is missing before it."
    return "Join conditions with AND or OR." if _WORD.match(text, position) else ""
