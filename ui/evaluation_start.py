"""The cards of the tab *Evaluate* that start an evaluation: what, the check before, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ugsd_core.errors import UgsdError
from ui.corpus_places import EXAMPLES, Place
from ui.evaluation_check import Check, Wanted, check
from ui.evaluation_jobs import JobState
from ui.evaluation_parts import QUIET, Services, Values, in_thread
from ui.evaluation_state import Said
from ui.evaluation_view import system_name
from ui.language import Locale, say
from ui.link import LinkSetting
from ui.view import error_line, status_html
from ui.wording import Line

__all__ = ["POLL_S", "StartCards", "job_html", "place_choices"]

#: How often an open tab asks how far the evaluation is, while one runs.
POLL_S = 1.0


def place_choices(services: Services, session: str, locale: Locale) -> list[tuple[str, str]]:
    """Corpora by name, and their keys."""
    return [(_place_name(place, locale), place.key) for place in services.places.listed(session)]


def _place_name(place: Place, locale: Locale) -> str:
    if place.key == EXAMPLES:
        return say(locale, "eval.place.examples")
    return say(locale, f"eval.place.{place.origin}", name=place.name)


@dataclass(frozen=True, slots=True)
class StartCards:
    """The components, and what they show each visitor."""

    services: Services
    locale: gr.Radio
    place: gr.Dropdown
    bring: gr.UploadButton
    format: gr.Dropdown
    language: gr.Radio
    limit: gr.Number
    systems: gr.CheckboxGroup
    means: gr.HTML
    anew: gr.Checkbox
    links: list[Any]
    look: gr.Button
    start: gr.Button
    said: gr.HTML
    found: gr.HTML
    job: gr.HTML
    stop: gr.Button
    open_run: gr.Button
    timer: gr.Timer

    @property
    def outputs(self) -> list[Any]:
        """Everything that `show` may change."""
        return [self.place, self.systems, self.means, self.start, self.said, self.found, *self.job_outputs]

    @property
    def job_outputs(self) -> list[Any]:
        """What tells of the job."""
        return [self.job, self.stop, self.open_run, self.timer]

    @property
    def settings(self) -> list[Any]:
        """The form, in the order of `Wanted`."""
        return [self.place, self.format, self.language, self.limit, self.systems, self.anew, *self.links]

    # Wiring

    def wire(
        self, shown: list[Any], show: Callable[[str, Locale], Values], look_at: Callable[[str, str], None]
    ) -> None:
        """Connect what happens in the cards.

        Args:
            shown, show: The components that a run is shown in, and what gives their values.
            look_at: Chooses a visitor's run.
        """

        def ticked(locale: Locale, request: gr.Request) -> Values:
            session = request.session_hash or ""
            found, ended = self.progress(session, locale)
            state = self.services.jobs.state if self.services.jobs else None
            visit = self.services.visits.of(session)
            if ended and state is not None and state.done and visit.opened in ("", state.run):
                if not visit.opened:
                    look_at(session, state.run)
                found |= show(session, locale)
            return found

        def opened(locale: Locale, request: gr.Request) -> Values:
            session = request.session_hash or ""
            state = self.services.jobs.state if self.services.jobs else None
            if state is None:
                return {self.job: gr.skip()}
            look_at(session, state.run)
            return show(session, locale)

        heavy = QUIET | {"concurrency_limit": 4}
        quick = QUIET | {"queue": False}
        self.bring.upload(
            self.brought, [self.bring, self.locale], [self.place, self.said, self.found, self.start], **heavy
        )
        self.look.click(
            self.looked,
            [self.locale, *self.settings],
            [self.said, self.found, self.start],
            trigger_mode="once",
            **heavy,
        )
        self.start.click(
            self.started, [self.locale, *self.settings], [self.said, self.found, self.start, *self.job_outputs],
            trigger_mode="once", **heavy,
        )  # fmt: skip
        self.stop.click(self.stopped, self.locale, self.job_outputs, **quick)
        self.open_run.click(opened, self.locale, shown, trigger_mode="once", **heavy)
        self.timer.tick(ticked, self.locale, [*self.job_outputs, *shown], **heavy)
        changes = [control.input for control in self.settings]
        gr.on(changes, self.changed, self.settings, [self.start, self.found, self.said], **quick)

    # What happens

    def changed(self, request: gr.Request, *values: Any) -> Values:
        """Another evaluation is wanted than the one that was checked; or a list was only passed with the keyboard."""
        visit = self.services.visits.of(request.session_hash or "")
        if isinstance(visit.checked, Check) and visit.checked.wanted == _wanted(*values):
            return {self.start: gr.skip()}
        visit.checked, visit.start_line = None, None
        return {self.start: gr.update(interactive=False), self.found: "", self.said: ""}

    def brought(self, path: str, locale: Locale, request: gr.Request) -> Iterator[Values]:
        """A zip of a corpus was uploaded; it is unpacked for this visit."""
        session = request.session_hash or ""
        try:
            archive = Path(path)
            for done, of in in_thread(lambda tell: self.services.places.bring(session, archive, tell)):
                yield self._says(session, locale, _unpacking(done, of))
            place = self.services.places.listed(session)[0]
            line = _brought(place.name)
            choices = place_choices(self.services, session, locale)
            found: Values = {self.place: gr.update(choices=choices, value=place.key)}
        except UgsdError as error:
            found, line = {}, _problem(error)
        finally:
            Path(path).unlink(missing_ok=True)
        self.services.visits.of(session).checked = None
        yield found | {self.found: "", self.start: gr.update(interactive=False)} | self._says(session, locale, line)

    def looked(self, locale: Locale, request: gr.Request, *values: Any) -> Iterator[Values]:
        """Whether it could be started."""
        session = request.session_hash or ""
        yield self._says(session, locale, lambda now: Line(say(now, "eval.checking"), "busy"))
        found = check(self.services, _wanted(*values), session)
        self.services.visits.of(session).checked = found
        yield self._checked(session, found, locale)

    def started(self, locale: Locale, request: gr.Request, *values: Any) -> Iterator[Values]:
        """It is started, if nothing came between."""
        session = request.session_hash or ""
        yield self._says(session, locale, lambda now: Line(say(now, "eval.checking"), "busy")) | {
            self.start: gr.update(interactive=False)
        }
        found = check(self.services, _wanted(*values), session)
        visit = self.services.visits.of(session)
        visit.checked = found
        try:
            self.begin(found)
        except UgsdError as error:
            yield self._checked(session, found, locale) | self._says(session, locale, _problem(error))
            return
        if found.plan is None:
            yield self._checked(session, found, locale)
            return
        visit.checked = None
        yield self._says(session, locale, _begun) | {self.found: ""} | self.progress(session, locale)[0]

    def begin(self, found: Check) -> JobState | None:
        """Start what was checked; None if something is against it.

        Raises:
            OptionError: If an evaluation runs already.
        """
        jobs, place = self.services.jobs, found.place
        if found.plan is None or jobs is None or place is None:
            return None
        places = self.services.places
        places.hold(place)
        try:
            notes = {"place": place.key, "by": "page"}
            return jobs.start(
                found.plan,
                place=place.key,
                notes=notes,
                link=found.wanted.link.conditions(),
                ended=lambda: places.release(place),
            )
        except BaseException:
            places.release(place)
            raise

    def stopped(self, locale: Locale, request: gr.Request) -> Values:
        """The evaluation is to end."""
        if self.services.jobs is not None:
            self.services.jobs.stop()
        return self.progress(request.session_hash or "", locale)[0]

    # What is shown

    def show(self, session: str, locale: Locale) -> Values:
        """All of the cards, as far as they depend on the visitor or the language."""
        visit = self.services.visits.of(session)
        found = visit.checked
        values: Values = {
            self.place: gr.update(choices=place_choices(self.services, session, locale)),
            self.systems: gr.update(choices=system_choices(locale)),
            self.means: systems_means(locale),
            self.said: status_html(visit.start_line(locale)) if visit.start_line else "",
            self.found: found.html(locale) if isinstance(found, Check) else "",
            self.start: gr.update(interactive=isinstance(found, Check) and found.plan is not None),
        }
        return values | self.progress(session, locale)[0]

    def progress(self, session: str, locale: Locale) -> tuple[Values, bool]:
        """What tells of the job, and whether it ended since it was told last."""
        state = self.services.jobs.state if self.services.jobs else None
        visit = self.services.visits.of(session)
        before = visit.job
        visit.job = (state.number, state.phase) if state else (0, "")
        goes_on = state is not None and state.goes_on
        seen = before[0] == visit.job[0] and before[1] in ("captioning", "scoring")
        ended = state is not None and not goes_on and seen and before != visit.job
        return {
            self.job: job_html(state, locale),
            self.stop: gr.update(visible=goes_on),
            self.open_run: gr.update(visible=state is not None and state.done > 0),
            self.timer: gr.Timer(POLL_S, active=goes_on),
        }, ended

    def _checked(self, session: str, found: Check, locale: Locale) -> Values:
        line: Said = _may_start if found.plan is not None else _may_not
        return self._says(session, locale, line) | {
            self.found: found.html(locale),
            self.start: gr.update(interactive=found.plan is not None),
        }

    def _says(self, session: str, locale: Locale, line: Said) -> Values:
        self.services.visits.of(session).start_line = line
        return {self.said: status_html(line(locale))}


def system_choices(locale: Locale) -> list[tuple[str, str]]:
    """Systems by name."""
    from ugsd_core.evaluation.systems import SYSTEMS

    return [(system_name(locale, name), name) for name in SYSTEMS]


def systems_means(locale: Locale) -> str:
    """What each system is."""
    from ugsd_core.evaluation.systems import SYSTEMS

    items = "".join(
        f"<li><b>{escape(system_name(locale, name))}</b>: {escape(say(locale, f'system.{name}'))}</li>"
        for name in SYSTEMS
    )
    name = escape(say(locale, "eval.systems.means"))
    return f'<details class="more"><summary>{name}</summary><ul>{items}</ul></details>'


def _wanted(place: Any, format: Any, language: Any, limit: Any, systems: Any, anew: Any, *link: Any) -> Wanted:
    return Wanted(
        str(place or ""),
        str(format or ""),
        "zh" if language == "zh" else "en",
        max(0, int(limit or 0)),
        tuple(systems or ()),
        bool(anew),
        LinkSetting(*link),
    )


# ── Sentences ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _may_start(locale: Locale) -> Line:
    return Line(say(locale, "eval.check.ready"))


def _may_not(locale: Locale) -> Line:
    return Line(say(locale, "eval.check.not_ready"), "bad")


def _begun(locale: Locale) -> Line:
    return Line(say(locale, "eval.begun"))


def _brought(name: str) -> Said:
    return lambda now: Line(say(now, "eval.brought", name=name))


def _unpacking(done: int, of: int) -> Said:
    return lambda now: Line(say(now, "eval.unpacking.part", percent=f"{100 * done / max(of, 1):.0f}"), "busy")


def _problem(error: Exception) -> Said:
    return lambda now: error_line(now, error)


# ── The job ───────────────────────────────────────────────────────────────────────────────────────────────────────


def job_html(state: JobState | None, locale: Locale) -> str:
    """How far the evaluation is; nothing before the first."""
    if state is None:
        return ""
    share = state.share if state.phase == "scoring" else state.done / state.total if state.total else 0.0
    parts = [f'<h2>{escape(say(locale, "eval.job"))} · <code translate="no">{escape(state.run)}</code></h2>']
    if state.goes_on:
        name = escape(say(locale, f"eval.job.{state.phase}"), quote=True)
        parts.append(
            f'<div class="progress" role="progressbar" aria-label="{name}" aria-valuemin="0" aria-valuemax="100" '
            f'aria-valuenow="{100 * share:.0f}"><i style="width:{100 * share:.1f}%"></i></div>'
        )
    tone = {"done": "calm", "stopped": "warn", "failed": "bad"}.get(state.phase, "busy")
    if state.error is not None:
        parts.append(f'<p class="status">{status_html(error_line(locale, state.error))}</p>')
    parts.append(f'<p class="status">{status_html(Line(_told(state, locale), tone))}</p>')
    return "".join(parts)


def _told(state: JobState, locale: Locale) -> str:
    counts = {"done": f"{state.done:,}", "total": f"{state.total:,}"}
    failed = say(locale, "eval.job.failed_clips", number=state.failed) if state.failed else ""
    if state.phase == "captioning":
        if state.ahead:
            now = say(locale, "eval.job.waits", number=state.ahead)
        elif state.last:
            now = say(locale, "eval.job.at", clip=state.last, system=system_name(locale, state.system))
        else:
            now = say(locale, "eval.job.warms_up")
        left = say(locale, "eval.job.left", time=duration(state.eta_s, locale)) if state.eta_s is not None else ""
        return " ".join(part for part in (say(locale, "eval.job.count", **counts), left, now, failed) if part)
    if state.phase == "scoring":
        return say(locale, "eval.job.scores", percent=f"{100 * state.share:.0f}")
    return " ".join(part for part in (say(locale, f"eval.job.{state.phase}", **counts), failed) if part)


def duration(seconds: float, locale: Locale) -> str:
    """A time that is left, for people."""
    if seconds < 90:
        return say(locale, "eval.seconds", number=max(1, round(seconds)))
    if seconds < 5400:
        return say(locale, "eval.minutes", number=round(seconds / 60))
    return say(locale, "eval.hours", number=f"{seconds / 3600:.1f}")
