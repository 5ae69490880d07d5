"""The rows of a run as a person goes through them: filtered, sorted by worst, cut into pages of fifty.

A run of ten thousand clips has tens of thousands of rows; a page of the table holds fifty. What a visitor asks for is
a `Query`; what they are sent is one page. An order is worked out once a query and remembered with the run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ui.open_run import OpenRun

__all__ = ["PAGE_ROWS", "SORTS", "Asked", "Query", "page_of", "selected"]

#: Rows that a page of the table holds.
PAGE_ROWS = 50
#: Ways to sort that are no metric: by transmission rate, by time, by the order of the run.
SORTS = ("transmission_rate", "total_s", "run")
#: A search is cut to this many characters.
MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Query:
    """What rows a visitor wants to see.

    Attributes:
        sort: A metric, or one of `SORTS`.
        best: The best first instead of the worst.
        system: Only this one's rows; empty takes all.
        emotion: Only clips of this label, by the corpus or, where it has none, by the caption; empty takes all.
        state: ``"all"``, ``"failed"``, ``"warned"`` (with a warning of the recording) or ``"changed"`` (the verifier
            changed something).
        text: Must stand in id, caption, reference or speaker.
    """

    sort: str = "run"
    best: bool = False
    system: str = ""
    emotion: str = ""
    state: str = "all"
    text: str = ""
    page: int = 0

    @classmethod
    def of(cls, values: Any) -> Query:
        """What a browser asks for; what makes no sense is left at its default."""
        values = values if isinstance(values, dict) else {}
        found: dict[str, Any] = {}
        for entry in fields(cls):
            value = values.get(entry.name)
            if type(value) is type(entry.default):
                found[entry.name] = value[:MOST_TEXT] if isinstance(value, str) else value
        return cls(**found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """The rows that a visitor is shown, numbered so that rows of an earlier question can be told from them.

    One object on purpose: whoever reads it has a run, a query, and the numbers that belong to them.

    Attributes:
        run: Name of the run that is looked at; empty before one is.
        look: Counts the runs that were opened; each begins with a query of its own.
        number: Of the browser's question that the query came with; 0 before the first.
    """

    run: str = ""
    look: int = 0
    number: int = 0
    query: Query = Query()

    def anew(self, run: str, query: Query) -> Asked:
        """Another run, or the same one again, is shown from now on."""
        return Asked(run, self.look + 1, 0, query)

    def heard(self, values: dict[str, Any]) -> Asked:
        """After a question of the browser; one about another run, or older than what is known, changes nothing."""
        look, number = values.get("look"), values.get("asked")
        if look != self.look or not isinstance(number, int) or number <= self.number:
            return self
        return Asked(self.run, self.look, number, Query.of(values.get("query")))


def selected(run: OpenRun, query: Query) -> list[int]:
    """Indices of a run's lines that the query wants, in its order; clips without a value come last."""
    key = (query.sort, query.best, query.system, query.emotion, query.state, query.text.casefold())
    known = run.orders.get(key)
    if known is None:
        known = _order(run, query, _filtered(run, query))
        if len(run.orders) >= 32:
            run.orders.pop(next(iter(run.orders)))
        run.orders[key] = known
    return known


def _filtered(run: OpenRun, query: Query) -> list[int]:
    text, chosen = query.text.casefold().strip(), []
    for index, line in enumerate(run.lines):
        if query.system and line.system != query.system:
            continue
        if query.state == "failed" and line.error is None:
            continue
        if query.state == "warned" and not line.warnings:
            continue
        if query.state == "changed" and not line.counts.get("blocks_changed"):
            continue
        if query.emotion and query.emotion != line.label and query.emotion not in run.emotions(index):
            continue
        if text and not any(text in part.casefold() for part in _texts(line)):
            continue
        chosen.append(index)
    return chosen


def _texts(line: Any) -> tuple[str, ...]:
    return line.id, line.hypothesis or "", line.speaker, *line.references


def _order(run: OpenRun, query: Query, chosen: list[int]) -> list[int]:
    if query.sort == "run":
        return chosen[::-1] if query.best else chosen
    values, higher_is_better = run.values(query.sort)
    there = [index for index in chosen if values[index] is not None]
    missing = [index for index in chosen if values[index] is None]
    there.sort(key=lambda index: values[index], reverse=higher_is_better == query.best)  # type: ignore[arg-type]
    return there + missing


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows.

    Attributes:
        number: Counted from 0; a page behind the last is the last.
        total: Rows of all pages.
        lines: Indices of its rows.
    """

    number: int
    pages: int
    total: int
    lines: tuple[int, ...]


def page_of(run: OpenRun, query: Query) -> Page:
    """The page that a query asks for."""
    order = selected(run, query)
    pages = max(1, -(-len(order) // PAGE_ROWS))
    number = min(max(query.page, 0), pages - 1)
    return Page(number, pages, len(order), tuple(order[number * PAGE_ROWS : (number + 1) * PAGE_ROWS]))
