"""Connections: declared on classes, named by configs, settled on instances."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import PipelineError
from stage.pipeline.connections import Connections, InitInput, InitOutput, Input, Output, PrerequisiteInput
from stage.pipeline.node import ConnectionDef


class WarpConnections(
    Connections, dimensions=("visit", "patch"), default_templates={"prefix": "", "kind": "direct"}
):
    schema = InitInput("src_schema", "Json")
    image = Input(
        "calexp", "FitsImage", dimensions=("visit", "detector"), multiple=True, minimum=2, deferred=True
    )
    sky = PrerequisiteInput("sky_map", "Json", dimensions="skymap")
    warp = Output("{prefix}warp_{kind}", "FitsImage")
    columns = InitOutput("{prefix}columns", "Json")


def test_declarations_can_be_looked_at_without_an_instance() -> None:
    """A connections class tells what is declared, in order."""
    assert list(WarpConnections.declared) == ["schema", "image", "sky", "warp", "columns"]
    assert WarpConnections.image.minimum == 2


def test_an_instance_settles_names_dimensions_and_roles() -> None:
    """Defaults expand the templates; a connection without dimensions has those of the task, an init one none."""
    c = WarpConnections()

    assert c.warp == ConnectionDef("warp", "output", "warp_direct", "FitsImage", ("visit", "patch"))
    assert c.image == ConnectionDef(
        "image",
        "input",
        "calexp",
        "FitsImage",
        ("visit", "detector"),
        multiple=True,
        minimum=2,
        deferred=True,
    )
    assert c.sky.dimensions == ("skymap",)
    assert c.schema.dimensions == ()
    assert [d.role for d in c.defs] == ["init_input", "input", "prerequisite", "output", "init_output"]


def test_a_config_renames_connections_and_sets_templates() -> None:
    """A dataset type name may be replaced whole, or through a template; a new name may hold templates too."""
    c = WarpConnections({"image": "{prefix}raw", "prefix": "deep_"})

    assert (c.image.dataset_type, c.warp.dataset_type) == ("deep_raw", "deep_warp_direct")


def test_unknown_connection_in_a_config_offers_the_nearest() -> None:
    """A name that is neither connection nor template is refused."""
    with pytest.raises(PipelineError, match="no connection or template 'imag'") as caught:
        WarpConnections({"imag": "x"})

    assert caught.value.hint == "Did you mean 'image'?"


@pytest.mark.parametrize("name", ["a/b", "../x", "", "a b", "1a", "x" * 129, "{image", "{prefix.x}", "{}"])
def test_names_that_no_dataset_type_can_have_are_refused(name: str) -> None:
    """A config cannot give a name that leaves the alphabet of dataset types, or reaches into objects."""
    with pytest.raises(PipelineError):
        WarpConnections({"warp": name})


def test_a_subclass_inherits_replaces_and_leaves_out() -> None:
    """Subclasses start from what their base declares."""

    class Mine(WarpConnections):
        sky = None
        warp = Output("mine", "FitsImage", dimensions=("patch",))
        extra = Output("extra", "Json")

    c = Mine()

    assert [d.name for d in c.defs] == ["schema", "image", "warp", "columns", "extra"]
    assert c.warp.dimensions == ("patch",)
    assert c.dimensions == ("visit", "patch")


def test_configure_can_drop_connections() -> None:
    """A connection can depend on the config; the class is not changed by it."""

    class Choosy(WarpConnections):
        def configure(self, config: Any) -> None:
            if config == "no sky":
                self.drop("sky")

    assert Choosy(config="no sky").sky is None
    assert "sky" not in [d.name for d in Choosy(config="no sky").defs]
    assert "sky" in [d.name for d in Choosy(config=None).defs]


def test_dropping_what_is_not_there_is_refused() -> None:
    """Drop names what it does not know."""
    with pytest.raises(PipelineError, match="no connection 'skies'"):
        WarpConnections().drop("skies")


@pytest.mark.parametrize("name", ["defs", "dimensions", "_hidden", "data_id", "configure"])
def test_names_that_connections_need_themselves_are_refused(name: str) -> None:
    """A connection cannot hide what every connections class has."""
    with pytest.raises(PipelineError, match="not a usable connection name"):
        type("Bad", (Connections,), {name: Output("x", "Json")})


def test_a_template_needs_a_default() -> None:
    """A template without a default is refused where it is declared, with the words to add."""
    with pytest.raises(PipelineError, match=r"template '\{p\}' has no default"):
        type("Bad", (Connections,), {"out": Output("{p}x", "Json")})


def test_a_name_cannot_be_both_connection_and_template() -> None:
    """One name in a config means one thing."""
    with pytest.raises(PipelineError, match="both a connection and a template"):
        type("Bad", (Connections,), {"out": Output("x", "Json")}, default_templates={"out": ""})
