"""Check the docstrings of every public object with numpydoc's validation: ``python -m tests.lint_docstrings``.

The objects are imported rather than parsed, so that dataclasses and properties are seen as what they are.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from numpydoc.validate import validate
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("registry", "sync", "stage", "cli")


def modules() -> Iterator[ModuleType]:
    """Import every module of the four packages, migrations and entry scripts left out."""
    for package in PACKAGES:
        top = importlib.import_module(package)
        for info in pkgutil.walk_packages(top.__path__, package + "."):
            if ".migrations." not in info.name and not info.name.endswith("__main__"):
                yield importlib.import_module(info.name)


def public_names(module: ModuleType) -> Iterator[str]:
    """Name each public class, function, method and property that the module defines."""
    for name, member in vars(module).items():
        if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(member):
            yield f"{module.__name__}.{name}"
        elif inspect.isclass(member):
            # The interpreter gives a protocol or an enumeration a constructor of its own, with nothing to document.
            if not getattr(member, "_is_protocol", False) and not issubclass(member, Enum):
                yield f"{module.__name__}.{name}"
            yield from (f"{module.__name__}.{name}.{n}" for n in _own_methods(member))


def _own_methods(cls: type) -> Iterator[str]:
    for name, member in vars(cls).items():
        plain: Any = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)):
            yield name


def has_no_constructor_of_its_own(module: ModuleType, name: str) -> bool:
    """Say whether a class inherits its constructor, or has its fields described one by one (pydantic)."""
    member = getattr(module, name.removeprefix(module.__name__ + "."), None)
    if not inspect.isclass(member):
        return False
    return issubclass(member, BaseModel) or not {"__init__", "__new__"} & set(vars(member))


def main() -> int:
    """Print each finding; return 1 if there is any."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["numpydoc_validation"]
    wanted = set(settings["checks"])
    findings = [
        f"{found['file']}:{found['file_line']}: {name}: {code} {text}"
        for module in modules()
        for name in public_names(module)
        for found in [validate(name)]
        for code, text in found["errors"]
        if code in wanted and not (code.startswith("PR") and has_no_constructor_of_its_own(module, name))
    ]
    print("\n".join(findings) or "docstrings: no findings")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
