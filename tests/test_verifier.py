from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.conftest import Pair
from tests.tiny import utterance
from ugsd_core.acoustic import encode_waveform
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import HandshakeRefused, ProtocolError
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.messages import CaptionFinished, GenerateRequest, OpenRequest, Verdict, VerifyRequest
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.verifier import LocalLink, TorchVerifier, VerifierUtterance, check_pair


def request(model: SpeechModel, seed: int = 0, **changes: object) -> OpenRequest:
    code = encode_waveform(utterance(seed, 0.6 + 0.1 * seed).samples, model.features)
    fields = {"acceptance": "greedy", "rank": 1, "probability": 0.5, "bonus": True, "top_k": 3} | changes
    return OpenRequest(f"u{seed}", "en", None, code, **fields)  # type: ignore[arg-type]


def opened(pair: Pair, seed: int = 0, **changes: object) -> VerifierUtterance:
    return TorchVerifier(pair.verifier).open(request(pair.verifier, seed, **changes))


def written(utterance: VerifierUtterance, n: int = 12) -> list[int]:
    return [token.token_id for token in utterance.generate(GenerateRequest("u", n, 0.0, 0))]


def verdict_on(held: VerifierUtterance, draft: list[int], base: int = 0, committed: tuple[int, ...] = ()) -> Verdict:
    return held.judge(VerifyRequest("u", 0, 0, base, committed, tuple(draft)))


def test_accepts_its_own_greedy_caption_and_adds_the_next_token(pair: Pair) -> None:
    held = opened(pair)
    own = written(held, 9)
    verdict = verdict_on(held, own[:8])
    assert (verdict.accepted, verdict.replacement, verdict.bonus) == (8, None, own[8])
    assert [j.rank for j in verdict.judged] == [1] * 8
    assert verdict.judged[0].top[0][0] == own[0] and len(verdict.judged[0].top) == 3


def test_replaces_the_first_failure_and_forgets_what_follows(pair: Pair) -> None:
    held = opened(pair)
    own = written(held, 9)
    wrong = (own[3] + 1) % pair.verifier.vocabulary_size
    verdict = verdict_on(held, [*own[:3], wrong, *own[4:8]])
    assert (verdict.accepted, verdict.replacement, verdict.bonus) == (3, own[3], None)
    assert len(verdict.judged) == 4 and verdict.judged[3].rank > 1
    after = verdict_on(held, own[4:8], base=3, committed=(own[3],))
    assert (after.accepted, after.bonus) == (4, own[8])


def test_goes_back_to_an_older_base_when_a_verdict_was_lost(pair: Pair) -> None:
    held = opened(pair)
    own = written(held, 10)
    verdict_on(held, own[:4])
    verdict_on(held, own[4:8], base=4)
    again = verdict_on(held, own[4:8], base=2, committed=tuple(own[2:4]))
    assert again.accepted == 4


def test_the_same_request_gets_the_same_verdict_after_being_judged_before(pair: Pair) -> None:
    held = opened(pair)
    own = written(held, 8)
    first = verdict_on(held, own[:5])
    second = verdict_on(held, own[:5])
    assert (first.accepted, first.bonus, first.judged) == (second.accepted, second.bonus, second.judged)


def test_no_bonus_behind_the_end_of_the_turn(pair: Pair) -> None:
    held = opened(pair, acceptance="rank", rank=pair.verifier.vocabulary_size)
    verdict = verdict_on(held, [5, pair.verifier.end_of_turn_id])
    assert verdict.accepted == 2 and verdict.bonus is None


@pytest.mark.parametrize(
    ("base", "draft", "code"),
    [(0, [10**6], "bad_verify"), (3, [1], "bad_base"), (0, [], "bad_verify"), (0, [-1], "bad_verify")],
)
def test_impossible_requests_are_refused(pair: Pair, base: int, draft: list[int], code: str) -> None:
    with pytest.raises(ProtocolError) as error:
        verdict_on(opened(pair), draft, base=base)
    assert error.value.code == code


def test_an_unknown_rule_is_refused_when_opening(pair: Pair) -> None:
    with pytest.raises(ProtocolError, match="no acceptance rule"):
        opened(pair, acceptance="luck")


# ── Fused ─────────────────────────────────────────────────────────────────────────────────────────────────────────

FLAT = (255,) * 9


