"""A verifier at a vLLM server gives the verdicts of the model itself, or says in one sentence why it can't."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.conftest import Pair
from tests.test_verifier import request, verdict_on, written
from tests.tiny import utterance
from tests.vllm.fake_vllm import FakeVllm, Refused, tensors_of
from tests.wire.fakes import serving
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import OptionError, ProtocolError, UgsdError, VerdictTimeout, VerifierUnavailable
from ugsd_core.messages import GenerateRequest, OpenRequest, Verdict
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions
from ugsd_core.result import caption_result
from ugsd_core.verifier import TorchVerifier, Verifier
from ugsd_core.vllm.client import KEY_VARIABLE, VllmClient
from ugsd_core.vllm.positions import BestFew
from ugsd_core.vllm.schema import ALL, Entry, written_tokens
from ugsd_core.vllm.side import VllmSide
from ugsd_core.vllm.verifier import VllmVerifier
from ugsd_core.wire.client import WebSocketLink

KEY = "a-key-that-nobody-may-read"


@contextmanager
def at_vllm(model: SpeechModel, top: int = 20, **settings: Any) -> Iterator[tuple[VllmVerifier, FakeVllm]]:
    fake = FakeVllm(model, **{"max_logprobs": top} | settings)
    with fake.serving() as address:
        yield VllmVerifier.load(model.folder or "", address, top=top, timeout_s=20.0), fake


def near(one: Verdict, other: Verdict) -> bool:
    """The same verdict, probabilities to 1e-4."""
    bare = [
        replace(v, verify_ms=0.0, bonus_top=(), judged=tuple(replace(j, probability=0.0, top=()) for j in v.judged))
        for v in (one, other)
    ]
    tops = [[*(j.top for j in v.judged), v.bonus_top] for v in (one, other)]
    same = [[i for i, _ in top] for top in tops[0]] == [[i for i, _ in top] for top in tops[1]]
    numbers = [
        [*(j.probability for j in v.judged), *(p for top in told for _, p in top)]
        for v, told in zip((one, other), tops, strict=True)
    ]
    return bare[0] == bare[1] and same and np.allclose(*numbers, atol=1e-4)


def brief(model: SpeechModel, **changes: Any) -> OpenRequest:
    """A recording with a short prompt, of which a whole vocabulary is told in no time."""
    return replace(request(model, 1, **changes), prompt="brief")


def blocks(verifier: Verifier, model: SpeechModel, own: list[int], **changes: Any) -> list[Verdict]:
    """A caption's worth of blocks: right ones, wrong ones, one that begins anew behind a correction."""
    held = verifier.open(brief(model, **changes))
    wrong = (own[3] + 1) % model.vocabulary_size
    found = [verdict_on(held, own[:4]), verdict_on(held, [*own[:3], wrong, *own[4:6]])]
    found.append(verdict_on(held, [own[4], wrong], base=3, committed=(own[3],)))
    found.append(verdict_on(held, [model.end_of_turn_id], base=4))
    return found


# ── The same verdicts ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "rule",
    [{"acceptance": "greedy"}, {"acceptance": "rank", "rank": 5}, {"acceptance": "probability", "probability": 0.02}],
)
def test_blocks_are_judged_as_by_the_model_itself(pair: Pair, rule: dict[str, Any]) -> None:
    own = written(TorchVerifier(pair.verifier).open(brief(pair.verifier)), 9)
    expected = blocks(TorchVerifier(pair.verifier), pair.verifier, own, **rule)
    with at_vllm(pair.verifier) as (verifier, _):
        found = blocks(verifier, pair.verifier, own, **rule)
    assert all(near(*two) for two in zip(found, expected, strict=True)), (found, expected)


@pytest.mark.parametrize("rule", ["rank", "probability", "typical", "fused"])
def test_with_all_log_probabilities_every_rule_judges_as_ever(pair: Pair, rule: str) -> None:
    own = written(TorchVerifier(pair.verifier).open(brief(pair.verifier)), 9)
    rules = {"acceptance": rule, "rank": 2, "probability": 0.1}
    expected = blocks(TorchVerifier(pair.verifier), pair.verifier, own, **rules)
    with at_vllm(pair.verifier, ALL, mute=False) as (verifier, _):
        found = blocks(verifier, pair.verifier, own, **rules)
    assert all(near(*two) for two in zip(found, expected, strict=True))


