"""What the tab *Inspect* shows of one run: pure functions from the run to the values of its components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ugsd_core.result import CaptionResult, caption_result
from ui.components import plots
from ui.components.figures import Timeline, ledger_table
from ui.components.token_strip import frames, strip_state
from ui.language import Locale, say
from ui.link import link_badge
from ui.shelf import Run, Shelf
from ui.view import tables

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["PLOTS", "RunFigures", "about_run", "plot_heading", "plot_of", "run_choices", "run_strip"]

#: The plots in the order of the page. Headings: ``plot.title.…``; why one may be missing: ``plot.none.…``.
PLOTS = ("entropy", "histogram", "time", "acceptance", "bytes", "sound")
#: A caption is cut to this many characters in the list of runs.
SHORT = 60


def run_choices(shelf: Shelf, session: str, locale: Locale) -> list[tuple[str, str]]:
    """What a person chooses a run by, and its name."""
    return [(_choice(run, locale), run.name) for run in shelf.listed(session)]


def _choice(run: Run, locale: Locale) -> str:
    caption = run.caption or say(locale, "runs.unfinished")
    short = caption if len(caption) <= SHORT else caption[: SHORT - 1] + "…"
    return f"{say(locale, f'runs.{run.origin}')} · {say(locale, f'runs.{run.start.mode}')} · {short}"


def about_run(run: Run, locale: Locale) -> str:
    """Who wrote it, from how much speech, with what gate."""
    start = run.start
    facts = say(locale, "runs.about", seconds=f"{start.duration_s:.1f}", mode=say(locale, f"runs.{start.mode}"))
    sides = " + ".join(str(entry.get("name", "?")) for entry in start.checkpoints.values())
    gate = f" · {start.options.get('gate', '')}" if start.mode == "ugsd" else ""
    return (
        f"<h2>{escape(say(locale, f'runs.{run.origin}'))} · <code>{run.name}</code></h2>"
        f'<p class="soft">{escape(facts)} <span lang="en" translate="no">{escape(sides + gate)}</span></p>'
        f"{link_badge(locale, start.link)}"
    )


def run_strip(run: Run) -> dict[str, Any]:
    """The strip's value, with which the run can be replayed."""
    return strip_state(run.events, run.name) | {"live": False, "frames": frames(run.events)}


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A run, folded once for all that is drawn of it."""

    run: Run
    result: CaptionResult
    timeline: Timeline

    @classmethod
    def of(cls, run: Run) -> RunFigures:
        """Fold a run."""
        timeline = Timeline()
        for event in run.events:
            timeline.feed(event)
        return cls(run, caption_result(run.events), timeline)

    @property
    def drafted(self) -> bool:
        """The edge proposed something."""
        return any(token.entropy_nats is not None for token in self.result.tokens)

    def tables(self, locale: Locale) -> str:
        """Ratios, clocks and ledger."""
        return tables(self.result, locale) + ledger_table(self.result, locale)


#: Each plot, and whether a run has something for it.
_DRAWN: dict[str, tuple[Callable[[RunFigures], bool], Callable[[RunFigures, Locale], Figure]]] = {
    "entropy": (lambda run: run.drafted, lambda run, locale: plots.entropy_plot(run.result, locale)),
    "histogram": (lambda run: run.drafted, lambda run, locale: plots.entropy_histogram(run.result, locale)),
    "time": (lambda run: bool(run.timeline.rows), lambda run, locale: plots.time_plot(run.timeline, locale)),
    "acceptance": (
        lambda run: bool(run.result.counts["escalations"]),
        lambda run, locale: plots.acceptance_plot(run.result, locale),
    ),
    "bytes": (
        lambda run: bool(run.result.ledger.get("rows")),
        lambda run, locale: plots.bytes_plot(run.result, locale),
    ),
    "sound": (lambda run: run.run.samples is not None, lambda run, locale: _sound(run.run, locale)),
}


def _sound(run: Run, locale: Locale) -> Figure:
    assert run.samples is not None
    return plots.sound_plot(run.samples, locale, plots.pitch_track(run.samples))


def plot_of(name: str, figures: RunFigures, locale: Locale) -> Figure | None:
    """One of `PLOTS`; None where the run has nothing for it."""
    there, draw = _DRAWN[name]
    return draw(figures, locale) if there(figures) else None


def plot_heading(name: str, locale: Locale, *, drawn: bool) -> str:
    """Its heading, and why there is no plot below it."""
    heading = f"<h2>{escape(say(locale, f'plot.title.{name}'))}</h2>"
    return heading if drawn else f'{heading}<p class="soft">{escape(say(locale, f"plot.none.{name}"))}</p>'
