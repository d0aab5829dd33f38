"""The description of a view for the OpenAPI document, kept beside the view; `api/openapi/document.py` uses it.

A view without a description fails a test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

View = Callable[..., Any]
F = TypeVar("F", bound=View)


@dataclass(frozen=True)
class Example:
    """An example of a request and its answer. A test checks it. `path` has the path parameters by name."""

    name: str
    answer: Mapping[str, Any]
    status: int = 200
    path: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """The description of a view. Its summary is the first line of the view's docstring.

    `errors` are the error types, except those of every view and those of the arguments. `answers` are the schemas by
    status. `links` are operations that may follow a 201; each has the values that the answer gives it.
    """

    answers: Mapping[int, type[Schema]]
    examples: tuple[Example, ...]
    text: str = ""
    arguments: type[Schema] | None = None
    at_least_one: bool = False  # of the arguments
    errors: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    public: bool = False  # answers without a key

    def examples_of(self, status: int) -> list[Example]:
        """Return the examples whose answer has a status."""
        return [example for example in self.examples if example.status == status]


DESCRIPTIONS: dict[View, Description] = {}


def describe(**description: Any) -> Callable[[F], F]:
    """Describe a view; the options are those of `Description`."""

    def note(view: F) -> F:
        DESCRIPTIONS[view] = Description(**description)
        return view

    return note
