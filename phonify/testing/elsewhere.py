"""A server that is already running. `pytest_plugin.py` uses it for a fixture."""

from .client import Phonify, Run

_MOST_CHARACTERS = 100  # in the name of a run


class Elsewhere:
    """A Phonify server that runs outside the test process.

    `create_account` creates a temporary account for tests. Such an account is called a run. The account of `key` owns
    the run.
    """

    def __init__(self, url: str, key: str) -> None:
        self._owner = Phonify.connect(url, key)
        self._runs: list[Run] = []
        self.url = self._owner.url
        self.clock = self._owner.clock

    def create_account(self, name: str) -> Run:
        """Create a run. The run ends after a day, or earlier if `end` is called."""
        run = self._owner.run(name[-_MOST_CHARACTERS:], ttl=86_400)
        self._runs.append(run)
        return run

    def end(self) -> None:
        """End all runs. If a test has changed the clock, reset the clock."""
        if self.clock.changed:
            self.clock.reset()
        for run in self._runs:
            run.end()
