"""The table: its lines, their floors, and how it is printed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from load import Load


class Floor(NamedTuple):
    """The worst figure that is still good enough."""

    sign: str  # ">=": more is better; "<=": less is better
    value: float

    def is_reached(self, figure: float) -> bool:
        """Return whether a figure is good enough."""
        return figure >= self.value if self.sign == ">=" else figure <= self.value


class Line(NamedTuple):
    """One figure."""

    section: str
    name: str
    figure: float | None  # None: not measured
    unit: str = ""
    floor: Floor | None = None
    loads: Mapping[str, Load] = {}  # the values behind the figure
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the floor is reached."""
        if self.floor is None or self.figure is None:
            return ""
        return "yes" if self.floor.is_reached(self.figure) else "NO"

    @property
    def details(self) -> str:
        """The values behind the figure, as text."""
        return "; ".join(
            [*(f"{name} {format_load(load)}" for name, load in self.loads.items()), *filter(None, [self.note])]
        )

    def to_dict(self) -> dict[str, object]:
        """Return the line as plain Python types."""
        plain = {**self._asdict(), "floor": self.floor and self.floor._asdict(), "reached": self.verdict}
        return {**plain, "loads": {name: load._asdict() for name, load in self.loads.items()}}


def format_number(value: float) -> str:
    """Return a number without digits that mean nothing."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def format_load(load: Load) -> str:
    """Return the result of a run of wrk as text."""
    return f"{format_number(load.per_second)}/s, {format_number(load.p50)} and {format_number(load.p99)} ms"


def format_lines(lines: Sequence[Line]) -> str:
    """Return the table as text."""
    printed, section = [f"{'':<34}{'figure':>14}{'floor':>10}  reached  details (rate, p50 and p99)"], ""
    for line in lines:
        if line.section != section:
            section = line.section
            printed += ["", section]
        figure = "not measured" if line.figure is None else f"{format_number(line.figure)} {line.unit}".rstrip()
        floor = f"{line.floor.sign} {line.floor.value:,g}" if line.floor else ""
        printed.append(f"  {line.name:<32}{figure:>14}{floor:>10}  {line.verdict:<7}  {line.details}".rstrip())
    return "\n".join(printed)
