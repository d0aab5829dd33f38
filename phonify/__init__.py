"""Phonify: a self-hosted SMS API on one SQLite file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .factory import create_app

__version__ = "0.1.0"
__all__ = ["__version__", "create_app"]


def __getattr__(name: str) -> Any:
    """Load `create_app` on first use.

    Therefore, an import of this package does not load Flask. The pytest plugin needs this.
    """
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .factory import create_app  # noqa: PLC0415 - see above

    return create_app
