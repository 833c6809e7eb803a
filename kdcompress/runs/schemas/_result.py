"""What a result is: a dictionary, as JSON documents are, whose keys are typed attributes, too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema
from typing_extensions import NotRequired, Self, TypedDict

from kdcompress.registry import did_you_mean
from kdcompress.runs.schemas._table import Table

SCHEMA_VERSION = 1  # raised when a key is taken away or means another thing; keys may be added without it
_VERSION = "schema_version"
_WIDEST, _LONGEST = 120, 40  # characters of a repr, and of a text in it
_CONFIG = ConfigDict(extra="allow", allow_inf_nan=False)  # later versions may add keys
T = TypeVar("T")


class _Made(Generic[T]):
    """The default of a key that is made anew each time, because it can be changed."""

    def __init__(self, make: Callable[[], T]) -> None:
        self.make = make


def made(make: Callable[[], T]) -> T:
    """The default of a key whose value can be changed, such as a list: `warnings: list[str] = made(list)`."""
    default: Any = _Made(make)
    return default  # type: ignore[no-any-return]


def _key(name: str) -> str:
    """The key that an attribute stands for."""
    return name if name.startswith("_") else name.removesuffix("_")


class Result(dict[str, Any]):
    """Base of results: `result.student.params` and `result["student"]["params"]` are the same.

    The annotations of a subclass are its keys; one with a default may be missing from the dictionary, and the attribute
    gives the default then. A trailing underscore stands for a key that is a word of Python (`class_`). From the
    annotations alone come the attributes, the validation of documents that are read, and their JSON schemas.
    """

    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._defaults = dict(cls._defaults)
        for name in inspect.get_annotations(cls):
            if name[0] != "_" and hasattr(Result, _key(name)):
                raise TypeError(f"{cls.__name__}.{name} would hide a method of every result")
            if name in vars(cls):
                cls._defaults[name] = vars(cls)[name]
                delattr(cls, name)  # lest it be found before the key

    @classmethod
    def of(cls, document: Mapping[str, Any], *, strict: bool = False) -> Self:
        """The document as this result, nested ones too.

        Args:
            document: A plain dictionary; keys beyond the annotated ones are kept.
            strict: Take nothing for a number, a text or a list that is not one.

        Returns:
            The result, with the keys in the order of the document.

        Raises:
            pydantic.ValidationError: A key is missing or its value is of another type, not finite, or out of range.
        """
        found: Self = _adapter(cls).validate_python(dict(document), strict=strict)
        return found

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema of the document."""
        return _adapter(cls).json_schema()

    def to_dict(self) -> dict[str, Any]:
        """A plain, deep copy: dictionaries and lists all the way down, as --json prints it."""
        return {key: _plain(value) for key, value in self.items()}

    def completed(self) -> Self:
        """A copy in which every key is there, missing ones with their defaults, in nested results, too."""
        keys = {_key(name): getattr(self, name) for name in _keys(type(self))}
        return type(self)({key: _completed(value) for key, value in {**keys, **self}.items()})

    def _check(self) -> None:
        """Raise ValueError where values that are sound alone do not fit each other."""

    def _parts(self) -> list[str]:
        """What the repr shows."""
        return [f"{key}={brief(value)}" for key, value in self.items() if key != _VERSION and _is_plain(value)]

    def _table(self) -> Table:
        """The table as which a notebook shows it."""
        rows = [[key, brief(value)] for key, value in self.items() if key != _VERSION and _is_plain(value)]
        return Table(type(self).__name__, rows=rows)

    def _repr_html_(self) -> str | None:
        try:
            return self._table().html()
        except (AttributeError, KeyError, TypeError, ValueError):  # somebody's own, which lacks a key
            return None

    def __repr__(self) -> str:
        try:
            parts = self._parts()
        except (AttributeError, KeyError):  # somebody's own, which lacks a key
            parts = Result._parts(self)
        text = f"{type(self).__name__}({', '.join(parts)})"
        return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 4]}...)"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_keys(type(self)), *filter(str.isidentifier, self)})

    if not TYPE_CHECKING:  # which would take any attribute for a key then

        def __getattr__(self, name: str) -> Any:
            if _key(name) in self:
                return self[_key(name)]
            if name in self._defaults:
                default = self._defaults[name]
                return default.make() if isinstance(default, _Made) else default
            close = "" if name.startswith("_") else did_you_mean(name, [*_keys(type(self)), *self])
            raise AttributeError(f"{type(self).__name__} has no {name!r}{close}")

        def __setattr__(self, name: str, value: Any) -> None:
            self[_key(name)] = value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(cls._validated, handler(_shape(cls)))

    @classmethod
    def _validated(cls, value: Any, handler: Callable[[Any], dict[str, Any]]) -> Self:
        checked = handler(value)
        result = cls((key, checked[key]) for key in value)
        result._check()
        return result


class Kept(Result):
    """A document as a whole; those of version 0.1 do not say their schema, which is 1.

    Attributes:
        schema_version: Version of the schema, raised when a key is taken away or means another thing.
    """

    schema_version: Annotated[int, Field(ge=1)] = SCHEMA_VERSION

    @classmethod
    def of(cls, document: Mapping[str, Any], *, strict: bool = False) -> Self:
        """As Result.of, with the version of its schema where the document does not say it."""
        return super().of(versioned(document), strict=strict)


def versioned(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document that says the version of its schema."""
    return {_VERSION: SCHEMA_VERSION, **document}


@functools.cache
def _adapter(cls: type[Result]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


@functools.cache  # one TypedDict a class: nested twice, it must be one definition of the JSON schema
def _shape(cls: type[Result]) -> Any:
    hints = {name: hint for name, hint in get_type_hints(cls, include_extras=True).items() if name[0] != "_"}
    fields = {_key(name): NotRequired[hint] if name in cls._defaults else hint for name, hint in hints.items()}
    make: Any = TypedDict
    shape = make(cls.__name__, fields)
    shape.__pydantic_config__ = _CONFIG
    shape.__doc__ = inspect.getdoc(cls).split("\n")[0]  # type: ignore[union-attr]
    return shape


@functools.cache
def _keys(cls: type[Result]) -> list[str]:
    """The names of the annotated attributes."""
    return [name for one in cls.__mro__ for name in inspect.get_annotations(one) if name[0] != "_"]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _completed(value: Any) -> Any:
    if isinstance(value, Result):
        return value.completed()
    return [_completed(one) for one in value] if isinstance(value, list) else value


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def brief(value: Any) -> str:
    """A value in a few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return repr(f"{value[:_LONGEST]}..." if isinstance(value, str) and len(value) > _LONGEST else value)
