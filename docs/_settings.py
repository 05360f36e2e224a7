"""Write the tables of ``batch-config.md`` from the settings themselves: ``python docs/_settings.py [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stage.batch.config.catalogue import SECTIONS, Setting, catalogue
from stage.batch.config.making import packaged_defaults

PAGE = Path(__file__).with_name("batch-config.md")
BEGIN, END = "<!-- Made by docs/_settings.py; do not edit. -->\n", "<!-- Until here. -->\n"
_SHOWN = 60


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _default(setting: Setting, defaults: dict[str, Any]) -> str:
    """Return what a setting is if nobody says it."""
    places = [defaults.get(setting.section), defaults.get("payload"), defaults]
    own = (
        places[:1]
        if setting.section in {"finalJob", "executionButler", "cluster", "ordering"}
        else places[1:]
    )
    for place in own:
        if isinstance(place, dict) and setting.name in place and not isinstance(place[setting.name], dict):
            value = place[setting.name]
            text = str(value).lower() if isinstance(value, bool) else str(value)
            return f"`{text}`" if text and len(text) < _SHOWN else "see below" if text else ""
    return ""


def _row(setting: Setting, defaults: dict[str, Any]) -> str:
    kind = ", ".join(setting.choices) if setting.choices else setting.kind
    text = setting.meaning or f"*No effect:* {setting.unused}."
    return f"| `{setting.name}` | {_cell(kind)} | {_cell(_default(setting, defaults))} | {_cell(text)} |"


def tables() -> str:
    """Return the tables as the program as it is now would have them."""
    defaults = packaged_defaults()
    parts = []
    for section, heading in SECTIONS.items():
        rows = [_row(s, defaults) for s in catalogue() if s.section == section]
        parts.append(f"### {heading}\n\n| | | by default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    command = str(defaults["runQuantumCommand"])
    parts.append(f"`runQuantumCommand` is by default\n\n```text\n{command}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Write the tables, or with ``--check`` only tell whether they are up to date."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{before}{BEGIN}\n{tables()}\n{END}{after}"
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made, encoding="utf-8")
        return 0
    if text == made:
        return 0
    sys.stderr.write("docs/batch-config.md is stale: run python docs/_settings.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