def test_a_caption_that_is_written_alone_is_the_models_own(pair: Pair) -> None:
    asked = GenerateRequest("u", 12, 0.0, 0)
    expected = list(TorchVerifier(pair.verifier).open(request(pair.verifier, 1)).generate(asked))
    with at_vllm(pair.verifier) as (verifier, fake):
        found = list(verifier.open(request(pair.verifier, 1)).generate(asked))
        assert len(fake.requests) == -(-len(found) // 8), "in pieces"
    assert [(t.position, t.token_id) for t in found] == [(t.position, t.token_id) for t in expected]
    assert np.allclose([t.probability for t in found], [t.probability for t in expected], atol=1e-4)
    assert [t.top[0][0] for t in found] == [t.token_id for t in found]


def test_over_the_wire_a_caption_is_the_same_as_with_the_model_there(pair: Pair) -> None:
    options = DecodingOptions(gate="always", acceptance="greedy", k=3, block_length="fixed", max_tokens=9, bonus=True)
    captions = []
    with at_vllm(pair.verifier) as (verifier, fake):
        for each in (TorchVerifier(pair.verifier), verifier):
            with serving(each) as address, WebSocketLink(address) as link:
                captioner = Captioner(StreamDrafter(pair.edge), link)
                captions.append(caption_result(captioner.stream(utterance(1), options)))
        assert fake.requests
    assert captions[0].token_ids == captions[1].token_ids
    assert captions[1].counts["unverified"] == 0 and captions[1].counts["escalations"] > 0


# ── What is sent ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_recording_goes_on_as_the_spectrogram_of_its_code_and_nothing_more(pair: Pair) -> None:
    opening = request(pair.verifier, 2)
    with at_vllm(pair.verifier) as (verifier, fake):
        verdict_on(verifier.open(opening), [1, 2])
        (body,) = fake.requests
    features = body["features"]
    (packed,) = features["kwargs_data"]["audio"]
    assert np.array_equal(tensors_of(packed)["input_audio_features"], opening.code.features())
    assert features["mm_hashes"] == {"audio": [opening.code.sha256]}
    assert body["token_ids"][-3:-1] == [1, 2] and body["sampling_params"]["prompt_logprobs"] == 20
    assert len(body["cache_salt"]) == 64, "no other utterance's cache can be probed"


def test_the_key_goes_into_one_header_and_nowhere_else(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeVllm(pair.verifier, key=KEY).serving() as address:
        monkeypatch.delenv(KEY_VARIABLE, raising=False)
        with pytest.raises(ProtocolError, match=KEY_VARIABLE) as refused:
            VllmVerifier.load(pair.verifier.folder or "", address)
        monkeypatch.setenv(KEY_VARIABLE, KEY)
        client = VllmClient(address)
        verifier = VllmVerifier(client, VllmSide.load(pair.verifier.folder or ""))
        verdict_on(verifier.open(request(pair.verifier)), [1])
    assert KEY not in f"{refused.value} {client!r} {vars(verifier)} {caplog.text}"


# ── What can't be ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"acceptance": "typical"}, "'typical' reads the verifier's whole distribution.*--vllm-top all"),
        ({"acceptance": "fused"}, "choose one of rank, probability, greedy"),
        ({"acceptance": "rank", "rank": 21}, "r = 21 asks for more than the 20 best"),
        ({"acceptance": "unheard"}, "no acceptance rule 'unheard'"),
    ],
)
def test_rules_that_the_best_few_cannot_decide_are_refused_at_opening(
    pair: Pair, changes: dict[str, Any], sentence: str
) -> None:
    with at_vllm(pair.verifier) as (verifier, fake), pytest.raises(ProtocolError, match=sentence):
        verifier.open(request(pair.verifier, 0, **changes))
    assert not fake.requests


def test_the_embedded_pair_whose_logits_change_behind_the_decoder_is_refused() -> None:
    from ugsd_core.models.loading import default_checkpoint

    with pytest.raises(OptionError, match="serve it without --vllm"):
        VllmSide.load(default_checkpoint("verifier"))


def test_tokens_that_no_caption_holds_are_left_out_of_ranks_and_probabilities() -> None:
    log = {5: -1.0, 90: -0.9, 7: -2.0, 8: -2.0, 3: -4.0}
    told = {i: Entry(p, rank) for (i, p), rank in zip(log.items(), (2, 1, 4, 4, 9), strict=True)}
    seen = BestFew.of(told, 4, 50)
    assert seen.best == 5 and [seen.rank(i) for i in (5, 7, 8, 3)] == [1, 2, 3, 8], "90 is of a sound"
    assert [i for i, _ in seen.top] == [5, 7, 8]
    assert seen.probability(5) == pytest.approx(np.exp(-1.0) / (1 - np.exp(-0.9)))
    for unknown in (lambda: seen.entropy_nats, lambda: seen.scores, lambda: seen.rank(4)):
        with pytest.raises(ProtocolError):
            unknown()
    with pytest.raises(ProtocolError, match="--vllm-top"):
        BestFew.of({90: Entry(-0.1, 1), 91: Entry(-3.0, 2), 5: Entry(-4.0, 3)}, 3, 50)


