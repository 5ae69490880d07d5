"""What an evaluation would do, and everything that stands against it, before anything runs.

`check` gives a list of sentences and, where nothing is against it, the plan. The page shows the list in the visitor's
language, a program gets it in English.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ugsd_core.errors import UgsdError
from ugsd_core.evaluation.plan import EvaluationPlan
from ui.engine_words import problem, told
from ui.language import Locale, say, sentences
from ui.link import LinkSetting

if TYPE_CHECKING:
    from ugsd_core.corpora import Corpus, Finding
    from ui.corpus_places import Place
    from ui.evaluation_parts import Services

__all__ = ["Check", "Item", "Wanted", "check", "plan_folder"]

#: Findings that mean that nothing can be evaluated.
_GRAVE = frozenset({"nothing_usable", "no_audio"})
_SEED = 0

State = Literal["ok", "note", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a visitor or a program asks for.

    Attributes:
        place: Key of the corpus.
        format: A key of `ugsd_core.corpora.FORMATS`; empty recognises it.
        limit: At most so many clips; 0 takes all.
        anew: Do not go on with a run of the same settings.
        link: The emulated link to the verifier.
    """

    place: str
    format: str
    language: Literal["en", "zh"]
    limit: int
    systems: tuple[str, ...]
    anew: bool = False
    link: LinkSetting = field(default_factory=LinkSetting)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is in order or not.

    Attributes:
        key, values: The sentence, of the tables; empty where the engine said it.
        told: Sentences of the engine: what is so, and how it is mended.
        examples: Cases of it: the line of the table, the clip, and a sentence of the engine.
    """

    state: State
    key: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    examples: tuple[tuple[int | None, str, str], ...] = ()
    error: Exception | None = None

    def text(self, locale: Locale) -> str:
        """In plain words."""
        parts = [say(locale, self.key, **self.values)] if self.key else []
        if self.error is not None:
            parts.append(_sentence(problem(locale, self.error).text))
        return sentences(locale, *parts, *(told(locale, sentence).text for sentence in self.told))

    def html(self, locale: Locale) -> str:
        """As an item of a list, with the cases to unfold."""
        parts = [escape(say(locale, self.key, **self.values))] if self.key else []
        if self.error is not None:
            said = problem(locale, self.error)
            text = escape(_sentence(said.text))
            parts.append(text if said.translated else f'<span lang="en">{text}</span>')
        parts += [told(locale, sentence).html for sentence in self.told]
        cases = "".join(f"<li>{_case(locale, *example)}</li>" for example in self.examples)
        name = escape(say(locale, "eval.check.cases"))
        more = f'<details class="more"><summary>{name}</summary><ul>{cases}</ul></details>' if cases else ""
        state = escape(say(locale, f"eval.check.{self.state}"))
        mark = f'<span class="check-mark" role="img" aria-label="{state}"></span>'
        return f'<li class="check {self.state}">{mark}<div>{sentences(locale, *parts)}{more}</div></li>'


def _case(locale: Locale, row: int | None, clip: str, sentence: str) -> str:
    where = [escape(say(locale, "eval.check.line", number=row))] if row is not None else []
    where += [f'<code translate="no">{escape(clip)}</code>'] if clip else []
    return " ".join([*where, told(locale, sentence).html] if sentence else where)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "。")) else ".")


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a check.

    Attributes:
        plan: What may be started; None if something is against it.
        place: The corpus; None if there is none.
    """

    wanted: Wanted
    items: tuple[Item, ...]
    plan: EvaluationPlan | None = None
    place: Place | None = None

    def html(self, locale: Locale) -> str:
        """The list, the gravest first."""
        order = ("bad", "warn", "ok", "note")
        items = sorted(self.items, key=lambda item: order.index(item.state))
        return f'<ul class="checks">{"".join(item.html(locale) for item in items)}</ul>'


def check(services: Services, wanted: Wanted, session: str = "") -> Check:
    """Look at everything that an evaluation needs; raises nothing that a person could mend."""
    items = [_engine(services)]
    place, corpus = None, None
    try:
        place = services.places.find(wanted.place, session)
        corpus = services.places.read(place, wanted.format or None)
    except UgsdError as error:
        items.append(Item("bad", error=error))
    usable = 0
    if corpus is not None:
        found, usable = _corpus(corpus, wanted)
        items += found
    systems = None
    try:
        systems = _systems(wanted)
    except UgsdError as error:
        items.append(Item("bad", error=error))
    items += _link(wanted)
    items.append(_metrics(wanted.language))
    if any(item.state == "bad" and item.error for item in items):
        return Check(wanted, tuple(items), None, place)
    if corpus is None or systems is None or not usable:
        return Check(wanted, tuple(items), None, place)
    limit = min(wanted.limit, usable) if wanted.limit > 0 else usable
    folder = plan_folder(services.folders.folder, corpus, wanted)
    items += _writable(folder)
    items.append(_extent(services, limit, len(systems)))
    items += _before(folder, limit * len(systems))
    if any(item.state == "bad" for item in items):
        return Check(wanted, tuple(items), None, place)
    plan = EvaluationPlan(corpus, wanted.language, systems, folder, _SEED, None if limit == usable else limit)
    return Check(wanted, tuple(items), plan, place)


