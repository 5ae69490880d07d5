"""The lines under a caption: what was decided by whom, how long it took, and what left the device."""

from __future__ import annotations

from ugsd_core.result import CaptionResult
from ugsd_core.terminal import STATE_WORDS, Look, marked_text, paint, ramp_legend

__all__ = ["human_bytes", "report"]


def report(result: CaptionResult, look: Look) -> str:
    """The report as lines of text; the token strip is part of it where it could not be drawn live."""
    lines = [f"tokens    {marked_text(result.tokens)}"] if look == "plain" else []
    lines += [_legend(result, look), *filter(None, [ramp_legend(look)]), "", f"caption   {result.caption}"]
    lines += [f"ratios    {_ratios(result)}", f"clocks    {_clocks(result)}", f"ledger    {_ledger(result)}"]
    if result.link:
        lines.append(f"note      over an emulated link ({result.link}): times are not the network's")
    if result.finish_reason == "max_length":
        lines.append(f"note      the caption was ended at its maximum length, {result.counts['caption']} tokens")
    elif result.finish_reason is None:
        lines.append("note      the run ended before the caption did")
    return "\n".join(lines)


def _legend(result: CaptionResult, look: Look) -> str:
    states = (state for state in STATE_WORDS if result.counts.get(state) and state != "drafted")
    named = [f"{paint(STATE_WORDS[state], state, None, look)} {result.counts[state]}" for state in states]
    return f"states    {'  '.join(named)}"


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{100 * ratio:.0f} %"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _ratios(result: CaptionResult) -> str:
    counts, ratios = result.counts, result.ratios
    if result.mode == "cloud":
        return f"the verifier wrote all {_count(counts['caption'], 'token')} alone; nothing was drafted"
    blocks = _count(counts["blocks"], "block")
    if result.mode == "edge":
        return f"the edge wrote all {_count(counts['caption'], 'token')} alone, {blocks}; nothing was sent"
    parts = [f"{counts['escalations']} of {blocks} sent ({_percent(ratios.escalation_rate)})"]
    if counts["escalations"]:
        parts += [
            f"useful: {counts['blocks_changed']} of {counts['escalations']}, meaning changed: "
            f"{counts['meanings_changed']}",
            f"drafted tokens sent (ρ): {_percent(ratios.transmission_rate)}",
            f"drafts accepted where asked: {_percent(ratios.draft_acceptance_rate)}",
            f"caption seen by the verifier: {_percent(ratios.exposure_rate)}",
            f"changed by it: {_percent(ratios.changed_rate)}",
        ]
    elif not counts["unverified"]:
        parts.append(f"the gate ({result.options['gate']}) found no block unsure enough")
    if counts["unverified"]:
        parts.append(f"wanted the verifier and did not get it: {_count(counts['unverified'], 'token')}")
    return "; ".join(parts)


def _clocks(result: CaptionResult) -> str:
    clocks = result.clocks
    parts = [
        ("first draft", clocks.ttft_draft_s, "{:.3f} s"),
        ("first final token", clocks.ttft_commit_s, "{:.3f} s"),
        ("last token", clocks.oet_s, "{:.3f} s"),
        ("total", clocks.total_s, "{:.3f} s"),
        ("tokens read/s", clocks.itps, "{:.0f}"),
        ("tokens written/s", clocks.otps, "{:.0f}"),
        ("features", clocks.extract_ms, "{:.0f} ms"),
        ("prefill", clocks.prefill_ms, "{:.0f} ms"),
        ("connect", clocks.connect_ms, "{:.0f} ms"),
    ]
    return "; ".join(f"{name} {form.format(value)}" for name, value, form in parts if value is not None)


def _ledger(result: CaptionResult) -> str:
    ledger = result.ledger
    waveform = f"the waveform ({human_bytes(ledger['waveform_bytes'])}) stayed here"
    if not ledger["frames_up"]:
        return f"nothing left this device; {waveform}"
    sent = "; ".join(
        f"{row['traffic'].replace('_', ' ')} {human_bytes(row['wire_bytes'])}"
        for row in ledger["rows"]
        if row["direction"] == "up"
    )
    if ledger["posterior_bytes"]:
        sent += f"; of this the edge's view of the emotion {human_bytes(ledger['posterior_bytes'])}"
    up, down = human_bytes(ledger["up_wire_bytes"]), human_bytes(ledger["down_wire_bytes"])
    return f"up {up} in {_count(ledger['frames_up'], 'frame')} ({sent}); down {down}; {waveform}"


def human_bytes(size: int) -> str:
    """A size in bytes or kB (1,000 bytes), for people."""
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB"
