"""What the tab *Evaluate* shows of a scored run: pure functions from its figures to markup.

Every number carries its definition: the name of a row opens it, and for a metric its signature with it. Text from
outside is escaped here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from ugsd_core.evaluation.manifest import link_of
from ui.components.figures import percent, size
from ui.language import Locale, listed, say
from ui.link import link_badge
from ui.open_run import OpenRun

__all__ = [
    "GROUPS",
    "about_run",
    "corpus_table",
    "metric_digits",
    "metric_figure",
    "metric_name",
    "paired_table",
    "row_head",
    "run_pairs",
    "scroll",
    "system_name",
]

#: Metrics in the groups of the table; those that are in none follow at the end.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("emotion", ("emotion_f1", "emotion_coverage", "emotion_consistency")),
    (
        "likeness",
        (
            "paper_bleu1",
            "paper_bleu4",
            "bleu1",
            "bleu4",
            "meteor",
            "meteor_exact_zh",
            "rougeL",
            "rougeL_unstemmed",
            "cider_d",
            "embedding_cosine",
        ),
    ),
    ("length", ("bleu_bp", "length_ratio", "length", "reference_length")),
)
_RATIOS = (
    "transmission_rate", "escalation_rate", "exposure_rate", "changed_rate", "useful_escalation_rate",
    "meaning_changed_rate", "draft_acceptance_rate",
)  # fmt: skip
_CLOCKS = ("ttft_draft_s", "ttft_commit_s", "oet_s", "total_s", "wall_s", "itps", "otps")
_BYTES = ("wire_up", "wire_down", "waveform")
_RESOURCES = ("edge_cpu_percent", "verifier_cpu_percent", "edge_rss_mb", "verifier_rss_mb", "gpu_mb")


# ── Names and numbers ─────────────────────────────────────────────────────────────────────────────────────────────


def _known(locale: Locale, key: str, otherwise: str) -> str:
    try:
        return say(locale, key)
    except KeyError:
        return otherwise


def system_name(locale: Locale, name: str) -> str:
    """A system's name in a language; one that the tables do not know keeps its own."""
    return _known(locale, f"name.system.{name}", name)


def metric_name(locale: Locale, name: str) -> str:
    """A metric's name in a language."""
    return _known(locale, f"name.metric.{name}", name)


_DIGITS = {"0–100": 1, "0–10": 2, "0–1": 3, "ratio": 2, "tokens": 1}


def metric_means(locale: Locale, name: str) -> str:
    """A metric's definition in a language; a plug-in's as its package has it."""
    from ugsd_core.metrics import METRICS

    known = METRICS[name].definition if name not in METRICS.builtin and name in METRICS else ""
    return _known(locale, f"metric.{name}", known)


def metric_digits(unit: str) -> int:
    """Digits behind the point."""
    return _DIGITS.get(unit, 2)


def metric_figure(value: float | None, unit: str, *, sign: bool = False) -> str:
    """A metric's value for people; a dash where it has none."""
    if value is None:
        return "–"
    digits = metric_digits(unit)
    if round(value, digits) == 0:
        value = 0.0  # no minus before a zero
    return f"{value:{'+' if sign and value else ''}.{digits}f}".replace("-", "−")


def _share(value: float) -> str:
    """A share that may lie outside of 0…1."""
    return f"{100 * value:.0f} %".replace("-", "−")


def _clock(name: str, value: float | None, locale: Locale) -> str:
    if value is None:
        return "–"
    if name in ("itps", "otps"):
        return say(locale, "figures.speed", number=f"{value:,.0f}")
    return f"{1000 * value:,.0f} ms" if value < 9.9995 else f"{value:.1f} s"


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


