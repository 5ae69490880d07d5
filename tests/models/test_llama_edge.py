"""An edge whose decoder llama.cpp computes: what torch computes, and what every edge promises.

The package is built from source where it is installed, so it is no part of a plain installation; without it most of
this is skipped.
"""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.models.test_onnx_edge import EDGE, EXAMPLES, by_torch, caption, code
from ugsd_core.bench.real_models import make_llama_model, smallest
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.captioner import Captioner
from ugsd_core.cli.entry import main
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import CheckpointError, InstallationError, OptionError
from ugsd_core.messages import CaptionFinished, CaptionStarted
from ugsd_core.models import backends, llama_decoder
from ugsd_core.models.backends import choose_backend, load_edge_model
from ugsd_core.models.gguf_file import DECODER
from ugsd_core.models.llama_checkpoint import write_llama_checkpoint
from ugsd_core.models.llama_decoder import LlamaDecoder
from ugsd_core.models.llama_model import LlamaModel, load_llama_model
from ugsd_core.models.llama_probe import SHAPE, write_small
from ugsd_core.models.shipped import shipped
from ugsd_core.models.tower_file import TOWER
from ugsd_core.options import DecodingOptions


def works() -> bool:
    """Whether the package is there; that it is built for another processor is a fault to be told, not to be skipped."""
    return find_spec("llama_cpp") is not None and find_spec("gguf") is not None