def emotional_draft(pair: Pair, held: VerifierUtterance) -> tuple[list[int], int]:
    """The verifier's own caption up to an emotion word that it wants, and that word."""
    tokens = pair.verifier.emotion_tokens("en")
    own = written(held, 40)
    where = next(i for i, token_id in enumerate(own) if tokens.label_of(token_id) is not None and i > 0)
    return own[:where], own[where]


def asked(
    pair: Pair, seed: int, prefix: tuple[int, ...], draft: int, posterior: tuple[int, ...] | None, fusion: float
) -> Verdict:
    """What a fused verifier says to one drafted token behind a prefix."""
    held = opened(pair, seed, acceptance="fused", bonus=False, fusion=fusion)
    return held.judge(VerifyRequest("u", 0, 0, 0, prefix, (draft,), posterior))


def certain(label: int) -> tuple[int, ...]:
    return tuple(255 if i == label else 0 for i in range(9))


def test_fused_judgement_of_real_models_names_the_label_of_both(emotional_pair: Pair) -> None:
    tokens = emotional_pair.verifier.emotion_tokens("en")
    for seed in range(4):
        prefix, wanted = emotional_draft(emotional_pair, opened(emotional_pair, seed))
        own_label = tokens.label_of(wanted)
        other_label = next(label for label in range(9) if label != own_label and tokens.ids_of(label).size)
        other = int(tokens.ids_of(other_label)[0])

        ask = partial(asked, emotional_pair, seed, tuple(prefix))
        assert ask(wanted, certain(own_label or 0), 0.0).replacement is None
        assert ask(other, certain(other_label), 0.0).replacement is None
        replacement = ask(wanted, certain(other_label), 0.0).replacement
        assert replacement is not None and tokens.label_of(replacement) == other_label
        for posterior in (FLAT, certain(other_label)):
            verdict = ask(other, posterior, 1.0)
            assert tokens.label_of(verdict.replacement or 0) == own_label, "fusion 1 is the verifier's label"
        for fusion in (0.0, 0.4, 1.0):
            flat = ask(other, FLAT, fusion)
            assert (flat.accepted, flat.replacement) == (0, ask(other, FLAT, 1.0).replacement), (
                "a flat view says nothing"
            )
        assert ask(other, None, 0.0).replacement == wanted, "without a view the rule is rank"


def test_fused_is_rank_to_the_token_while_no_view_of_the_emotion_comes(emotional_pair: Pair) -> None:
    for seed in range(4):
        fused = opened(emotional_pair, seed, acceptance="fused", rank=3)
        plain = opened(emotional_pair, seed, acceptance="rank", rank=3)
        draft = [*written(plain, 5), 7, 8, 9]
        for verdict in (verdict_on(fused, draft), verdict_on(plain, draft)):
            assert replace(verdict, verify_ms=0.0) == replace(verdict_on(plain, draft), verify_ms=0.0)


def test_the_second_half_of_a_word_is_no_emotion_word(emotional_pair: Pair) -> None:
    """A word in the middle of another, as in un|happy: judged by rank whatever the edge thinks."""
    model = emotional_pair.verifier
    tokens = model.emotion_tokens("en")
    pieces = [model.token_bytes.whole(i) or "" for i in range(model.vocabulary_size)]
    before = next(i for i, piece in enumerate(pieces) if piece.isalpha() and piece.isascii())
    held = TorchVerifier(model).open(request(model, acceptance="fused", bonus=False))
    ask = VerifyRequest("u", 0, 0, 0, (before,), (before,), FLAT)
    held.judge(ask)
    fresh = int(tokens.ids_of(EMOTION_LABELS.index("sadness"))[0])
    assert pieces[fresh] == " sad"
    assert held._posterior(ask, 1, before) is held._posterior(ask, 1, fresh, before) is None
    assert held._posterior(ask, 1, fresh) == held._posterior(ask, 0, before) == FLAT, "a new word"
    chinese = TorchVerifier(model).open(replace(request(model, acceptance="fused"), language="zh"))
    chinese.judge(ask)
    assert chinese._posterior(ask, 1, before) == FLAT, "Chinese has no gaps between words"


@pytest.mark.parametrize("posterior", [(255,) * 8, (0,) * 9, (256,) * 9, (1.0,) * 9])
def test_an_impossible_view_of_the_emotion_is_refused(pair: Pair, posterior: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError) as error:
        opened(pair, acceptance="fused").judge(VerifyRequest("u", 0, 0, 0, (), (1,), posterior))
    assert error.value.code == "bad_verify"


