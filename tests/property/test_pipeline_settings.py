"""Settings and pipeline files: laws of changes, and no input that ends in anything but an error of ours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import StageError
from stage.pipeline.config import Config, Field
from stage.pipeline.contracts import check_contracts
from stage.pipeline.definition import Contract
from stage.pipeline.overrides import nested, parse_value, python_overrides, read_yaml
from stage.pipeline.pipeline import Pipeline


class Leaf(Config):
    x: int = 0
    y: float = 0.5


class Tree(Config):
    n: int = 1
    left: Leaf = Leaf(x=5)
    right: Leaf = Leaf()
    words: tuple[str, ...] = ()
    table: dict[str, int] = Field({"a": 1})


leaves = st.fixed_dictionaries({}, optional={"x": st.integers(-9, 9), "y": st.floats(-9, 9)})
trees = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(),
        "left": leaves,
        "right": leaves,
        "words": st.lists(st.text(), max_size=3),
        "table": st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
    },
)


def dotted(change: Mapping[str, Any]) -> dict[str, Any]:
    """Write the settings of nested configs with dots."""
    out: dict[str, Any] = {}
    for name, value in change.items():
        out |= {f"{name}.{k}": v for k, v in value.items()} if name in {"left", "right"} else {name: value}
    return out


@given(trees, trees)
def test_changes_compose(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Two changes at once are the one after the other, and dots are the same as nesting."""
    at_once = Tree.from_changes(first, second)

    assert at_once == Tree.from_changes(first).override(second)
    assert at_once == Tree().override(dotted(first), dotted(second))
    assert at_once == Tree.from_document(Tree.merged(first, second, onto=Tree().to_document()))


@given(trees, trees)
def test_equality_digest_and_diff_agree(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Configs are equal exactly if digests are and diff is empty."""
    a, b = Tree.from_changes(first), Tree.from_changes(second)

    assert (a == b) == (a.digest() == b.digest()) == (not a.diff(b))


@given(trees)
def test_a_document_survives_yaml(change: dict[str, Any]) -> None:
    """Saved settings come back as they were."""
    config = Tree.from_changes(change)

    assert config == Tree.from_document(read_yaml(yaml.safe_dump(config.to_document()), "saved"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("parameters.p"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.integers() | st.sampled_from(["p", "a", "location"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
NOOP = "stage.tasks.noop.NoOpTask"
tasks = st.fixed_dictionaries(
    {},
    optional={
        "class": st.just(NOOP) | values,
        "shell": st.just("true") | values,
        "function": values,
        "config": values,
        "python": st.just("config.seconds = 1") | values,
        "dimensions": values,
        "inputs": st.dictionaries(st.sampled_from(["i", "o"]), values, max_size=2) | values,
        "outputs": st.dictionaries(st.sampled_from(["i", "o"]), values, max_size=2) | values,
    },
)
documents = st.fixed_dictionaries(
    {
        "tasks": st.dictionaries(st.sampled_from(["a", "b"]), tasks | st.just(NOOP) | values, max_size=2)
        | values
    },
    optional={
        "description": values,
        "instrument": values,
        "parameters": values,
        "imports": values,
        "subsets": st.dictionaries(st.just("s"), st.just(["a"]) | values, max_size=1) | values,
        "contracts": st.lists(st.just("a.seconds == parameters.p") | values, max_size=2) | values,
        "steps": st.just(["s"]) | values,
        "search_path": values,
        "more": values,
    },
)


def complaint(act: Callable[..., Any], *args: Any) -> str:
    """Return the error that a call ends in; any but ours gets through."""
    try:
        act(*args)
    except StageError as error:
        return str(error)
    return "none"


def check(path: Path) -> None:
    """Load a pipeline and check it."""
    Pipeline.load(path).check()


def load(text: str) -> str:
    """Return what is wrong with a pipeline file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "p.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        return complaint(check, path)


@settings(max_examples=150, deadline=None)
@given(documents)
def test_any_document_is_a_pipeline_or_an_error_of_ours(document: dict[str, Any]) -> None:
    """Whatever stands under the known keys, loading and checking end well or in a StageError."""
    assert load(yaml.dump(document))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:{}[]-&*!'\"|>\n \t#%@\x00é,?<"), max_size=40))
def test_any_text_is_a_pipeline_or_an_error_of_ours(text: str) -> None:
    """Text that only looks like YAML is told to be none."""
    assert load(text)


@given(st.text(alphabet=st.sampled_from("config.ab=[](){}'\"1-+*,:\n #parmets"), max_size=40))
def test_any_python_is_assignments_or_an_error_of_ours(text: str) -> None:
    """Nothing but assignments gets through, and nothing ends in a foreign exception."""
    assert complaint(python_overrides, text, "f.py").startswith(("f.py", "none"))


@given(st.text(alphabet=st.sampled_from("ab.n<>=!()[],+-*/%'1 notrdis"), max_size=30))
def test_any_contract_holds_or_is_an_error_of_ours(text: str) -> None:
    """A contract is evaluated or refused, never executed and never a traceback."""
    configs = {"a": Tree(), "b": Tree()}

    assert complaint(check_contracts, (Contract(text),), configs, {"n": 1}).startswith(
        ("the pipeline: contract", "none")
    )


@given(st.text(max_size=20))
def test_any_value_can_be_read(text: str) -> None:
    """The value of a setting is YAML or the text itself."""
    parse_value(text)


@given(
    st.dictionaries(
        st.text(alphabet="ab.", max_size=5), st.integers() | st.dictionaries(st.just("a"), st.integers())
    )
)
def test_any_dotted_names_nest(changes: dict[str, Any]) -> None:
    """Dotted names of whatever shape become nested mappings."""
    assert isinstance(nested(changes), dict)