def scroll(name: str, table: str) -> str:
    """A table that scrolls in itself and does not widen the page."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name, quote=True)}">{table}</div>'


def row_head(name: str, means: str, signature: str = "") -> str:
    """The head of a row: its name opens what it means."""
    more = f'<p class="signature"><code translate="no">{escape(signature)}</code></p>' if signature else ""
    return (
        f'<th scope="row"><details class="defined"><summary>{escape(name)}</summary>'
        f"<p>{escape(means)}</p>{more}</details></th>"
    )


def _cell(value: str, below: str = "", title: str = "") -> str:
    more = f"<small>{escape(below)}</small>" if below else ""
    about = f' title="{escape(title, quote=True)}"' if title else ""
    return f"<td{about}><b>{escape(value)}</b>{more}</td>"


def _group(locale: Locale, key: str, columns: int) -> str:
    return f'<tr class="group"><th scope="colgroup" colspan="{columns + 1}">{escape(say(locale, key))}</th></tr>'


def _heads(locale: Locale, figures: dict[str, Any]) -> str:
    """Names of the systems, and on how many captions their figures stand."""
    heads = "".join(
        f'<th scope="col">{escape(system_name(locale, name))}<small>n = {one.get("n", 0):,}</small></th>'
        for name, one in figures.items()
    )
    return f"<thead><tr><td></td>{heads}</tr></thead>"


def _interval(low: Any, high: Any, tell: Callable[[float], str]) -> str:
    return "" if low is None or high is None else f"{tell(low)} … {tell(high)}"


def corpus_table(run: OpenRun, locale: Locale) -> str:
    """All figures of a run: a row a metric, ratio or clock, a column a system."""
    metrics, timings = run.metrics, run.timings
    systems = [name for name in metrics.get("systems", {}) if name in run.systems]
    if not systems:
        return ""
    figures = {name: metrics["systems"][name] for name in systems}
    timed = {name: timings.get("systems", {}).get(name, {}) for name in systems}
    rows = [*_metric_rows(figures, locale), *_closure_rows(figures, locale), *_ratio_rows(figures, locale)]
    rows += [*_clock_rows(timed, locale), *_byte_rows(figures, locale), *_resource_rows(timed, locale)]
    table = f'<table class="evaluated">{_heads(locale, figures)}<tbody>{"".join(rows)}</tbody></table>'
    return scroll(say(locale, "eval.table"), table) + _systems_note(systems, locale) + _reading_note(run, locale)


def _metric_rows(figures: dict[str, Any], locale: Locale) -> Iterable[str]:
    there = list(dict.fromkeys(name for one in figures.values() for name in one.get("metrics", {})))
    grouped = [(key, [name for name in names if name in there]) for key, names in GROUPS]
    rest = [name for name in there if not any(name in names for _, names in grouped)]
    for key, names in [*grouped, ("other", rest)]:
        if names:
            yield _group(locale, f"eval.group.{key}", len(figures))
        for name in names:
            scores = [one.get("metrics", {}).get(name) for one in figures.values()]
            signature = next((score["signature"] for score in scores if score), "")
            means = metric_means(locale, name)
            counts = [one.get("n") for one in figures.values()]
            cells = "".join(_metric_cell(score, n) for score, n in zip(scores, counts, strict=True))
            yield f"<tr>{row_head(metric_name(locale, name), means, signature)}{cells}</tr>"


def _metric_cell(score: dict[str, Any] | None, captions: int | None) -> str:
    """Value and interval; and on how many clips the metric has a meaning, where those are not all."""
    if not score:
        return _cell("–")
    unit = score.get("unit", "")
    interval = _interval(score.get("low"), score.get("high"), lambda value: metric_figure(value, unit))
    n = f"n = {score.get('n'):,}"
    below = interval if score.get("n") == captions else f"{interval} ({n})" if interval else n
    return _cell(metric_figure(score.get("value"), unit), below, n)


def _closure_rows(figures: dict[str, Any], locale: Locale) -> Iterable[str]:
    names = list(dict.fromkeys(name for one in figures.values() for name in one.get("gap_closure", {})))
    chosen = [name for name in ("emotion_f1", "emotion_consistency", "meteor", "meteor_exact_zh", "rougeL", "cider_d")
              if name in names]  # fmt: skip
    if not chosen:
        return
    yield _group(locale, "eval.group.closure", len(figures))
    for name in chosen:
        cells = ""
        for one in figures.values():
            found = one.get("gap_closure", {}).get(name)
            if not found or found.get("value") is None:
                cells += _cell("–")
                continue
            below = "" if found.get("firm") else say(locale, "eval.closure.loose")
            interval = _interval(found.get("low"), found.get("high"), _share)
            cells += _cell(_share(found["value"]), below or interval, f"n = {found.get('n')}")
        yield f"<tr>{row_head(metric_name(locale, name), say(locale, 'eval.closure.means'))}{cells}</tr>"


def _ratio_rows(figures: dict[str, Any], locale: Locale) -> Iterable[str]:
    yield _group(locale, "eval.group.ratios", len(figures))
    for name in _RATIOS:
        cells = ""
        for one in figures.values():
            found = one.get("ratios", {}).get(name) or {}
            interval = _interval(found.get("low"), found.get("high"), percent).replace(" % …", " …")
            pooled = found.get("pooled")
            title = (
                say(locale, "eval.pooled", pooled=percent(pooled), n=found.get("n", 0)) if pooled is not None else ""
            )
            cells += _cell(percent(found.get("value")), interval, title)
        means = f"{say(locale, f'ratio.{name}')} {say(locale, 'eval.ratio.means')}"
        yield f"<tr>{row_head(say(locale, f'figure.{name}'), means)}{cells}</tr>"


def _clock_rows(timed: dict[str, Any], locale: Locale) -> Iterable[str]:
    if not any(timed.values()):
        return
    yield _group(locale, "eval.group.clocks", len(timed))
    for name in _CLOCKS:
        cells = ""
        for one in timed.values():
            found = one.get("clocks", {}).get(name) or {}
            p50, p95 = found.get("p50"), found.get("p95")
            below = (
                ""
                if p95 is None
                else say(
                    locale, "eval.p95", value=f"{p95:,.0f}" if name in ("itps", "otps") else _clock(name, p95, locale)
                )
            )
            cells += _cell(_clock(name, p50, locale), below, f"n = {found.get('n', 0)}")
        if name == "wall_s":
            head = row_head(say(locale, "eval.wall"), say(locale, "eval.wall.means"))
        else:
            head = row_head(say(locale, f"figure.{name}"), say(locale, f"clock.{name}"))
        yield f"<tr>{head}{cells}</tr>"


def _byte_rows(figures: dict[str, Any], locale: Locale) -> Iterable[str]:
    if not any(one.get("bytes") for one in figures.values()):
        return
    yield _group(locale, "eval.group.bytes", len(figures))
    for name in _BYTES:
        cells = ""
        for one in figures.values():
            mean = (one.get("bytes", {}).get(name) or {}).get("mean")
            cells += _cell("–" if mean is None else size(mean))
        yield f"<tr>{row_head(say(locale, f'eval.bytes.{name}'), say(locale, f'eval.bytes.{name}.means'))}{cells}</tr>"


def _resource_rows(timed: dict[str, Any], locale: Locale) -> Iterable[str]:
    there = [name for name in _RESOURCES if any((one.get("resources") or {}).get(name) is not None
                                                for one in timed.values())]  # fmt: skip
    if there:
        yield _group(locale, "eval.group.resources", len(timed))
    for name in there:
        cells = ""
        for one in timed.values():
            value = (one.get("resources") or {}).get(name)
            unit = "%" if name.endswith("percent") else "MB"
            cells += _cell("–" if value is None else f"{value:,.0f} {unit}")
        yield f"<tr>{row_head(say(locale, f'eval.resource.{name}'), say(locale, f'resource.{name}'))}{cells}</tr>"


def _systems_note(systems: Sequence[str], locale: Locale) -> str:
    known = [(system_name(locale, name), _known(locale, f"system.{name}", "")) for name in systems]
    items = "".join(f"<li><b>{escape(name)}</b>: {escape(means)}</li>" for name, means in known if means)
    return _details(say(locale, "eval.systems.means"), f"<ul>{items}</ul>") if items else ""


def _details(title: str, inside: str) -> str:
    return f'<details class="more"><summary>{escape(title)}</summary>{inside}</details>'


def _reading_note(run: OpenRun, locale: Locale) -> str:
    metrics = run.metrics
    resampled = say(locale, f"eval.resampled.{'speakers' if metrics.get('resampled') == 'speakers' else 'clips'}")
    parts = [
        say(locale, "eval.reading.interval", draws=metrics.get("draws", 0), resampled=resampled),
        say(locale, "eval.reading.ngrams"),
        say(locale, "eval.reading.clocks"),
    ]
    items = "".join(f"<li>{escape(text)}</li>" for text in parts)
    missing = metrics.get("missing_metrics") or {}
    items += "".join(f'<li lang="en">{escape(sentence)}</li>' for sentence in missing.values())
    return _details(say(locale, "eval.reading"), f"<ul>{items}</ul>")


# ── Differences ───────────────────────────────────────────────────────────────────────────────────────────────────


def paired_table(rows: Sequence[dict[str, Any]], units: dict[str, str], locale: Locale) -> str:
    """Differences between systems on the same clips.

    Args:
        rows: As ``paired`` in ``metrics.json``: ``metric``, ``a``, ``b``, ``difference``, ``low``, ``high``, ``p``,
            ``n``, ``mde``.
        units: Of the metrics.
    """
    pairs = list(dict.fromkeys((row["a"], row["b"]) for row in rows))
    names = list(dict.fromkeys(row["metric"] for row in rows))
    if not pairs:
        return ""
    found = {(row["metric"], row["a"], row["b"]): row for row in rows}
    heads = "".join(
        f'<th scope="col">{escape(system_name(locale, a))} − {escape(system_name(locale, b))}</th>' for a, b in pairs
    )
    body = ""
    for name in names:
        cells = "".join(_pair_cell(found.get((name, a, b)), units.get(name, ""), locale) for a, b in pairs)
        body += f"<tr>{row_head(metric_name(locale, name), metric_means(locale, name))}{cells}</tr>"
    table = f'<table class="evaluated"><thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table>'
    means = "".join(
        f"<li><b>{escape(say(locale, f'eval.pair.{key}'))}</b>: {escape(say(locale, f'eval.pair.{key}.means'))}</li>"
        for key in ("difference", "p", "mde")
    )
    return scroll(say(locale, "eval.pairs"), table) + _details(say(locale, "compare.means"), f"<ul>{means}</ul>")


def run_pairs(run: OpenRun, locale: Locale) -> str:
    """The comparisons within a run; empty where there are none."""
    metrics = run.metrics
    units = {
        name: score.get("unit", "")
        for one in metrics.get("systems", {}).values()
        for name, score in one.get("metrics", {}).items()
    }
    return paired_table(metrics.get("paired", []), units, locale)


def _pair_cell(row: dict[str, Any] | None, unit: str, locale: Locale) -> str:
    if row is None or row.get("difference") is None:
        return _cell("–")
    low, high, p, mde = (row.get(key) for key in ("low", "high", "p", "mde"))
    interval = _interval(low, high, lambda value: metric_figure(value, unit, sign=True))
    parts = [f"p {'< .001' if p < 0.001 else f'= {p:.3f}'.replace('0.', '.')}"] if p is not None else []
    if mde is not None:
        parts.append(f"MDE {metric_figure(mde, unit)}")
    clear = low is not None and high is not None and (low > 0 or high < 0)
    mark = "" if not clear else " ▲" if row["difference"] > 0 else " ▼"
    value = metric_figure(row["difference"], unit, sign=True) + mark
    below = "".join(f"<small>{escape(text)}</small>" for text in (interval, " · ".join(parts)) if text)
    return f'<td class="{"clear" if clear else ""}" title="n = {row.get("n")}"><b>{escape(value)}</b>{below}</td>'


# ── The run ───────────────────────────────────────────────────────────────────────────────────────────────────────


def about_run(run: OpenRun, locale: Locale) -> str:
    """What was evaluated on what; failed clips are listed, never hidden."""
    facts = say(
        locale,
        "eval.about",
        clips=f"{run.clips:,}",
        systems=len(run.systems),
        captions=f"{len(run.lines):,}",
        language=say(locale, f"eval.language.{run.language}"),
        referenced=f"{run.referenced:,}",
        labelled=f"{run.labelled:,}",
    )
    head = (
        f'<h2>{escape(say(locale, "eval.run"))} · <code translate="no">{escape(run.name)}</code></h2>'
        f'<p class="soft"><span translate="no">{escape(run.corpus)}</span>: {escape(facts)}</p>'
    )
    return head + link_badge(locale, link_of(run.manifest) or "") + _failed(run, locale)


def _failed(run: OpenRun, locale: Locale) -> str:
    failed = [line for line in run.lines if line.error is not None]
    if not failed:
        return ""
    shown = failed[:20]
    items = "".join(
        f"<li><code>{escape(line.id)}</code> · {escape(system_name(locale, line.system))}: "
        f'<span lang="en">{escape(line.error or "")}</span></li>'
        for line in shown
    )
    more = f"<li>{escape(say(locale, 'eval.failed.more', number=len(failed) - len(shown)))}</li>"
    rest = more if len(failed) > len(shown) else ""
    title = say(locale, "eval.failed", number=len(failed))
    return f'<details class="more warned"><summary>{escape(title)}</summary><ul>{items}{rest}</ul></details>'


def listed_systems(locale: Locale, systems: Iterable[str]) -> str:
    """Systems one after the other."""
    return listed(locale, [system_name(locale, name) for name in systems])
