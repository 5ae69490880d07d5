"""Judged together, blocks get the verdicts that each gets alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.conftest import Pair
from tests.test_verifier import request
from ugsd_core.batched_verifier import BatchedVerifier, JudgeTask, Outcome, StepTask, Task, Written, load_verifier
from ugsd_core.errors import OptionError, ProtocolError
from ugsd_core.messages import GenerateRequest, Verdict, VerifyRequest
from ugsd_core.verifier import TorchVerifier, TorchVerifierUtterance

RULES: list[dict[str, Any]] = [
    {"acceptance": "rank", "rank": 300},
    {"acceptance": "fused", "rank": 250, "fusion": 0.4},
    {"acceptance": "greedy", "bonus": False},
    {"acceptance": "probability", "probability": 1e-6},
    {"acceptance": "typical"},
    {"acceptance": "fused", "rank": 200, "fusion": 0.0},
]


def same(one: Outcome, other: Outcome) -> None:
    """Decisions to the token, probabilities to what single precision gives."""
    assert isinstance(one, Verdict) and isinstance(other, Verdict)
    assert one.verify_ms > 0.0
    assert replace(one, verify_ms=0.0, judged=(), bonus_top=()) == replace(
        other, verify_ms=0.0, judged=(), bonus_top=()
    )
    assert [entry.rank for entry in one.judged] == [entry.rank for entry in other.judged]
    for mine, theirs in zip(one.judged, other.judged, strict=True):
        assert mine.probability == pytest.approx(theirs.probability, abs=1e-4)
        np.testing.assert_allclose([p for _, p in mine.top], [p for _, p in theirs.top], atol=1e-4)


class Dialogue:
    """An edge that goes on from each verdict, with rejections, lost verdicts and tokens kept on its own."""

    def __init__(self, seed: int, size: int, held: TorchVerifierUtterance) -> None:
        self.random, self.size, self.held = random.Random(seed), size, held
        self.known: list[int] = []
        self.ids: list[int] = []
        self.sequence = 0

    def block(self) -> VerifyRequest:
        draft = tuple(self.random.randrange(self.size) for _ in range(self.random.randint(1, 6)))
        posterior = (255, 3, 40, 0, 0, 90, 0, 12, 200) if self.random.random() < 0.7 else None
        base = self.random.randint(0, len(self.known)) if self.random.random() < 0.2 else len(self.known)
        return VerifyRequest("u", self.sequence, 0, base, tuple(self.ids[base:]), draft, posterior)

    def take(self, request: VerifyRequest, verdict: Verdict) -> None:
        self.sequence += 1
        self.known = [*self.ids, *request.draft[: verdict.accepted]]
        extra = [token for token in (verdict.replacement, verdict.bonus) if token is not None]
        kept = [self.random.randrange(self.size) for _ in range(self.random.randint(0, 3))]
        self.ids = [*self.known, *extra, *kept]


def test_blocks_judged_together_get_the_verdicts_they_get_alone(emotional_pair: Pair) -> None:
    model = emotional_pair.verifier
    alone, together = TorchVerifier(model), BatchedVerifier(model)
    openings = [request(model, seed, **RULES[seed]) for seed in range(6)]
    singles = [alone.open(opening) for opening in openings]
    dialogues = [Dialogue(seed, model.vocabulary_size, together.open(openings[seed])) for seed in range(6)]
    corrected = accepted = 0
    for step in range(10):
        chosen = [index for index in range(6) if (index + step) % 3 or step == 0]
        blocks = {index: dialogues[index].block() for index in chosen}
        outcomes = together.work_together([JudgeTask(dialogues[i].held, blocks[i]) for i in chosen])
        for index, outcome in zip(chosen, outcomes, strict=True):
            same(outcome, singles[index].judge(blocks[index]))
            assert isinstance(outcome, Verdict)
            dialogues[index].take(blocks[index], outcome)
            corrected += outcome.replacement is not None
            accepted += outcome.accepted
    assert corrected > 5 and accepted > 5, "both happen"


def test_captions_written_together_and_beside_blocks_equal_those_written_alone(pair: Pair) -> None:
    model = pair.verifier
    alone, together = TorchVerifier(model), BatchedVerifier(model)
    wanted = [GenerateRequest("u", 12, 0.0, 0), GenerateRequest("u", 9, 0.8, 3), GenerateRequest("u", 12, 0.0, 1)]
    expected = [
        [token.token_id for token in alone.open(request(model, seed)).generate(wanted[seed])] for seed in range(3)
    ]
    block = VerifyRequest("u", 0, 0, 0, (), tuple(expected[0][:4]))
    judge = together.open(request(model, 0))
    writers = [together.open(request(model, seed)) for seed in range(3)]
    for _ in range(2):  # a caption can be written again
        written: list[list[int]] = [[], [], []]
        ended: set[int] = set()
        while len(ended) < 3:
            going = [index for index in range(3) if index not in ended]
            tasks: list[Task] = [StepTask(writers[i], wanted[i], len(written[i])) for i in going]
            *tokens, verdict = together.work_together([*tasks, JudgeTask(judge, block)])
            assert isinstance(verdict, Verdict) and verdict.accepted == 4
            for index, token in zip(going, tokens, strict=True):
                assert isinstance(token, Written) and token.token.position == len(written[index])
                written[index].append(token.token.token_id)
                ended |= {index} if token.last else set()
        assert written == expected


def test_a_block_that_cannot_be_judged_fails_alone(pair: Pair) -> None:
    verifier = BatchedVerifier(pair.verifier)
    fine, wrong = (verifier.open(request(pair.verifier, seed)) for seed in range(2))
    block = VerifyRequest("u", 0, 0, 0, (), (1, 2))
    outcomes = verifier.work_together([JudgeTask(wrong, replace(block, base=7)), JudgeTask(fine, block)])
    assert isinstance(outcomes[0], ProtocolError) and outcomes[0].code == "bad_base"
    same(outcomes[1], TorchVerifier(pair.verifier).open(request(pair.verifier, 0)).judge(block))


def test_when_the_shared_pass_fails_each_is_tried_alone(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from ugsd_core.models import batched_stream

    verifier = BatchedVerifier(pair.verifier)
    held = [verifier.open(request(pair.verifier, seed)) for seed in range(3)]
    whole = batched_stream.feed_together

    def failing(feeds: Any, **options: Any) -> Any:
        if len(feeds) > 1 or feeds[0].ids == (2,):
            raise RuntimeError("a kernel failed")
        return whole(feeds, **options)

    monkeypatch.setattr(batched_stream, "feed_together", failing)
    tasks = [JudgeTask(entry, VerifyRequest("u", 0, 0, 0, (), (i,))) for i, entry in enumerate(held, 1)]
    first, second, third = verifier.work_together(tasks)
    assert isinstance(second, RuntimeError)
    for outcome, seed in ((first, 0), (third, 2)):
        same(outcome, TorchVerifier(pair.verifier).open(request(pair.verifier, seed)).judge(tasks[seed].request))


def test_a_pass_without_memory_is_halved_until_it_fits(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from ugsd_core.models import batched_stream

    verifier = BatchedVerifier(pair.verifier)
    held = [verifier.open(request(pair.verifier, number)) for number in range(5)]
    tasks = [
        JudgeTask(utterance, VerifyRequest("u", 0, 0, 0, (), (number + 1, 2))) for number, utterance in enumerate(held)
    ]
    alone = [verifier.work_together([task])[0] for task in tasks]
    shared, sizes = batched_stream.feed_together, []

    def at_most(most: int) -> Any:
        def feed(feeds: Any) -> Any:
            sizes.append(len(feeds))
            if len(feeds) > most:
                raise MemoryError
            return shared(feeds)

        return feed

    monkeypatch.setattr(batched_stream, "feed_together", at_most(2))
    for one, other in zip(verifier.work_together(tasks), alone, strict=True):
        same(one, other)
    assert sizes == [5, 2, 3, 1, 2]
    monkeypatch.setattr(batched_stream, "feed_together", at_most(0))
    assert [type(outcome) for outcome in verifier.work_together(tasks)] == [MemoryError] * 5


def test_a_model_whose_passes_cannot_be_shared_judges_each_block_alone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pair.verifier.folder
    assert isinstance(load_verifier(folder), BatchedVerifier)
    assert type(load_verifier(folder, batched=False)) is TorchVerifier and not caplog.text
    monkeypatch.setattr("ugsd_core.models.packed.can_pack", lambda model: False)
    assert type(load_verifier(folder)) is TorchVerifier and "share no passes" in caplog.text
    with pytest.raises(OptionError, match="TorchVerifier"):
        BatchedVerifier(pair.verifier)
