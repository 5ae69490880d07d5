"""The embedded edge on onnxruntime: what torch computes, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ugsd_core import places
from ugsd_core.acoustic import AcousticCode, encode_waveform
from ugsd_core.audio import load_utterance
from ugsd_core.bench.backends import compare, event_loop, onnx_loop, torch_loop
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter, StreamModel
from ugsd_core.errors import CheckpointError, InstallationError, OptionError
from ugsd_core.messages import CaptionFinished, CaptionStarted
from ugsd_core.models import backends
from ugsd_core.models.backends import choose_backend, load_edge_model
from ugsd_core.models.loading import default_checkpoint, load_speech_model
from ugsd_core.models.onnx_model import OnnxModel, load_onnx_model
from ugsd_core.models.onnx_stream import ROOM, OnnxStream
from ugsd_core.models.plain_tokenizer import PlainTokenizer
from ugsd_core.models.prompts import Language
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import caption_result
from ugsd_core.uncertainty import distribution
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.process import VerifierProcess

EXAMPLES = sorted((places.assets_folder() / "examples").glob("*.flac"))
EDGE = default_checkpoint("edge")


@lru_cache(maxsize=1)
def by_torch() -> SpeechModel:
    return load_speech_model(EDGE)


@lru_cache(maxsize=1)
def exact() -> OnnxModel:
    """Activations in floats, as torch has them."""
    return load_onnx_model(EDGE, tower="float", reader="float", decoder="float")


@lru_cache(maxsize=1)
def shipped() -> OnnxModel:
    return load_onnx_model(EDGE)


@lru_cache(maxsize=2)
def code(number: int = 0) -> AcousticCode:
    return encode_waveform(load_utterance(EXAMPLES[number]).samples, shipped().features)


def stream(model: OnnxModel, language: Language = "en") -> OnnxStream:
    return model.open(code(), None, language)


def caption(model: StreamModel, path: Path, language: Language) -> str:
    options = DecodingOptions(mode="edge", language=language)
    *_, last = Captioner(StreamDrafter(model)).stream(load_utterance(path), options)
    assert isinstance(last, CaptionFinished)
    return last.caption


# ── The same as torch ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", ["en", "zh"])
def test_in_floats_it_computes_what_torch_computes(language: Language) -> None:
    ours, theirs = exact().open(code(), None, language), by_torch().open(code(), None, language)
    assert ours.input_tokens == theirs.input_tokens
    assert ours.label_posterior == pytest.approx(theirs.label_posterior, abs=1e-5)
    assert ours.next_logits() == pytest.approx(theirs.next_logits(), abs=1e-4)
    ids = [5, 17, 300, 17]
    for n in (1, 2, len(ids)):
        a, b = (made.feed(ids[:n], rows=n + 1) for made in (ours, theirs))
        assert a == pytest.approx(b, abs=1e-4)
        seen, known = distribution(a[-1], 5), distribution(b[-1], 5)
        assert seen.entropy_nats == pytest.approx(known.entropy_nats, abs=1e-5)
        assert [i for i, _ in seen.top] == [i for i, _ in known.top]
    masks = np.random.default_rng(0).random((3, ours.width)).astype(np.float32)
    assert ours.masked_logits(masks) == pytest.approx(theirs.masked_logits(masks), abs=1e-4)


def test_captions_of_the_example_clips_are_those_of_torch() -> None:
    for path in EXAMPLES:
        for language in ("en", "zh"):
            assert caption(shipped(), path, language) == caption(by_torch(), path, language), path.name  # type: ignore[arg-type]


def test_bare_loops_and_event_loops_write_the_same_and_are_timed_pair_by_pair() -> None:
    options = DecodingOptions(mode="edge", prompt="worded-1")
    written = [torch_loop(by_torch(), code(), options), onnx_loop(shipped(), code(), options)]
    written.append(event_loop(StreamDrafter(shipped()), code(), options))
    assert len({tuple(ids) for ids, _, _ in written}) == 1 and all(0 < first < last for _, first, last in written)
    found = compare(StreamDrafter(by_torch()), StreamDrafter(shipped()), [code()], rounds=2)
    assert set(found["runs"]) == {"torch_bare", "onnx_bare", "torch_events", "onnx_events"}
    assert all(ratio["n"] == 2 and ratio["median"] > 0 for ratio in found["ratios"].values())


def test_both_sides_of_the_wire_take_it_for_the_same_edge() -> None:
    assert shipped().info == by_torch().info and shipped().end_ids == by_torch().end_ids
    assert shipped().say_once == by_torch().say_once and shipped().wordings == by_torch().wordings


def test_a_tokenizer_without_transformers_says_the_same() -> None:
    plain, full = PlainTokenizer(EDGE), by_torch().tokenizer
    texts = ["The speaker feels sad.", " high", "说话人声音低沉，流露出悲伤。", "é…😀", ""]
    assert plain(texts, add_special_tokens=False)["input_ids"] == full(texts, add_special_tokens=False)["input_ids"]
    ids = plain(texts[2], add_special_tokens=False)["input_ids"] + [854]
    for skip in (False, True):
        told = [
            made.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False) for made in (plain, full)
        ]
        assert told[0] == told[1]
    assert len(plain) == len(full) and set(plain.all_special_ids) == set(full.all_special_ids)
    assert {i: str(t) for i, t in plain.added_tokens_decoder.items()} == {
        i: str(t) for i, t in full.added_tokens_decoder.items()
    }
    message = [{"role": "user", "content": "a\nb"}]
    rendered = [t.apply_chat_template(message, add_generation_prompt=True, tokenize=False) for t in (plain, full)]
    assert rendered[0] == rendered[1]


# ── A stream ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rolled_back_and_continued_it_equals_a_fresh_start() -> None:
    used, fresh = stream(shipped()), stream(shipped())
    first = used.next_logits()
    used.feed([5, 17, 300], rows=1)
    used.feed([9], rows=1)
    used.truncate(1)
    assert used.next_logits() == pytest.approx(fresh.feed([5], rows=1)[0], abs=1e-5)
    assert used.feed([44], rows=1) == pytest.approx(fresh.feed([44], rows=1), abs=1e-5)
    used.truncate(0)
    assert used.next_logits() == pytest.approx(first) and used.length == 0 and used.ids == ()
    with pytest.raises(ValueError, match="cannot truncate"):
        used.truncate(1)


def test_a_caption_longer_than_its_room_keeps_what_it_held() -> None:
    # Fed one by one the room grows while it writes; fed at once it is made for all.
    ids = [int(i) for i in np.random.default_rng(0).integers(0, 800, ROOM + 40)]
    slow, fast = stream(exact()), stream(exact())
    size = slow.size_bytes
    for token_id in ids:
        last = slow.feed([token_id], rows=1)
    assert last == pytest.approx(fast.feed(ids, rows=1), abs=1e-3) and slow.size_bytes > size


def test_tokens_fed_together_predict_the_same_as_one_by_one_in_floats_alone() -> None:
    ids = [5, 17, 300, 44, 8, 101, 7, 7]
    for model, apart in ((exact(), 1e-4), (shipped(), 0.1)):
        alone, together = stream(model), stream(model)
        rows = np.vstack([alone.feed([token_id], rows=1) for token_id in ids])
        assert together.feed(ids, rows=len(ids)) == pytest.approx(rows, abs=apart)
        assert together.rows_agree is (model is exact())


def test_a_word_that_is_said_once_is_out_of_question_behind_itself() -> None:
    word = min(shipped().say_once)
    made = stream(shipped())
    assert made.next_logits()[word] > -100 and made.feed([word], rows=1)[0][word] == -1e4
    before, behind = stream(shipped()).feed([word], rows=2)
    assert before[word] > -100 and behind[word] == -1e4


# ── The choice ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fast_back_end_is_taken_where_it_can(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert choose_backend(EDGE) == "onnx" and choose_backend(EDGE, "torch") == "torch"
    for where in ({"device": "cuda"}, {"dtype": "bfloat16"}):
        assert choose_backend(EDGE, **where) == "torch"
        with pytest.raises(OptionError, match="name torch"):
            choose_backend(EDGE, "onnx", **where)
    assert choose_backend("Qwen/Qwen2.5-Omni-3B") == "torch"
    config = json.loads((EDGE / "config.json").read_text(encoding="utf-8"))
    shutil.copyfile(EDGE / "model.safetensors", tmp_path / "model.safetensors")
    for change in ({"model_type": "qwen3_omni_moe_thinker"}, {"quantization_config": None}, {"text_config": {}}):
        (tmp_path / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
        assert choose_backend(tmp_path) == "torch"
        with pytest.raises(CheckpointError, match="onnxruntime"):
            load_onnx_model(tmp_path)
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    assert choose_backend(EDGE) == "torch"
    with pytest.raises(InstallationError, match="edge-onnx"):
        choose_backend(EDGE, "onnx")
    with pytest.raises(OptionError, match="auto, torch, onnx"):
        choose_backend(EDGE, "tpu")


def test_damaged_weights_are_told_in_one_sentence(tmp_path: Path) -> None:
    folder = shutil.copytree(EDGE, tmp_path / "edge")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_edge_model(folder, "onnx")


def test_a_trace_says_what_computed_the_edge() -> None:
    first = next(Captioner(StreamDrafter(shipped())).stream(load_utterance(EXAMPLES[0]), DecodingOptions(mode="edge")))
    assert isinstance(first, CaptionStarted) and first.checkpoints["edge"]["backend"] == "onnx"


#: A command line in which these packages cannot be imported, as if they were not installed.
WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "huggingface_hub", "onnx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
from ugsd_core.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without_torch(*words: str) -> subprocess.CompletedProcess[str]:
    """``ugsd`` on a machine that has neither torch nor transformers; warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=places.beside_the_code(), check=False)


