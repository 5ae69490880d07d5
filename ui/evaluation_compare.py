"""The card of the tab *Evaluate* that sets two systems beside each other, of one run or of two, clip by clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ugsd_core.errors import OptionError, UgsdError
from ui.components.word_diff import word_diff
from ui.evaluation_parts import QUIET, Services, Values, in_thread
from ui.evaluation_state import Said
from ui.evaluation_view import metric_figure, metric_name, paired_table, scroll, system_name
from ui.language import Locale, say
from ui.open_run import OpenRun
from ui.view import error_line, status_html
from ui.wording import Line

__all__ = ["CompareCard", "Difference", "differences", "paired_rows"]

#: Clips of which the largest differences are shown.
SHOWN = 20
DRAWS = 1000
#: Runs that can be chosen from.
LISTED = 40
_APART = "\n"


@dataclass(frozen=True, slots=True)
class Difference:
    """One clip on which two systems were scored unlike each other."""

    id: str
    a: float
    b: float


def paired_rows(
    a: OpenRun, system_a: str, b: OpenRun, system_b: str, names: Sequence[str], tell: Any = None
) -> list[dict[str, Any]]:
    """Paired differences on the clips that both captioned, as ``metrics.json`` has them.

    Raises:
        OptionError: If the two have no clip in common, or other languages.
    """
    from ugsd_core.bootstrap import draw_weights, make_strata
    from ugsd_core.metrics import METRICS, CaptionPair
    from ugsd_core.paired import compare

    if a.language != b.language:
        raise OptionError("the two runs have captions in different languages; choose two of one language")
    lines = [{line.id: line for line in run.lines if line.system == system and line.hypothesis is not None}
             for run, system in ((a, system_a), (b, system_b))]  # fmt: skip
    shared = sorted(set(lines[0]) & set(lines[1]))
    if not shared:
        raise OptionError("the two have no clip in common, by their ids; choose two runs of one corpus")
    firsts = [lines[0][clip] for clip in shared]
    strata = make_strata([line.corpus for line in firsts], [line.speaker for line in firsts])
    weights = draw_weights(strata, DRAWS, 0)
    rows = []
    for number, name in enumerate(names):
        if tell is not None:
            tell(number, len(names))
        scores = []
        for own in lines:
            # The references of the first run for both, so that both are read against the same.
            pairs = [
                CaptionPair(clip, own[clip].hypothesis or "", line.references, line.label)
                for clip, line in zip(shared, firsts, strict=True)
            ]
            scores.append(METRICS[name].score(pairs, a.language))
        result = compare(scores[0], scores[1], weights)
        rows.append({"metric": name, "a": system_a, "b": system_b, **result.to_dict()})
    return rows


def differences(a: OpenRun, system_a: str, b: OpenRun, system_b: str, metric: str) -> list[Difference]:
    """Clips on which a metric differs between two systems, the largest difference first."""
    found = []
    for run, system in ((a, system_a), (b, system_b)):
        values, _ = run.values(metric)
        found.append({
            line.id: value
            for line, value in zip(run.lines, values, strict=True)
            if line.system == system and value is not None
        })  # fmt: skip
    shared = [Difference(clip, found[0][clip], found[1][clip]) for clip in found[0] if clip in found[1]]
    unlike = [one for one in shared if one.a != one.b]
    return sorted(unlike, key=lambda one: (-abs(one.a - one.b), one.id))


@dataclass(frozen=True, slots=True)
class CompareCard:
    """The components, and what they show each visitor."""

    services: Services
    locale: gr.Radio
    first: gr.Dropdown
    second: gr.Dropdown
    metric: gr.Dropdown
    compare: gr.Button
    said: gr.HTML
    table: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """Everything that `show` may change."""
        return [self.first, self.second, self.metric, self.said, self.table]

    def wire(self) -> None:
        """Connect what happens in the card."""
        self.compare.click(
            self.compared, [self.first, self.second, self.metric, self.locale], [self.said, self.table],
            trigger_mode="once", concurrency_limit=2, **QUIET,
        )  # fmt: skip

    # What happens

    def compared(
        self, first: str | None, second: str | None, metric: str | None, locale: Locale, request: gr.Request
    ) -> Iterator[Values]:
        """Two systems were chosen."""
        session = request.session_hash or ""
        visit = self.services.visits.of(session)
        if not first or not second or first == second:
            yield self._says(session, locale, lambda now: Line(say(now, "eval.compare.two"), "warn"))
            return
        visit.compared = (_parts(first), _parts(second))
        yield from self._draw(session, metric or "", locale)

    def _draw(self, session: str, metric: str, locale: Locale) -> Iterator[Values]:
        visit = self.services.visits.of(session)
        if visit.compared is None:
            return
        (name_a, system_a), (name_b, system_b) = visit.compared
        found: list[dict[str, Any]] = []
        try:
            a, b = (self.services.folders.open(name, session) for name in (name_a, name_b))
            names = [name for name in a.sorts if name != "length_ratio"]
            for done, of in in_thread(lambda tell: found.extend(paired_rows(a, system_a, b, system_b, names, tell))):
                yield self._says(session, locale, _comparing(done, of))
        except UgsdError as error:
            problem = error
            yield self._says(session, locale, lambda now: error_line(now, problem)) | {self.table: ""}
            return
        chosen = metric if metric in a.sorts else a.first_sort
        said = self._says(session, locale, _compared(found[0]["n"] if found else 0))
        yield said | {self.table: comparison_html(a, system_a, b, system_b, chosen, found, locale)}

    # What is shown

    def show(self, session: str, locale: Locale) -> Values:
        """What can be chosen."""
        visit = self.services.visits.of(session)
        choices = self._choices(session, locale)
        values = [value for _, value in choices]
        picked = [self._picked(name, values) for name in _wished(visit.opened, values)]
        metrics = _metrics(self.services, visit.opened, session, locale)
        visit.compared, visit.compare_line = None, None
        return {
            self.first: gr.update(choices=choices, value=picked[0]),
            self.second: gr.update(choices=choices, value=picked[1]),
            self.metric: gr.update(choices=metrics, value=metrics[0][1] if metrics else None),
            self.said: "",
            self.table: "",
        }

    def _choices(self, session: str, locale: Locale) -> list[tuple[str, str]]:
        found = []
        for entry in self.services.folders.listed(session)[:LISTED]:
            found += [
                (f"{entry.name} · {system_name(locale, system)}", f"{entry.name}{_APART}{system}")
                for system in entry.systems
            ]
        return found

    @staticmethod
    def _picked(value: str, values: Sequence[str]) -> str | None:
        return value if value in values else None

    def _says(self, session: str, locale: Locale, line: Said) -> Values:
        self.services.visits.of(session).compare_line = line
        return {self.said: status_html(line(locale))}


def _metrics(services: Services, opened: str, session: str, locale: Locale) -> list[tuple[str, str]]:
    if not opened:
        return []
    try:
        run = services.folders.open(opened, session)
    except UgsdError:
        return []
    names = sorted(run.sorts, key=lambda name: name != run.first_sort)
    return [(metric_name(locale, name), name) for name in names]


def _wished(opened: str, values: Sequence[str]) -> tuple[str, str]:
    """The two that are chosen at first: ours and the verifier alone, or the first two of the run."""
    own = [value for value in values if value.split(_APART)[0] == opened]
    wished = [f"{opened}{_APART}{system}" for system in ("ugsd", "cloud", "edge")]
    found = [value for value in wished if value in own] + [value for value in own if value not in wished]
    return (*found, "", "")[:2]  # type: ignore[return-value]


def _parts(value: str) -> tuple[str, str]:
    name, _, system = value.partition(_APART)
    return name, system


def _comparing(done: int, of: int) -> Said:
    return lambda now: Line(say(now, "eval.comparing", percent=f"{100 * done / max(of, 1):.0f}"), "busy")


def _compared(clips: int) -> Said:
    return lambda now: Line(say(now, "eval.compared", clips=f"{clips:,}"))


def comparison_html(
    a: OpenRun, system_a: str, b: OpenRun, system_b: str, metric: str, rows: list[dict[str, Any]], locale: Locale
) -> str:
    """Paired differences, and the clips on which the two differ most."""
    from ugsd_core.metrics import METRICS

    units = {name: METRICS[name].unit if name in METRICS else "" for name in (*METRICS, metric)}
    table = paired_table(rows, units, locale)
    found = differences(a, system_a, b, system_b, metric)
    name = metric_name(locale, metric)
    if not found:
        return table + f'<p class="soft">{escape(say(locale, "eval.compare.alike", metric=name))}</p>'
    heads = [say(locale, "rows.clip"), *(system_name(locale, system) for system in (system_a, system_b)),
             say(locale, "eval.compare.difference")]  # fmt: skip
    body = "".join(_difference_row(one, a, system_a, b, system_b, units[metric]) for one in found[:SHOWN])
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    title = say(locale, "eval.compare.most", metric=name, number=min(SHOWN, len(found)), of=f"{len(found):,}")
    inside = f'<table class="apart"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f"{table}<h3>{escape(title)}</h3>{scroll(title, inside)}"


def _difference_row(one: Difference, a: OpenRun, system_a: str, b: OpenRun, system_b: str, unit: str) -> str:
    first, second = (run.line(one.id, system) for run, system in ((a, system_a), (b, system_b)))
    texts = [(line.hypothesis or "").strip() for line in (first, second)]
    marked = [escape(texts[0]), word_diff(texts[0], texts[1])]
    cells = "".join(
        f'<td><p class="row-caption" lang="{a.language}">{text}</p><small>{metric_figure(value, unit)}</small></td>'
        for text, value in zip(marked, (one.a, one.b), strict=True)
    )
    return (
        f'<tr><th scope="row"><code translate="no">{escape(one.id)}</code></th>{cells}'
        f'<td class="n"><b>{metric_figure(one.a - one.b, unit, sign=True)}</b></td></tr>'
    )
