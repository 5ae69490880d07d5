"""Must-show checks on real speech with the embedded pair. Skipped where the development data is absent."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from tests.conftest import Pair
from ugsd_core.audio import Utterance, load_utterance
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter
from ugsd_core.lexicon import emotions_in
from ugsd_core.messages import CaptionFinished
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import caption_result, check_identities
from ugsd_core.verifier import LocalLink, TorchVerifier

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
EXAMPLES = sorted((ROOT / "assets" / "examples").glob("*.flac"))
BLOCKS = [(k, bonus) for k in (1, 2, 3, 4, 5, 8, 16, 64) for bonus in (False, True)]


def real_clips(n: int) -> list[Path]:
    """Clips spread over the corpora that are there, the project's own examples first."""
    paths = list(EXAMPLES)
    for corpus in ("ravdess", "nemo", "emodb", "secap"):
        manifest = DATA / corpus / "manifest.csv"
        if manifest.is_file():
            with manifest.open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            paths += [DATA / corpus / row["path"] for row in rows[:: max(1, len(rows) // (n // 4 + 1))]]
    if len(paths) < n:
        pytest.skip("the development corpora are absent")
    return paths[:n]


@lru_cache(maxsize=1)
def embedded() -> tuple[SpeechModel, SpeechModel]:
    from ugsd_core.errors import CheckpointError
    from ugsd_core.models.loading import default_checkpoint, load_speech_model

    try:
        return load_speech_model(default_checkpoint("edge")), load_speech_model(default_checkpoint("verifier"))
    except CheckpointError as error:
        pytest.skip(str(error))


def captioner(edge: SpeechModel, verifier: SpeechModel) -> Captioner:
    return Captioner(StreamDrafter(edge), LocalLink(TorchVerifier(verifier)))


def ids(made: Captioner, clip: Utterance, options: DecodingOptions) -> tuple[int, ...]:
    last = list(made.stream(clip, options))[-1]
    assert isinstance(last, CaptionFinished)
    return last.token_ids


def lossless_on(made: Captioner, clips: list[Path], max_tokens: int) -> None:
    """Each clip with one block setting, so that all settings meet many clips."""
    for n, path in enumerate(clips):
        clip = load_utterance(path, first_30_s=True)
        k, bonus = BLOCKS[n % len(BLOCKS)]
        language = "zh" if n % 3 == 0 else "en"
        cloud = ids(made, clip, DecodingOptions(mode="cloud", language=language, max_tokens=max_tokens))
        ours = ids(made, clip, preset("lossless", k=k, bonus=bonus, language=language, max_tokens=max_tokens))
        assert ours == cloud, f"{path.name}, k = {k}, bonus = {bonus}"


@pytest.mark.timeout(400)
def test_lossless_equals_cloud_only_on_real_clips_with_the_embedded_pair() -> None:
    lossless_on(captioner(*embedded()), real_clips(56), 96)


@pytest.mark.timeout(400)
def test_lossless_equals_cloud_only_on_real_clips_with_the_other_class(pairs: Callable[[str], Pair]) -> None:
    pair = pairs("qwen3_omni_moe")
    lossless_on(captioner(pair.edge, pair.verifier), real_clips(56), 16)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_mode_captions_clips_of_every_corpus_and_the_identities_hold(language: str) -> None:
    edge, verifier = embedded()
    made = captioner(edge, verifier)
    for path in real_clips(30):
        clip = load_utterance(path, first_30_s=True)
        for options in (DecodingOptions(mode="edge"), preset("default"), DecodingOptions(mode="cloud")):
            result = caption_result(made.stream(clip, options.changed(language=language)))
            assert check_identities(result) == [], path.name
            assert edge.decode(result.token_ids) == result.caption != ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_mode_captions_the_example_clips_and_the_identities_hold(language: str) -> None:
    edge, verifier = embedded()
    made = captioner(edge, verifier)
    settings = [
        DecodingOptions(mode="edge"),
        DecodingOptions(mode="cloud"),
        preset("default", tau=0.0),
        preset("paper"),
        preset("proposal"),
        preset("lossless"),
        preset("default", temperature=1.0, seed=3),
        preset("default", gate="mc_dropout", mc_dropout_samples=4, tau=0.01),
    ]
    for path in EXAMPLES[:3]:
        clip = load_utterance(path)
        for options in settings:
            events = list(made.stream(clip, options.changed(language=language)))
            result = caption_result(events)
            assert check_identities(result) == []
            last = events[-1]
            assert isinstance(last, CaptionFinished)
            assert edge.decode(last.token_ids) == last.caption
            if options.temperature == 0.0:
                assert last.reason == "end_of_turn"
                assert last.caption.endswith("." if language == "en" else "。")
                assert 8 <= len(last.caption) <= (140 if language == "en" else 50)
                assert emotions_in(last.caption, language), last.caption


def test_the_same_seed_gives_the_same_sampled_caption() -> None:
    made = captioner(*embedded())
    clip = load_utterance(EXAMPLES[0])
    sampled = {seed: ids(made, clip, preset("default", temperature=1.5, seed=seed)) for seed in range(4)}
    assert len(set(sampled.values())) > 1
    assert sampled == {seed: ids(made, clip, preset("default", temperature=1.5, seed=seed)) for seed in range(4)}
