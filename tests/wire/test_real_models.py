"""Real models of both classes over a real socket: what a caption gets alone, it gets in a crowd, in shared passes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.conftest import Pair
from tests.tiny import utterance
from tests.wire.fakes import serving
from ugsd_core.batched_verifier import BatchedVerifier
from ugsd_core.batching import BatchLimits
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter
from ugsd_core.messages import CaptionFinished, Event, TokenDecided
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import caption_result, check_identities
from ugsd_core.verifier import LocalLink, TorchVerifier
from ugsd_core.wire.client import WebSocketLink

#: A setting for each of eight utterances: rejections, bonus tokens, adaptive blocks, the verifier alone.
SETTINGS: list[DecodingOptions] = [
    preset("lossless", k=3, max_tokens=16),
    preset("paper", rank=60, tau=4.0, max_tokens=16),
    preset("proposal", max_tokens=16),
    DecodingOptions(mode="cloud", max_tokens=16),
] * 2


def decisions(events: list[Event]) -> list[tuple[int, int, int, str, int | None]]:
    """What was decided, without what depends on the clock."""
    return [(e.position, e.revision, e.token_id, e.state, e.rank) for e in events if isinstance(e, TokenDecided)]


def test_eight_captions_at_once_over_the_wire_equal_the_same_eight_alone_in_process(pair: Pair) -> None:
    verifier, shared = TorchVerifier(pair.verifier), BatchedVerifier(pair.verifier)

    def alone(seed: int) -> list[tuple[int, int, int, str, int | None]]:
        made = Captioner(StreamDrafter(pair.edge), LocalLink(verifier))
        return decisions(list(made.stream(utterance(seed), SETTINGS[seed])))

    expected = [alone(seed) for seed in range(8)]
    with serving(shared, workers=2, limits=BatchLimits(window_ms=20.0)) as address:

        def in_a_crowd(seed: int) -> list[tuple[int, int, int, str, int | None]]:
            with WebSocketLink(address) as link:
                events = list(Captioner(StreamDrafter(pair.edge), link).stream(utterance(seed), SETTINGS[seed]))
            result = caption_result(events)
            assert check_identities(result) == []
            last = events[-1]
            assert isinstance(last, CaptionFinished)
            assert pair.edge.decode(last.token_ids) == last.caption
            return decisions(events)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(in_a_crowd, range(8))) == expected


def test_fused_captions_over_the_wire_equal_the_same_in_process(emotional_pair: Pair) -> None:
    """Eight clips at several weights of the verifier; the edge's view of the emotion crosses, and changes something."""
    edge, verifier = StreamDrafter(emotional_pair.edge), TorchVerifier(emotional_pair.verifier)
    common = {"gate": "always", "k": 2, "bonus": True, "max_tokens": 16}
    options = [DecodingOptions(acceptance="fused", fusion=fusion, **common) for fusion in (0.0, 0.3, 0.5, 1.0)]

    def alone(seed: int, wanted: DecodingOptions) -> list[tuple[int, int, int, str, int | None]]:
        return decisions(list(Captioner(edge, LocalLink(verifier)).stream(utterance(seed), wanted)))

    sent = other = 0
    with serving(BatchedVerifier(emotional_pair.verifier)) as address, WebSocketLink(address) as link:
        for seed in range(8):
            wanted = options[seed % 4]
            events = list(Captioner(edge, link).stream(utterance(seed), wanted))
            result = caption_result(events)
            assert check_identities(result) == []
            assert decisions(events) == alone(seed, wanted)
            sent += result.ledger["posterior_bytes"]
            other += decisions(events) != alone(seed, DecodingOptions(acceptance="rank", rank=1, **common))
    assert sent > 0 and sent % 9 == 0, "nine bytes each time"
    assert other > 0, "the two views together decide otherwise than the verifier alone"


def test_one_connection_serves_caption_after_caption_and_sends_the_code_of_a_clip_once(pair: Pair) -> None:
    with serving(TorchVerifier(pair.verifier)) as address, WebSocketLink(address) as link:
        made = Captioner(StreamDrafter(pair.edge), link)
        first, again = (caption_result(made.stream(utterance(1), preset("lossless", max_tokens=8))) for _ in range(2))
        assert first.caption == again.caption
        sent = [
            {row["traffic"]: row["payload_bytes"] for row in r.to_dict()["ledger"]["rows"] if row["direction"] == "up"}
            for r in (first, again)
        ]
        code_bytes = 128 * 100
        assert code_bytes < sent[0]["acoustic_code"] < code_bytes + 1000
        assert sum(sent[1].values()) < 1000, "a code the verifier still holds is named, not sent again"
        assert sum(sent[0].values()) < first.to_dict()["ledger"]["waveform_bytes"]
