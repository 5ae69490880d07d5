"""Weights in eight and four bits: near the floats, the same whichever way they are multiplied, and on every path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny import save_checkpoint, utterance
from ugsd_core.acoustic import encode_waveform
from ugsd_core.captioner import Captioner
from ugsd_core.cli.entry import main
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import OptionError
from ugsd_core.models.loading import load_speech_model
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.models.weight_only import Int4Linear, Int8Embedding, Int8Linear, RoundedLinear
from ugsd_core.options import DecodingOptions
from ugsd_core.result import caption_result

#: Relative error that rounding may cause: of a product of normal values, of a tiny model's logits.
PRODUCT = {"int8": 0.015, "int4": 0.11}
LOGITS = {"int8": 0.05, "int4": 0.35}


def made(kind: type[RoundedLinear], inside: int, outside: int) -> tuple[RoundedLinear, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    weight, bias = torch.randn(outside, inside) * 0.02, torch.randn(outside) * 0.02
    layer = kind(inside, outside, True)
    layer.set_weight(weight)
    assert layer.bias is not None
    layer.bias.data = bias
    return layer, weight, bias


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("kind", [Int8Linear, Int4Linear])
@pytest.mark.parametrize("shape", [(256, 192), (40, 70), (8, 3)])
@pytest.mark.parametrize("rows", [1, 5, 60])
def test_a_rounded_layer_is_near_the_floats_in_any_shape(
    kind: type[RoundedLinear], shape: tuple[int, int], rows: int
) -> None:
    layer, weight, bias = made(kind, *shape)
    x = torch.randn(2, rows, shape[0])
    assert error(layer(x), torch.nn.functional.linear(x, weight, bias)) < PRODUCT[f"int{kind.bits}"]


@pytest.mark.parametrize("kind", [Int8Linear, Int4Linear])
def test_few_rows_and_many_are_multiplied_to_the_same(kind: type[RoundedLinear]) -> None:
    layer, _, _ = made(kind, 256, 192)
    rows = torch.randn(16, layer.columns).bfloat16()
    assert error(layer.few(rows).float(), layer.many(rows).float()) < 0.01


def test_an_unknown_layout_of_four_bits_is_left_to_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, weight, bias = made(Int4Linear, 64, 64)
    monkeypatch.setattr("ugsd_core.models.weight_only._layout_is_known", lambda: False)
    x = torch.randn(70, 64)
    assert error(layer(x), torch.nn.functional.linear(x, weight, bias)) < PRODUCT["int4"]


def test_four_bits_take_five_a_value_and_eight_take_eight() -> None:
    assert Int4Linear(1024, 512).bytes_read == 1024 * 512 * 5 // 8
    assert Int8Linear(1024, 512).bytes_read == 1024 * 512 + 4 * 512


def test_embedded_rows_are_looked_up_from_eight_bits() -> None:
    torch.manual_seed(0)
    weight, ids = torch.randn(50, 16), torch.tensor([[3, 49], [0, 3]])
    rows = Int8Embedding(50, 16)
    rows.set_weight(weight)
    assert rows(ids).shape == (2, 2, 16) and error(rows(ids), weight[ids]) < PRODUCT["int8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("rounded"), "qwen2_5_omni", seed=3, size=64)


@pytest.fixture(scope="module", params=["int8", "int4"])
def rounded(request: pytest.FixtureRequest, folder: Path) -> tuple[str, SpeechModel]:
    return request.param, load_speech_model(folder, dtype=request.param)


def test_a_checkpoint_is_rounded_while_it_is_loaded_head_and_tower_too(rounded: tuple[str, SpeechModel]) -> None:
    precision, model = rounded
    thinker = model.model
    floats = [name for name, module in thinker.named_modules() if isinstance(module, torch.nn.Linear)]
    assert floats == []
    assert isinstance(thinker.lm_head, RoundedLinear) and f"int{thinker.lm_head.bits}" == precision
    assert isinstance(model.embedding, Int8Embedding)
    assert isinstance(thinker.model.audio_tower.layers[0].fc1, RoundedLinear)


def test_logits_stay_near_those_of_the_floats(rounded: tuple[str, SpeechModel], folder: Path) -> None:
    precision, model = rounded
    whole = load_speech_model(folder)
    code = encode_waveform(utterance(1).samples, whole.features)
    streams = [either.open(code, None, "en") for either in (whole, model)]
    wanted, found = (torch.from_numpy(stream.feed([5, 6, 7, 8], rows=5)) for stream in streams)
    assert error(found, wanted) < LOGITS[precision]


def test_rolled_back_and_continued_equals_a_fresh_pass(rounded: tuple[str, SpeechModel]) -> None:
    _, model = rounded
    code = encode_waveform(utterance(2).samples, model.features)
    rolled, fresh = model.open(code, None, "en"), model.open(code, None, "en")
    rolled.feed([5, 6, 7, 8], rows=1)
    rolled.truncate(2)
    rolled.feed([9], rows=1)
    fresh.feed([5, 6], rows=1)
    fresh.feed([9], rows=1)
    assert rolled.next_logits() == pytest.approx(fresh.next_logits(), abs=2e-2)


def test_two_captions_on_one_rounded_model_do_not_disturb_each_other(rounded: tuple[str, SpeechModel]) -> None:
    _, model = rounded
    captioner = Captioner(StreamDrafter(model))
    options = DecodingOptions(mode="edge", max_tokens=6)
    first = caption_result(captioner.stream(utterance(4), options)).token_ids
    caption_result(captioner.stream(utterance(5), options))
    assert caption_result(captioner.stream(utterance(4), options)).token_ids == first


def test_the_embedded_edge_writes_the_same_words_in_eight_bits() -> None:
    clip = utterance(7, 2.0)
    options = DecodingOptions(mode="edge")
    captions = [caption_result(Captioner.load(dtype=dtype).stream(clip, options)) for dtype in ("float32", "int8")]
    assert captions[0].caption == captions[1].caption


def test_experts_are_refused_with_what_to_take(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, "qwen3_omni_moe")
    with pytest.raises(OptionError, match="bfloat16"):
        load_speech_model(folder, dtype="int4")


def test_rounded_weights_are_for_the_cpu(folder: Path) -> None:
    with pytest.raises(OptionError, match="CPU"):
        load_speech_model(folder, dtype="int4", device="meta")


def test_the_command_line_rounds_the_edge_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import soundfile

    clip = tmp_path / "clip.wav"
    soundfile.write(clip, utterance(6).samples, 16_000)
    words = ["caption", str(clip), "--edge", str(folder), "--edge-dtype", "int4", "--mode", "edge"]
    assert main([*words, "--max-tokens", "3", "--quiet"]) == 0
    assert capsys.readouterr().out.strip()