def _engine(services: Services) -> Item:
    if services.jobs is None:
        return Item("bad", "eval.check.no_models")
    state = services.jobs.state
    if state is not None and state.goes_on:
        return Item("bad", "eval.check.busy", {"run": state.run})
    return Item("ok", "eval.check.models")


def _corpus(corpus: Corpus, wanted: Wanted) -> tuple[list[Item], int]:
    from ugsd_core.corpora import preflight

    found = preflight(corpus, wanted.language)
    key = "eval.check.corpus" if found.ready else "eval.check.corpus.none"
    values = {
        "usable": f"{found.usable:,}",
        "clips": f"{found.clips:,}",
        "language": wanted.language,
        "format": found.format,
    }
    head = Item("ok" if found.ready else "bad", f"{key}.{wanted.language}", values | {"name": found.corpus})
    return [head, *(_finding(finding, corpus) for finding in found.findings)], found.usable


def _finding(finding: Finding, corpus: Corpus) -> Item:
    # A visitor need not know where on the server the corpus lies.
    place = str(corpus.folder or "")
    cases = tuple(
        (example.row, example.clip, example.message.replace(place, corpus.name) if place else example.message)
        for example in finding.examples
    )
    state: State = "bad" if finding.kind in _GRAVE else "warn" if finding.lost or finding.kind == "one_clip" else "note"
    return Item(state, told=(finding.message, finding.remedy), examples=cases)


def _systems(wanted: Wanted) -> Any:
    from ugsd_core.evaluation.systems import parse_systems

    return parse_systems(",".join(wanted.systems), language=wanted.language, seed=_SEED)


def _link(wanted: Wanted) -> list[Item]:
    """What is emulated is said; what makes no sense stands against it."""
    try:
        conditions = wanted.link.conditions()
    except UgsdError as error:
        return [Item("bad", error=error)]
    return [] if conditions.plain else [Item("note", "eval.check.link", {"told": conditions.told})]


def _metrics(language: str) -> Item:
    from ugsd_core.metrics import metric_names, unavailable

    names = metric_names(language)
    missing = {name: text for name, text in unavailable(language).items() if name in names}
    if missing:
        lines = tuple((None, "", text) for text in dict.fromkeys(missing.values()))
        return Item("warn", "eval.check.metrics.missing", {"number": len(missing), "of": len(names)}, examples=lines)
    return Item("ok", "eval.check.metrics", {"number": len(names)})


def _writable(folder: Path) -> list[Item]:
    parent = next(path for path in folder.parents if path.exists())
    return [] if os.access(parent, os.W_OK) else [Item("bad", "eval.check.folder", {"folder": folder.parent.name})]


def _extent(services: Services, clips: int, systems: int) -> Item:
    """How many captions, and for how long at the speed of the newest run here."""
    captions = {"clips": f"{clips:,}", "systems": systems, "captions": f"{clips * systems:,}"}
    for entry in services.folders.listed()[:5]:
        timings = services.folders.timings(entry.name)
        speed = timings.get("captions_per_minute")
        if speed:
            minutes = clips * systems / float(speed)
            return Item("note", "eval.check.extent", captions | {"minutes": f"{max(minutes, 0.1):,.1f}"})
    return Item("note", "eval.check.extent.unknown", captions)


def _before(folder: Path, total: int) -> list[Item]:
    """A run of the same settings goes on."""
    from ugsd_core.evaluation.records import CLIPS_FILE

    try:
        done = (folder / CLIPS_FILE).read_bytes().count(b"\n")
    except OSError:
        return []
    return [Item("note", "eval.check.before", {"done": f"{min(done, total):,}", "total": f"{total:,}"})]


def plan_folder(runs: Path, corpus: Corpus, wanted: Wanted) -> Path:
    """The run's folder, the same for the same corpus, language, limit and link: so it goes on with more systems too."""
    facts = f"{corpus.sha256}/{wanted.language}/{wanted.limit if wanted.limit > 0 else 'all'}/{_SEED}"
    conditions = wanted.link.conditions()
    facts += "" if conditions.plain else f"/{conditions}"
    name = re.sub(r"[^\w-]+", "-", corpus.name).strip("-")[:40] or "corpus"
    base = f"{name}-{wanted.language}-{hashlib.sha256(facts.encode()).hexdigest()[:6]}"
    names = [base, *(f"{base}-{number}" for number in range(2, 1000))]
    there = [number for number, text in enumerate(names) if (runs / text).exists()]
    last = there[-1] if there else 0
    if wanted.anew:
        return runs / names[last + 1 if there else 0]
    return runs / names[last]
