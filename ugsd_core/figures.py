"""The figures of one caption by name: ratios and clocks, each with the sentence that is shown beside it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AHEAD_DEFINITIONS", "CLOCK_DEFINITIONS", "RATIO_DEFINITIONS", "Clocks", "Ratios", "ratio"]

#: One plain sentence a ratio, shown wherever the ratio is. Undefined (0/0) is None, never 0.
RATIO_DEFINITIONS: dict[str, str] = {
    "escalation_rate": "Blocks sent to the verifier, of all blocks drafted.",
    "transmission_rate": "Drafted tokens sent to the verifier, of all drafted tokens (the paper's ρ).",
    "exposure_rate": "Caption tokens the verifier has seen, sent along as prefix included, of all caption tokens.",
    "changed_rate": "Caption tokens put there by the verifier (corrected or bonus), of all caption tokens.",
    "useful_escalation_rate": "Sent blocks in which the verifier changed the caption, of all blocks sent.",
    "meaning_changed_rate": "Sent blocks in which the verifier changed an emotion or a cue's level, not only its "
    "wording, of all blocks sent.",
    "draft_acceptance_rate": "Accepted tokens, of accepted, rejected and ignored ones; kept blocks stay outside.",
}

#: What the edge drafted ahead in a caption.
AHEAD_DEFINITIONS: dict[str, str] = {
    "tokens": "Tokens drafted ahead on the edge while a verdict was on its way.",
    "used": "Of them, those that were drafted for good behind the verdict, without a pass of their own.",
    "wasted": "Of them, those that a verdict made worthless.",
}

#: One plain sentence a clock. Zero is the moment at which the utterance is complete.
CLOCK_DEFINITIONS: dict[str, str] = {
    "ttft_draft_s": "Seconds until the first drafted text was visible.",
    "ttft_commit_s": "Seconds until the first token of the caption was final.",
    "oet_s": "Seconds until the last token of the caption was final (output end time).",
    "total_s": "Seconds until the caption was final, everything included.",
    "itps": "Prompt and audio tokens read a second in the prefill of the model that writes.",
    "otps": "Caption tokens a second, from the end of the prefill to the last token.",
    "extract_ms": "Milliseconds to turn the waveform into the acoustic code.",
    "prefill_ms": "Milliseconds in which the model that writes read prompt and audio.",
    "connect_ms": "Milliseconds to reach the verifier and shake hands; none without a connection.",
    "draft_ms": "Milliseconds to draft a block on the edge.",
    "network_ms": "Milliseconds of a block's round trip less the verifier's own time, waiting there included.",
    "queued_ms": "Milliseconds a block waited at the verifier: for its audio to be read, or for a pass to begin.",
    "verify_ms": "Milliseconds of the verifier's forward pass and judgement; all of it where blocks share one.",
    "merge_ms": "Milliseconds of rollback and bookkeeping on the edge after a verdict.",
}


@dataclass(frozen=True, slots=True)
class Ratios:
    """The ratios of a caption, as `RATIO_DEFINITIONS` says; None where a ratio has no meaning."""

    escalation_rate: float | None
    transmission_rate: float | None
    exposure_rate: float | None
    changed_rate: float | None
    useful_escalation_rate: float | None
    meaning_changed_rate: float | None
    draft_acceptance_rate: float | None


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of a caption, as `CLOCK_DEFINITIONS` says; None where nothing was measured."""

    ttft_draft_s: float | None
    ttft_commit_s: float | None
    oet_s: float | None
    total_s: float | None
    itps: float | None
    otps: float | None
    extract_ms: float | None
    prefill_ms: float | None
    connect_ms: float | None


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, or None for nothing of nothing: an undefined ratio is not 0."""
    return part / whole if whole else None