def test_a_clip_is_captioned_where_neither_torch_nor_transformers_is_installed() -> None:
    done = without_torch("caption", str(EXAMPLES[0]), "--mode", "edge", "--quiet")
    assert done.returncode == 0, done.stderr
    # The command line seeds nothing: the wording goes by the utterance, so the caption is the one of this process.
    assert done.stdout.strip() == caption(shipped(), EXAMPLES[0], "en")


def test_such_an_edge_asks_a_verifier_elsewhere() -> None:
    """The default preset, and plain speculative decoding over a slower link."""

    def results(address: str) -> Iterator[dict[str, Any]]:
        words = ("caption", str(EXAMPLES[0]), "--verifier", address, "--json", "--quiet")
        ways = (("--preset", "default"), ("--preset", "lossless", "--link", "rtt=4"))
        with ThreadPoolExecutor(2) as both:
            for done in both.map(lambda way: without_torch(*words, *way), ways):
                assert done.returncode == 0, done.stderr
                yield json.loads(done.stdout)

    with VerifierProcess(asks_for_token=False) as verifier:
        default, lossless = results(verifier.address)
        with WebSocketLink(verifier.address) as here:
            stream = Captioner(StreamDrafter(shipped()), here).stream(load_utterance(EXAMPLES[0]), preset("lossless"))
            assert lossless["caption"] == caption_result(stream).caption
    for result in (default, lossless):
        assert result["checkpoints"]["edge"]["backend"] == "onnx"
        assert any(block["accepted"] is not None for block in result["blocks"]), "a block was judged"