def test_the_verifiers_head_is_heard_by_every_rule(emotional_pair: Pair) -> None:
    from ugsd_core.models.emotion_head import EmotionHead

    tokens = emotional_pair.verifier.emotion_tokens("en")
    held = opened(emotional_pair, 2, acceptance="fused")
    prefix, wanted = emotional_draft(emotional_pair, held)
    other = next(i for i in range(9) if i != tokens.label_of(wanted) and tokens.ids_of(i).size)
    bias = np.full(9, -50.0, dtype=np.float32)
    bias[other] = 50.0
    width = emotional_pair.verifier.audio_embeddings(np.zeros((128, 100), dtype=np.float32)).shape[1]
    block = VerifyRequest("u", 0, 0, 0, tuple(prefix), (wanted,), FLAT)
    for acceptance in ("rank", "fused"):
        for head_weight, expected in ((0.0, tokens.label_of(wanted)), (10.0, other)):
            head = EmotionHead(np.zeros((9, width), dtype=np.float32), bias)
            model = replace(emotional_pair.verifier, head=head, head_weight=head_weight)
            asked = request(model, 2, acceptance=acceptance, rank=1, fusion=1.0, bonus=False)
            verdict = TorchVerifier(model).open(asked).judge(block)
            named = wanted if verdict.replacement is None else verdict.replacement
            assert tokens.label_of(named) == expected, (acceptance, head_weight)


def test_eight_utterances_at_once_get_what_they_get_alone(pair: Pair) -> None:
    """Interleaved block by block in threads, with rejections in between."""

    def dialogue(seed: int) -> list[tuple[int, int | None, int | None]]:
        held = opened(pair, seed, acceptance="rank", rank=40)
        answers, committed, base = [], [], 0
        for step in range(6):
            draft = [(seed * 31 + step * 7 + i * 3) % pair.verifier.vocabulary_size for i in range(5)]
            verdict = verdict_on(held, draft, base, tuple(committed[base:]))
            answers.append((verdict.accepted, verdict.replacement, verdict.bonus))
            committed += draft[: verdict.accepted]
            base = len(committed)
            extra = verdict.bonus if verdict.replacement is None else verdict.replacement
            committed += [extra] if extra is not None else []
        return answers

    alone = [dialogue(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(dialogue, range(8))) == alone


def test_lossless_equals_cloud_only_on_random_pairs(pair: Pair) -> None:
    """Eight block settings on seven clips, 56 captions a class, against the verifier's own greedy captions."""
    captioner = Captioner(StreamDrafter(pair.edge), LocalLink(TorchVerifier(pair.verifier)))

    def ids(options: DecodingOptions, seed: int) -> tuple[int, ...]:
        last = list(captioner.stream(utterance(seed, 0.4), options))[-1]
        assert isinstance(last, CaptionFinished)
        assert pair.verifier.decode(last.token_ids) == last.caption
        return last.token_ids

    for seed in range(7):
        cloud = ids(DecodingOptions(mode="cloud", max_tokens=12), seed)
        for k in (1, 3, 4, 8):
            for bonus in (False, True):
                assert ids(preset("lossless", k=k, bonus=bonus, max_tokens=12), seed) == cloud


def test_pairs_that_do_not_fit_are_named(pairs: object, pair: Pair) -> None:
    check_pair(pair.edge.info, pair.verifier.info)
    with pytest.raises(HandshakeRefused, match="different acoustic codes"):
        check_pair(pair.edge.info, replace(pair.verifier.info, feature_fingerprint="x"))
    with pytest.raises(HandshakeRefused, match="do not share a vocabulary"):
        check_pair(pair.edge.info, replace(pair.verifier.info, tokenizer_fingerprint="x"))


def test_unlike_families_work_together_on_the_log_mel(pairs) -> None:
    """A 2.5 edge and a 3 verifier share text ids and the mel code, and nothing else."""
    edge, verifier = pairs("qwen2_5_omni").edge, pairs("qwen3_omni_moe").verifier
    captioner = Captioner(StreamDrafter(edge), LocalLink(TorchVerifier(verifier)))
    cloud = list(captioner.stream(utterance(1), DecodingOptions(mode="cloud", max_tokens=16)))[-1]
    ours = list(captioner.stream(utterance(1), preset("lossless", max_tokens=16)))[-1]
    assert isinstance(cloud, CaptionFinished) and isinstance(ours, CaptionFinished)
    assert ours.token_ids == cloud.token_ids
