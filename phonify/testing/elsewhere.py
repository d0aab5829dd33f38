"""A server elsewhere, which the tests share with others. `pytest_plugin.py` makes a fixture of it."""

from .client import Phonify, Run

_MOST_CHARACTERS = 100  # in the name of a run


class Elsewhere:
    """A server that is running at a URL already. Each account that it gives is a run of the key's account."""

    def __init__(self, url: str, key: str) -> None:
        self._owner = Phonify.connect(url, key)
        self._runs: list[Run] = []
        self.url = self._owner.url

    def create_account(self, name: str) -> Run:
        """Begin a run, which lasts until `end` or its own `end`, but at most a day."""
        run = self._owner.run(name[-_MOST_CHARACTERS:], ttl=86_400)
        self._runs.append(run)
        return run

    def end(self) -> None:
        """End all runs."""
        for run in self._runs:
            run.end()