# ── What goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


def without(name: str) -> Any:
    return lambda answer: {key: value for key, value in answer.items() if key != name}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("prompt_logprobs"), "without prompt_logprobs"),
        (lambda answer: answer | {"prompt_logprobs": [None]}, "not as published"),
        (lambda answer: answer | {"prompt_logprobs": [None] * 500}, "not as published"),
        (lambda answer: answer | {"prompt_logprobs": [{"x": {"logprob": 1}}] * 500}, "not as published"),
        (lambda answer: answer | {"prompt_logprobs": [{"1": {"logprob": "NaN"}}] * 500}, "not as published"),
        (lambda answer: [answer], "no JSON object"),
        (lambda answer: b"<html>", "no JSON object"),
    ],
)
def test_an_answer_that_is_not_as_published_is_a_sentence(pair: Pair, change: Any, sentence: str) -> None:
    with at_vllm(pair.verifier) as (verifier, fake):
        held = verifier.open(request(pair.verifier))
        fake.change = change
        with pytest.raises(ProtocolError, match=sentence):
            verdict_on(held, [1, 2])
        fake.change = lambda answer: answer
        assert len(verdict_on(held, [1, 2]).judged) >= 1, "nothing is held of what failed"


def refusing(status: int, message: str) -> Any:
    def refuse() -> None:
        raise Refused(status, message)

    return refuse


@pytest.mark.parametrize(
    ("status", "message", "kind", "sentence"),
    [
        (
            400,
            "prompt_logprobs of 20 is too many\nid 17",
            ProtocolError,
            r"HTTP 400.: prompt_logprobs of 20 is too many$",
        ),
        (404, "The model `x` does not exist.", ProtocolError, "does not exist"),
        (404, "Not Found", ProtocolError, "it takes vLLM 0.18 or later"),
        (500, "", ProtocolError, "no reason given"),
        (503, "busy", VerifierUnavailable, "away just now"),
    ],
)
def test_a_refusal_says_what_the_server_said(
    pair: Pair, status: int, message: str, kind: type[UgsdError], sentence: str
) -> None:
    with at_vllm(pair.verifier) as (verifier, fake):
        held = verifier.open(request(pair.verifier))
        fake.trouble = refusing(status, message)
        with pytest.raises(kind, match=sentence):
            verdict_on(held, [1])


def test_a_server_that_is_away_or_silent_is_told_in_time(pair: Pair) -> None:
    side, go = VllmSide.load(pair.verifier.folder or ""), threading.Event()
    fake = FakeVllm(pair.verifier)
    with fake.serving() as address:
        held = VllmVerifier(VllmClient(address, timeout_s=0.2), side).open(request(pair.verifier))
        fake.trouble = lambda: go.wait(20) and None
        with pytest.raises(VerdictTimeout, match=r"did not answer within 0\.2 s"):
            verdict_on(held, [1])
        go.set()
    with pytest.raises(VerifierUnavailable, match="is it running"):
        verdict_on(held, [1])


@pytest.mark.parametrize("address", ["gpu:8000", "ws://gpu:8000", "http://", "http://me:secret@gpu:8000"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(OptionError, match="--vllm is the address") as refused:
        VllmClient(address)
    assert "secret" not in str(refused.value)


def test_ids_of_alternatives_are_read_in_both_published_forms() -> None:
    old = [{"token": "token_id:7", "logprob": -1.0}, {"token": "token_id:7", "logprob": -1.0}]
    new = [{"token_id": 7, "logprob": -1.0, "rank": 1}, {"token_id": 4, "logprob": -2.0, "rank": 2}]
    for told, ids in ((old, [7]), (new, [7, 4])):
        content = {"content": [{"logprob": -1.0, "top_logprobs": told}]}
        (token,) = written_tokens(json.loads(json.dumps({"choices": [{"token_ids": [7], "logprobs": content}]})))
        assert token.token_id == 7 and [i for i, _ in token.top] == ids
