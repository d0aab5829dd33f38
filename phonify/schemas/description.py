"""What the OpenAPI document says of a view, kept beside the view; `api/openapi/document.py` makes the document.

A view that nothing is said of fails a test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

View = Callable[..., Any]
F = TypeVar("F", bound=View)


@dataclass(frozen=True)
class Example:
    """A request and its answer, which a test makes and compares; `path` are the parts of the address by name."""

    name: str
    answer: Mapping[str, Any]
    status: int = 200
    path: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What is said of a view beside its docstring, whose first line is the summary.

    `errors` are the error types beside those that every view has and those of its arguments;
    `answers` are the schemas by status; `links` are operations that may follow a 201, each with what
    it takes from the answer.
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
    """Say of a view what `Description` has."""

    def note(view: F) -> F:
        DESCRIPTIONS[view] = Description(**description)
        return view

    return note
