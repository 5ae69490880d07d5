"""Others open the embedded checkpoints with what they have; what is damaged is found; a copy is all or nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import save_checkpoint
from ugsd_core.cli import main
from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.models.eight_bit import quantise_checkpoint
from ugsd_core.models.loading import default_checkpoint, load_speech_model
from ugsd_core.models.shipped import MANIFEST, SIDES, export, make_manifest, read_manifest

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = default_checkpoint("edge").parent
#: A stranger's program: stock transformers, nothing of ours.
STRANGER = """
import sys, torch
from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration
torch.set_num_threads(1)
found = {}
for name, folder in zip(sys.argv[2::2], sys.argv[3::2]):
    model, report = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("Therefore, the speaker feels sad.", return_tensors="pt").input_ids
    bins = model.config.audio_config.num_mel_bins
    mel = torch.linspace(-1, 1, bins * 100).reshape(1, bins, 100)
    with torch.inference_mode():
        heard = model.get_audio_features(mel, feature_attention_mask=torch.ones(1, 100, dtype=torch.long))
        positions = torch.arange(ids.shape[1])[None, None].expand(3, 1, -1)
        logits = model(input_ids=ids, position_ids=positions).logits
    found[name] = (ids, mel, heard.last_hidden_state.clone(), logits.clone())
assert not any(module.split(".")[0] == "ugsd_core" for module in sys.modules)
torch.save(found, sys.argv[1])
"""


def test_stock_transformers_opens_every_folder_and_computes_what_the_program_computes(tmp_path: Path) -> None:
    import torch

    pytest.importorskip("compressed_tensors")
    copy = export(CHECKPOINTS / "edge", tmp_path / "copies" / "edge")
    folders = {side: CHECKPOINTS / side for side in SIDES} | {"copy": copy}
    words = [word for name, folder in folders.items() for word in (name, str(folder))]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(tmp_path / "found.pt"), *words],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "found.pt")
    for name, (ids, mel, heard, logits) in found.items():
        model = load_speech_model(folders[name]).model
        with torch.inference_mode():
            mask = torch.ones(1, 100, dtype=torch.long)
            assert torch.equal(model.get_audio_features(mel, feature_attention_mask=mask).last_hidden_state, heard), (
                name
            )
            positions = torch.arange(ids.shape[1])[None, None].expand(3, 1, -1)
            assert torch.equal(model(input_ids=ids, position_ids=positions).logits, logits), name
    assert all(torch.equal(a, b) for a, b in zip(found["edge"], found["copy"], strict=True))


def test_the_manifest_is_not_stale() -> None:
    expected = make_manifest(CHECKPOINTS)["checkpoints"]
    assert read_manifest(CHECKPOINTS) == expected, "run python -m tools.checkpoint_manifest"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small files, with a manifest of its own, in the place of the embedded checkpoints."""
    for side, seed in (("edge", 1), ("verifier", 2)):
        save_checkpoint(tmp_path / side, "qwen2_5_omni", seed=seed)
    quantise_checkpoint(tmp_path / "edge")
    (tmp_path / MANIFEST).write_text(json.dumps(make_manifest(tmp_path)), encoding="utf-8")
    monkeypatch.setattr("ugsd_core.models.shipped.default_checkpoint", lambda side: tmp_path / side)
    return tmp_path


def test_list_and_show_say_what_there_is(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoints", "list"]) == 0
    text = capsys.readouterr().out
    assert "drafts captions" in text and "judges the blocks" in text and "licence" in text
    assert main(["checkpoints", "show", "edge", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class"] == "Qwen2_5OmniThinkerForConditionalGeneration" and found["kept_in"].startswith("eight bits")
    assert found["files"] == read_manifest(installed)["edge"]["files"]
    assert main(["checkpoints", "show", str(installed / "verifier")]) == 0
    assert "model.safetensors" in capsys.readouterr().out


def test_verify_opens_what_is_whole_and_finds_what_is_not(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoints", "verify"]) == 0
    assert capsys.readouterr().out.count("files as shipped, opens as") == 2
    weights = bytearray((installed / "edge" / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (installed / "edge" / "model.safetensors").write_bytes(weights)
    (installed / "edge" / "generation_config.json").unlink()
    (installed / "edge" / "stranger.txt").write_text("?", encoding="utf-8")
    assert main(["checkpoints", "verify", "--no-open"]) == 1
    text = capsys.readouterr().out
    assert "edge: model.safetensors has been changed" in text and "generation_config.json is missing" in text
    assert "stranger.txt does not belong here" in text and "verifier: " in text and "install the program again" in text
    (installed / MANIFEST).write_text("{", encoding="utf-8")
    assert main(["checkpoints", "verify", "edge", "--no-open"]) == 2


def test_export_copies_plain_floats_all_or_nothing(installed: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "edge"
    assert main(["checkpoints", "export", "edge", str(target), "--dtype", "float16"]) == 0
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == "float16" and "quantization_config" not in config
    assert [path.name for path in target.parent.iterdir()] == ["edge"], "nothing half-made is left beside it"
    assert load_speech_model(target).info.tokenizer_fingerprint
    with pytest.raises(OptionError, match="is there already"):
        export(installed / "edge", target)
    with pytest.raises(OptionError, match="--dtype is one of"):
        export(installed / "edge", tmp_path / "other", "int4")
    shutil.rmtree(target)
    (installed / "edge" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        export(installed / "edge", target)
    assert not target.exists()
    assert main(["checkpoints", "export", "nobody", str(target)]) == 2


def test_a_copys_card_speaks_of_its_own_form(tmp_path: Path) -> None:
    source = tmp_path / "edge"
    save_checkpoint(source, "qwen2_5_omni")
    quantise_checkpoint(source)
    shutil.copy(CHECKPOINTS / "edge" / "README.md", source)
    card = (export(source, tmp_path / "copy") / "README.md").read_text(encoding="utf-8")
    assert "weights in float32 |" in card and "pip install" not in card and "{" not in card.split("---")[2]
