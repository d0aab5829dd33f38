"""A server that is already running. `pytest_plugin.py` uses it for a fixture."""

from .client import Phonify, Run

_MOST_CHARACTERS = 100  # in the name of a run


class Elsewhere:
    """A server that is already running at a URL. Each created account is a run of the key's account."""

    def __init__(self, url: str, key: str) -> None:
        self._owner = Phonify.connect(url, key)
        self._runs: list[Run] = []
        self.url = self._owner.url
        self.clock = self._owner.clock

    def create_account(self, name: str) -> Run:
        """Create a run. It ends when `end` is called here or on the run, or after a day."""
        run = self._owner.run(name[-_MOST_CHARACTERS:], ttl=86_400)
        self._runs.append(run)
        return run

    def end(self) -> None:
        """End all runs. If a test has changed the clock, reset it."""
        if self.clock.changed:
            self.clock.reset()
        for run in self._runs:
            run.end()
