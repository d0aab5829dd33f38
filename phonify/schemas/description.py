"""The descriptions of views. `api/openapi/document.py` builds the OpenAPI document from them.

The decorator `describe` describes a view. A test fails if a view has no description.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

View = Callable[..., Any]
F = TypeVar("F", bound=View)


@dataclass(frozen=True)
class Example:
    """An example of a request and its answer. `path` has the path parameters by name."""

    name: str
    answer: Mapping[str, Any]
    status: int = 200
    path: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """The description of a view. The summary is the first line of the view's docstring.

    `answers` are the schemas by status. `errors` are the error types that only this view has. The error types of the
    arguments are not listed. `links` are the operations that a client can call after a 201, by name. A link gives the
    place of each path parameter in the answer.
    """

    answers: Mapping[int, type[Schema]]
    examples: tuple[Example, ...]
    text: str = ""
    arguments: type[Schema] = Schema
    at_least_one: bool = False  # whether at least one argument must be given
    errors: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    public: bool = False  # whether the view needs no key


DESCRIPTIONS: dict[View, Description] = {}


def describe(**description: Any) -> Callable[[F], F]:
    """Return a decorator that describes a view. The arguments are the fields of `Description`."""

    def note(view: F) -> F:
        DESCRIPTIONS[view] = Description(**description)
        return view

    return note
