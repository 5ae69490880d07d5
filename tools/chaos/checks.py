"""What must be true of a caption that went through faults, whatever they were."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from ugsd_core.messages import (
    COMMITTED_STATES,
    DRAFTED_STATES,
    BlockEscalated,
    BlockJudged,
    BlockUnverified,
    CaptionFinished,
    Event,
    TokenDecided,
    TokenDrafted,
    Verdict,
    VerifyRequest,
    event_from_dict,
    event_to_dict,
)
from ugsd_core.result import caption_result
from ugsd_core.verifier import LocalLink, Standing, Verifier

__all__ = ["AsRecorded", "all_judged", "content", "outcomes", "problems"]


def outcomes(events: Iterable[Event]) -> dict[int, bool]:
    """By block that wanted the verifier: whether it was judged."""
    found: dict[int, bool] = {}
    for event in events:
        if isinstance(event, BlockJudged | BlockUnverified):
            found[event.block] = isinstance(event, BlockJudged)
    return found


def all_judged(events: Iterable[Event]) -> bool:
    """Whether no block that wanted the verifier stayed without."""
    return all(outcomes(events).values())


def content(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """What happened to which token, without clocks."""
    return [
        (e.position, e.revision, e.block, e.token_id, e.text, e.state) for e in events if isinstance(e, TokenDecided)
    ]


class AsRecorded(LocalLink):
    """A verifier in this process that judges the blocks that a record says were judged, and no others."""

    def __init__(self, verifier: Verifier, judged: dict[int, bool]) -> None:
        super().__init__(verifier)
        self._judged: Iterator[bool] = iter([judged[block] for block in sorted(judged)])

    def standing(self, utterance: str) -> Standing:
        """See `ugsd_core.verifier.RecoveringLink`."""
        return "open" if next(self._judged) else "silent"

    def deadline_s(self) -> float:
        """See `ugsd_core.verifier.RecoveringLink`."""
        return 60.0

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        """Judge at once."""
        return super().judge(request, deadline_s)


def problems(
    events: list[Event], calm: list[Event], again: Callable[[AsRecorded], list[Event]], verifier: Verifier
) -> list[str]:
    """Everything that is wrong with a caption; empty if nothing is.

    Args:
        events: The caption under faults.
        calm: The same caption without any.
        again: Writes the caption with a link of the caller's.
        verifier: Judges for that.
    """
    found = _identities(events)
    back = [event_from_dict(json.loads(json.dumps(event_to_dict(event)))) for event in events]
    if caption_result(back) != caption_result(events):
        found.append("the trace replays to another result")
    if all_judged(events) and content(events) != content(calm):
        found.append("all blocks were judged, and the caption differs from the one without faults")
    if content(again(AsRecorded(verifier, outcomes(events)))) != content(events):
        found.append("not the caption that the loop writes with these verdicts and no others")
    return found


def _identities(events: list[Event]) -> list[str]:
    """The identities of the vocabulary, from the events alone."""
    found = []
    decided = [event for event in events if isinstance(event, TokenDecided)]
    states = Counter(event.state for event in decided)
    ends = [event for event in events if isinstance(event, CaptionFinished)]
    if len(ends) != 1 or events[-1] is not ends[0]:
        return ["the caption did not finish once"]
    committed = [event for event in decided if event.state in COMMITTED_STATES]
    if sum(isinstance(e, TokenDrafted) for e in events) != sum(states[state] for state in DRAFTED_STATES):
        found.append("drafted tokens and their states do not add up")
    if [event.position for event in committed] != list(range(len(ends[0].token_ids))):
        found.append("a position is missing or there twice")
    if [event.token_id for event in committed] != list(ends[0].token_ids):
        found.append("the caption's ids are not those decided")
    if "".join(event.text for event in committed) != ends[0].caption:
        found.append("the caption's text is not that of its tokens")
    sequences = [event.sequence for event in events if isinstance(event, BlockEscalated)]
    if sequences != list(range(len(sequences))):
        found.append("sequence numbers do not count up by one")
    judged = [event.sequence for event in events if isinstance(event, BlockJudged)]
    if len(set(judged)) != len(judged) or not set(judged) <= set(sequences):
        found.append("a verdict was merged twice, or nobody asked for it")
    return found
