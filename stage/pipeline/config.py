"""`Config`: a task's settings, typed and checked, frozen once made."""

from __future__ import annotations

import reprlib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from registry.errors import PipelineError, nearest
from registry.model.digest import canonical_json, digest_json
from stage.pipeline.overrides import nested, read_yaml_file
from stage.pipeline.settings import Difference, FieldDoc, describe_field, differences

__all__ = ["Config", "DeclaredField", "Field", "config_class_of"]


class DeclaredField:
    """The value of a field in a class body that brings its own config class; see `stage.pipeline.subtask`.

    Parameters
    ----------
    model : type
        The config class of the field.
    doc : str
        What the field is for.
    """

    def __init__(self, model: type[Config], doc: str) -> None:
        self.model = model
        self.doc = doc


def config_class_of(annotation: Any) -> type[Config] | None:
    """Return the config class in a field's annotation, if it is one (or one or None).

    Parameters
    ----------
    annotation : object
        As pydantic holds it.

    Returns
    -------
    type or None
        The subclass of `Config`.
    """
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return next(filter(None, map(config_class_of, typing.get_args(annotation))), None)
    return None


class Config(BaseModel):
    """Settings of a task: declare fields with types, defaults and `Field` constraints.

    A nested `Config` holds the settings of a subtask. Configs compare, hash, `diff` and `save`.

    Parameters
    ----------
    **values
        Values of fields; the others keep their defaults.

    Raises
    ------
    PipelineError
        If a name is unknown, or a value is of the wrong type or out of bounds.

    Examples
    --------
    >>> class WarpConfig(Config):
    ...     threshold: float = Field(5.0, gt=0, description="In sigmas")
    >>> WarpConfig().override({"threshold": 3}).threshold
    3.0
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        protected_namespaces=(),
        ser_json_inf_nan="constants",
        ignored_types=(DeclaredField,),
    )

    connections: dict[str, str] = Field(
        default_factory=dict,
        description="Other dataset type names, by connection; other values, by template.",
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise _config_error(type(self), exc) from exc

    # Says to pydantic that nested configs need not be made through this method, whose errors are for people.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls).get("__annotations__", {})
        if taken := sorted(set(own) & _TAKEN):
            raise PipelineError(
                f"{cls.__name__}: a setting cannot be called '{taken[0]}', which every config has",
                code="bad-config",
            )
        # pydantic looks at annotations and values only after this method.
        for name, value in list(vars(cls).items()):
            if isinstance(value, DeclaredField):
                own[name] = value.model
                setattr(cls, name, Field(default_factory=value.model, description=value.doc or None))
        cls.__annotations__ = own

    def __setattr__(self, name: str, value: Any) -> None:
        raise PipelineError(
            f"{type(self).__name__}.{name} is frozen",
            code="config-frozen",
            hint=f"Make a changed copy: config.override({{'{name}': ...}}).",
        )

    def __hash__(self) -> int:
        return hash(canonical_json(self.to_document()))

    def __reduce__(self) -> tuple[Any, ...]:
        # By its document: the config classes of `Subtask` fields cannot be found by name.
        return _restore, (type(self), self.to_document())

    @model_serializer(mode="wrap")
    def _without_empty_connections(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        out: dict[str, Any] = handler(self)
        if names := out.pop("connections", None):
            out["connections"] = names
        return out

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> typing.Self:
        """Make a config from JSON-like values.

        Parameters
        ----------
        document : mapping
            Names to values, nested as the fields are.

        Returns
        -------
        Config
            Checked.

        Raises
        ------
        PipelineError
            If a name is unknown, or a value is of the wrong type or out of bounds.
        """
        try:
            return cls.model_validate(dict(document))
        except ValidationError as exc:
            raise _config_error(cls, exc) from exc

    @classmethod
    def from_changes(cls, *changes: Mapping[str, Any]) -> typing.Self:
        """Make a config from changes to the defaults.

        Parameters
        ----------
        *changes : mapping
            As for `override`.

        Returns
        -------
        Config
            Checked once, with all changes in place.

        Raises
        ------
        PipelineError
            As for the constructor.
        """
        nested_configs = {n: f for n, f in cls.model_fields.items() if config_class_of(f.annotation)}
        # Of a nested config, the parent's default counts, which need not be its class's.
        document = {
            n: f.get_default(call_default_factory=True, validated_data={})
            for n, f in nested_configs.items()
            if not f.is_required()
        }
        return cls.from_document(cls.merged(*changes, onto=document))

    @classmethod
    def merged(cls, *changes: Mapping[str, Any], onto: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Put changes together without checking them.

        Parameters
        ----------
        *changes : mapping
            As for `override`.
        onto : mapping, optional
            Where to start.

        Returns
        -------
        dict
            Only what was changed, if `onto` is left out: nested configs setting by setting, else whole values.
        """
        document = dict(onto or {})
        for change in changes:
            _merge(cls, document, nested(change))
        return document

    def to_document(self) -> dict[str, Any]:
        """Return all settings, defaults included, as JSON-like values.

        Returns
        -------
        dict
            What `from_document` takes.
        """
        return self.model_dump(mode="json")

    def override(self, *changes: Mapping[str, Any], **values: Any) -> typing.Self:
        """Return a changed copy.

        Parameters
        ----------
        *changes : mapping
            Names to values, applied in order; names may be dotted, values of nested configs may be mappings.
        **values
            Further changes, applied last.

        Returns
        -------
        Config
            Checked once, with all changes in place.

        Raises
        ------
        PipelineError
            As for the constructor.
        """
        return self.from_document(self.merged(*changes, values, onto=self.to_document()))

    def diff(self, other: Config) -> list[Difference]:
        """Say in which settings another config differs.

        Parameters
        ----------
        other : Config
            The other one, of any class.

        Returns
        -------
        list of Difference
            In order of name; empty if they agree.
        """
        return differences(self.to_document(), other.to_document())

    def digest(self) -> str:
        """Return a digest of all settings: equal for equal configs, on any machine.

        Returns
        -------
        str
            32 hexadecimal digits.
        """
        return digest_json(self.to_document())

    def save(self, path: Path | str) -> None:
        """Write all settings as YAML.

        Parameters
        ----------
        path : Path or str
            A local file; replaced if there is one.
        """
        import yaml

        Path(path).write_text(yaml.safe_dump(self.to_document(), sort_keys=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> typing.Self:
        """Read settings from YAML; those not in the file keep their defaults.

        Parameters
        ----------
        path : Path or str
            A local file.

        Returns
        -------
        Config
            Checked.

        Raises
        ------
        PipelineError
            If the file is not YAML, or a setting is not right.
        NotFoundError
            If there is no such file.
        """
        return cls.from_changes(read_yaml_file(str(path), "config file"))

    @classmethod
    def describe(cls, prefix: str = "") -> list[FieldDoc]:
        """Return what there is to know about each setting, those of nested configs included.

        Parameters
        ----------
        prefix : str
            Goes before the names.

        Returns
        -------
        list of FieldDoc
            In declared order.
        """
        out: list[FieldDoc] = []
        for name, field in cls.model_fields.items():
            if name == "connections":
                continue
            inner = config_class_of(field.annotation)
            out += inner.describe(f"{prefix}{name}.") if inner else [describe_field(f"{prefix}{name}", field)]
        return out


_TAKEN = frozenset(n for n in dir(Config) if not n.startswith("_")) | {"connections"}


def _restore(config_class: type[Config], document: dict[str, Any]) -> Config:
    return config_class.from_document(document)


def _merge(config_class: type[Config], document: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Put `changes` into `document`: into nested configs setting by setting, else whole values."""
    for name, value in changes.items():
        field = config_class.model_fields.get(name)
        inner = config_class_of(field.annotation) if field is not None else None
        if inner is not None and isinstance(value, Mapping):
            old = document.get(name)
            below = old.to_document() if isinstance(old, Config) else dict(old or {})
            document[name] = below
            _merge(inner, below, value)
        elif name == "connections" and isinstance(value, Mapping):
            document[name] = {**document.get(name, {}), **value}
        else:
            document[name] = value


def _config_error(config_class: type[Config], exc: ValidationError) -> PipelineError:
    """Word the first thing that is wrong with a config."""
    errors = exc.errors(include_url=False)
    first, more = errors[0], len(errors) - 1
    own = config_class.__name__
    name = ".".join(map(str, first["loc"]))
    also = f" (and {more} more)" if more else ""
    context = {"setting": name}
    if first["type"] == "extra_forbidden":
        hint = nearest(str(first["loc"][-1]), _names_at(config_class, first["loc"][:-1]))
        said = f"{own} has no setting '{name}'{also}"
        return PipelineError(said, code="unknown-setting", hint=hint, context=context)
    if first["type"] == "missing":
        return PipelineError(
            f"{own}: setting '{name}' must be given{also}", code="missing-setting", context=context
        )
    text = first["msg"].removeprefix("Value error, ")
    if name:  # else a rule between settings, which says itself what is wrong
        text = f"setting '{name}': {text[:1].lower()}{text[1:]}, not {reprlib.repr(first['input'])}"
    is_empty = first["type"] == "string_type" and first["input"] is None
    hint = f"An empty text is written '': {name}=\"''\"." if is_empty else ""
    return PipelineError(f"{own}: {text}{also}", code="bad-setting", hint=hint, context=context)


def _names_at(config_class: type[Config], location: tuple[int | str, ...]) -> list[str]:
    """Return the names of the settings of the nested config at `location`."""
    found: Any = config_class
    for part in location:
        inner = config_class_of(found)
        if inner is not None:
            field = inner.model_fields.get(str(part))
            found = field.annotation if field is not None else None
        else:  # an item of a list or a mapping
            found = (typing.get_args(found) or (None,))[-1]
    inner = config_class_of(found)
    return sorted(inner.model_fields) if inner else []
