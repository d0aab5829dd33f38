"""The descriptions of views. `api/openapi/document.py` builds the OpenAPI document from these descriptions.

Each view has the decorator `describe`. A test fails if a view has no description.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

View = Callable[..., Any]
F = TypeVar("F", bound=View)


@dataclass(frozen=True)
class Example:
    """An example of a request and its answer. `path` maps each path parameter to its value."""

    name: str
    answer: Mapping[str, Any]
    status: int = 200
    path: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """The description of a view. The summary is the first line of the view's docstring.

    `answers` maps each status to the schema of the answer. `errors` lists the error types that the view itself raises.
    The schema of the arguments has its own error types. After an answer with status 201, a client can call the
    operations in `links`. `links` maps each path parameter of an operation to a place in the answer, such as
    `$response.body#/rule/id`.
    """

    answers: Mapping[int, type[Schema]]
    examples: tuple[Example, ...]
    text: str = ""
    arguments: type[Schema] = Schema
    at_least_one: bool = False  # whether at least one argument must be given
    errors: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    public: bool = False  # whether a client can use the view without a key


DESCRIPTIONS: dict[View, Description] = {}


def describe(**description: Any) -> Callable[[F], F]:
    """Return a decorator that describes a view. The arguments are the fields of `Description`."""

    def note(view: F) -> F:
        DESCRIPTIONS[view] = Description(**description)
        return view

    return note