needs_llama = pytest.mark.skipif(not works(), reason="llama-cpp-python is not installed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The embedded edge for llama.cpp, in each precision."""
    base = tmp_path_factory.mktemp("llama")
    return {name: write_llama_checkpoint(EDGE, base / name, name) for name in ("float32", "int8", "int4")}


@lru_cache(maxsize=3)
def model(folder: Path) -> LlamaModel:
    return load_llama_model(folder, threads=1)


# ── The same as torch ─────────────────────────────────────────────────────────────────────────────────────────────


@needs_llama
def test_in_floats_it_computes_what_torch_computes(folders: dict[str, Path]) -> None:
    ours, theirs = (made.open(code(), None, "en") for made in (model(folders["float32"]), by_torch()))
    assert ours.input_tokens == theirs.input_tokens
    # The tower's activations are 16-bit here.
    assert ours.label_posterior == pytest.approx(theirs.label_posterior, abs=5e-3)
    assert ours.next_logits() == pytest.approx(theirs.next_logits(), abs=0.1)
    ids = [5, 17, 300, 17]
    for n in (1, 2, len(ids)):
        a, b = (made.feed(ids[:n], rows=n + 1) for made in (ours, theirs))
        assert a == pytest.approx(b, abs=0.1) and (a.argmax(axis=1) == b.argmax(axis=1)).all()


@needs_llama
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_captions_of_the_example_clips_are_those_of_torch(folders: dict[str, Path], precision: str) -> None:
    for path in EXAMPLES:
        for language in ("en", "zh"):
            ours = caption(model(folders[precision]), path, language)
            assert ours == caption(by_torch(), path, language), path.name  # type: ignore[arg-type]


# ── As any edge ───────────────────────────────────────────────────────────────────────────────────────────────────


@needs_llama
@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
def test_rolled_back_and_continued_it_is_as_if_begun_anew(folders: dict[str, Path], precision: str) -> None:
    draw = np.random.default_rng(3)
    stream = model(folders[precision]).open(code(), None, "zh")
    for _ in range(6):
        stream.feed([int(i) for i in draw.integers(0, 800, draw.integers(1, 6))], rows=1)
        stream.truncate(int(draw.integers(0, stream.length + 1)))
    ids = [3, 8, 400, 21]
    stream.feed(ids, rows=1)
    fresh = model(folders[precision]).open(code(), None, "zh")
    fresh.feed([*stream.ids], rows=1)
    assert stream.next_logits() == pytest.approx(fresh.next_logits(), abs=0.05 if precision == "float32" else 0.6)
    with pytest.raises(ValueError, match="cannot truncate"):
        stream.truncate(stream.length + 1)
    stream.truncate(0)
    assert stream.next_logits() == pytest.approx(model(folders[precision]).open(code(), None, "zh").next_logits())


@needs_llama
def test_two_captions_at_once_are_those_of_each_alone(folders: dict[str, Path]) -> None:
    shared = model(folders["int4"])
    alone = [shared.open(code(), None, language).feed([7, 9], rows=1) for language in ("en", "zh")]
    both = [shared.open(code(), None, language) for language in ("en", "zh")]
    for stream in both:
        stream.feed([7], rows=1)
    for stream, expected in zip(both, alone, strict=True):
        assert stream.feed([9], rows=1) == pytest.approx(expected, abs=0.6)


@needs_llama
def test_a_caption_that_outgrows_its_room_goes_on(tmp_path: Path) -> None:
    write_small(tmp_path / DECODER, precision="float32")
    decoder = LlamaDecoder(tmp_path / DECODER, threads=1)
    ids = [int(i) for i in np.random.default_rng(0).integers(0, SHAPE.rows, 200)]
    small, large = decoder.tape(32), decoder.tape(SHAPE.context)
    piece_by_piece = np.concatenate([small.run(ids[first : first + 10], first, 10) for first in range(0, 200, 10)])
    assert piece_by_piece == pytest.approx(large.run(ids, 0, 200), abs=1e-3)
    assert small.size_bytes == large.size_bytes
    with pytest.raises(CheckpointError, match="the edge knows 256; give it a shorter clip"):
        small.run(ids, 200, 1)


@needs_llama
def test_a_file_with_planes_of_positions_reads_speech_alike(tmp_path: Path) -> None:
    """As llama.cpp's own converter writes these checkpoints."""
    paths = [tmp_path / "plain.gguf", tmp_path / "planes.gguf"]
    write_small(paths[0], precision="float32")
    write_small(paths[1], precision="float32", sections=(8, 12, 12, 0))
    plain, planes = (LlamaDecoder(path, threads=1) for path in paths)
    assert (plain.planes, planes.planes) == (1, 4)
    vectors = np.random.default_rng(1).standard_normal((40, SHAPE.width), dtype=np.float32)
    tapes = [decoder.tape(128) for decoder in (plain, planes)]
    for tape in tapes:
        tape.run([1, 2, 3], 0, 0)
        tape.run(vectors, 3, 0)
    a, b = (tape.run([4, 5], 43, 2) for tape in tapes)
    assert a == pytest.approx(b, abs=1e-3)


@needs_llama
def test_a_whole_caption_says_what_computed_it(folders: dict[str, Path]) -> None:
    from ugsd_core.audio import load_utterance

    loaded = load_edge_model(folders["int4"])
    assert isinstance(loaded, LlamaModel) and loaded.info == by_torch().info
    first, *_, last = Captioner(StreamDrafter(loaded)).stream(load_utterance(EXAMPLES[0]), DecodingOptions(mode="edge"))
    assert isinstance(first, CaptionStarted) and first.checkpoints["edge"]["backend"] == "llama"
    assert isinstance(last, CaptionFinished) and last.caption.endswith(".")
    dropout = DecodingOptions(mode="edge", mc_dropout_samples=4)
    with pytest.raises(OptionError, match="take --edge-backend torch"):
        list(Captioner(StreamDrafter(loaded)).stream(load_utterance(EXAMPLES[0]), dropout))


@needs_llama
def test_the_command_line_writes_a_folder_and_captions_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoints", "gguf", "edge", str(tmp_path / "edge"), "--dtype", "int8"]) == 0
    assert "take it with --edge" in capsys.readouterr().out
    assert main(["checkpoints", "show", str(tmp_path / "edge"), "--json"]) == 0
    told, original = json.loads(capsys.readouterr().out), shipped(EDGE)
    assert told["kept_in"].startswith("decoder.gguf for llama.cpp") and told["parameters"] == original.parameters
    assert main(["caption", str(EXAMPLES[0]), "--edge", str(tmp_path / "edge"), "--mode", "edge", "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == caption(by_torch(), EXAMPLES[0], "en")
    assert main(["checkpoints", "gguf", "edge", str(tmp_path / "edge")]) == 2
    assert "name a new or empty folder" in capsys.readouterr().err
    assert main(["checkpoints", "gguf", "edge", str(tmp_path / "other"), "--dtype", "int3"]) == 2
    assert "--dtype is one of int4, int8, float32" in capsys.readouterr().err


@needs_llama
def test_a_benchmark_of_a_shape_counts_the_bytes_that_a_token_touches() -> None:
    made, whole, touched = make_llama_model("tiny", "llama-int4", layers=1, threads=1)
    stream = made.open(noise_code(made), None, "en")
    assert stream.feed([5, 6], rows=3).shape == (3, made.vocabulary_size)
    assert 0 < touched < whole
    with pytest.raises(OptionError, match="is for dense models"):
        make_llama_model("tiny-moe", "llama-int4", layers=1, threads=1)


def noise_code(made: LlamaModel):  # type: ignore[no-untyped-def]
    from ugsd_core.acoustic import encode_waveform

    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    return encode_waveform(samples, made.features)


# ── What can be wrong ─────────────────────────────────────────────────────────────────────────────────────────────


@needs_llama
def test_what_is_damaged_is_told_in_a_sentence(folders: dict[str, Path], tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(folders["int4"], tmp_path / name))

    cut = copy("cut")
    (cut / DECODER).write_bytes((cut / DECODER).read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"decoder\.gguf cannot be loaded by llama\.cpp"):
        load_llama_model(cut)
    lost = copy("lost")
    (lost / TOWER).unlink()
    with pytest.raises(CheckpointError, match=r"tower\.safetensors is missing or damaged"):
        load_llama_model(lost)
    other = copy("other")
    write_small(other / DECODER)
    with pytest.raises(CheckpointError, match="they are of different checkpoints"):
        load_llama_model(other)
    mixed = copy("mixed")
    config = json.loads((mixed / "config.json").read_text())
    config["audio_config"]["d_model"] *= 2
    (mixed / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="missing or damaged"):
        load_llama_model(mixed)


def test_a_library_for_another_processor_is_found_out_before_it_ends_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama_decoder, "_child_s_end", lambda: (-4, ""))
    with pytest.raises(InstallationError, match=r"signal 4 on this processor.*CC=clang"):
        llama_decoder.check_processor()
    monkeypatch.setattr(llama_decoder, "_child_s_end", lambda: (1, "no such thing"))
    with pytest.raises(InstallationError, match="does not work here: no such thing"):
        llama_decoder.check_processor()


def test_a_folder_for_llama_is_known_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: object())
    (tmp_path / DECODER).write_bytes(b"")
    assert choose_backend(tmp_path) == choose_backend(tmp_path, "llama") == "llama"
    for named in ("torch", "onnx"):
        with pytest.raises(CheckpointError, match=f"leave out --edge-backend {named}"):
            choose_backend(tmp_path, named)
    with pytest.raises(OptionError, match="leave out --device and --dtype"):
        choose_backend(tmp_path, dtype="int4")
    with pytest.raises(CheckpointError, match="make one of it: ugsd checkpoints gguf"):
        choose_backend(EDGE, "llama")
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(InstallationError, match=r"needs the package llama-cpp-python; type .*edge-llama"):
        choose_backend(tmp_path)


def test_a_benchmark_without_the_library_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ugsd_core.bench.real_models.find_spec", lambda name: None)
    assert "llama-int4" in BenchSettings(size="tiny").precisions
    with pytest.raises(OptionError, match=r"llama-int4 needs llama-cpp-python and gguf; type .*edge-llama"):
        make_llama_model("tiny", "llama-int4", layers=1, threads=1)
    names = BenchSettings(size="tiny").precisions
    assert smallest(names, "cpu") == "int4" and smallest(("fp32", "llama-int4", "bf16"), "cuda") == "bf16"
    monkeypatch.setattr("ugsd_core.bench.real_models.find_spec", lambda name: object())
    assert smallest(names, "cpu") == "llama-int4" and smallest(("fp32", "bf16"), "cpu") == "bf16"
