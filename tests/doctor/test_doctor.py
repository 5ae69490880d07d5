"""`ugsd doctor`: what it says of machines that lack something, with everything it looks at made up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fakes import END, ScriptedDrafter, ScriptedVerifier, ids
from tests.wire.fakes import serving
from ugsd_core import places
from ugsd_core.captioner import Captioner
from ugsd_core.cli import main
from ugsd_core.doctor import audio, captioning, files, machine, packages
from ugsd_core.doctor.finding import Finding, healthy
from ugsd_core.doctor.table import table
from ugsd_core.doctor.verifier import check_ready
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.parts import BASE, PARTS
from ugsd_core.places import assets_folder


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name.split(" (")[0]: finding for finding in findings}


def everything(name: str) -> str:
    return places.tested_versions().get(name, "1.0")


def test_an_installation_as_tested_is_healthy() -> None:
    found = packages.check_packages(everything)
    assert healthy(found) and all(finding.state == "ok" for finding in found)
    assert {finding.name.split(" (")[0] for finding in found} == {*PARTS, "versions"}


def test_the_edge_alone_is_healthy_and_says_how_to_get_the_rest() -> None:
    edge = set(PARTS["edge"][1])
    found = by_name(packages.check_packages(lambda name: everything(name) if name in edge else None))
    assert healthy(list(found.values()))
    for part in set(BASE) - {"edge", "edge-onnx"}:
        assert found[part].state == "note" and found[part].found == "not installed"
        assert f"[{part}]" in found[part].mend


def test_an_edge_without_torch_is_healthy() -> None:
    light = set(PARTS["edge-onnx"][1])
    found = by_name(packages.check_packages(lambda name: everything(name) if name in light else None))
    assert healthy(list(found.values())) and found["edge-onnx"].state == "ok"
    assert found["edge"].state == "note" and "[edge]" in found["edge"].mend


@pytest.mark.parametrize(("lost", "part"), [("transformers", "edge"), ("soxr", "edge"), ("nltk", "evaluation")])
def test_a_part_with_a_hole_is_missing_something(lost: str, part: str) -> None:
    found = by_name(packages.check_packages(lambda name: None if name == lost else everything(name)))
    assert found[part].state == "missing" and lost in found[part].found and f"[{part}]" in found[part].mend


def test_another_version_is_a_note_with_the_version_that_was_tested() -> None:
    found = by_name(packages.check_packages(lambda name: "0.0.1" if name == "numpy" else everything(name)))
    tested = places.tested_versions()["numpy"]
    assert found["versions"].state == "note" and f"numpy 0.0.1 (tested {tested})" in found["versions"].found
    assert f"numpy=={tested}" in found["versions"].mend


def test_an_old_python_is_told_at_once() -> None:
    assert packages.check_python((3, 10, 2)).state == "missing"
    assert packages.check_python((3, 13, 0)).state == "ok"


def test_a_local_build_counts_as_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.metadata, "version", lambda name: "2.13.0+cpu")
    assert packages.version_of("torch") == "2.13.0"


def test_a_codec_that_is_lacking_names_the_files_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    monkeypatch.setattr(av, "codecs_available", {"opus", "vorbis", "mp3"})
    sndfile, ffmpeg = audio.check_audio()
    assert sndfile.state == "ok"
    assert ffmpeg.state == "missing" and "M4A" in ffmpeg.found and ffmpeg.mend


def test_a_missing_audio_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "find_spec", lambda name: None)
    for finding in audio.check_audio():
        assert finding.state == "missing" and "[edge]" in finding.mend


def test_a_gpu_that_pytorch_cannot_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(machine, "_driver_sees_one", lambda: True)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/bin/{name}")
    assert machine.check_devices().state == "note"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    gpu = SimpleNamespace(name="Some GPU", total_memory=80e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    assert "cuda:0 Some GPU, 80 GB" in machine.check_devices().found


def test_little_memory_and_no_browser_are_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_bytes", lambda: 300_000_000)
    assert machine.check_memory().state == "note"
    monkeypatch.setattr(machine, "find_browser", lambda: None)
    assert machine.check_browser().state == "note"


def test_the_files_of_this_checkout_are_all_there() -> None:
    assert all(finding.state == "ok" for finding in files.check_files())


def test_files_that_are_lacking_are_named(tmp_path: Path) -> None:
    found = by_name(files.check_files(tmp_path))
    assert len(found) == 5 and all(finding.state == "missing" and finding.mend for finding in found.values())
    edge = tmp_path / "checkpoints/edge"
    shutil.copytree(assets_folder() / "checkpoints/edge", edge, ignore=shutil.ignore_patterns("model*"))
    assert "no weights" in files.check_checkpoint(edge, "edge").found
    (edge / "model.safetensors").write_bytes(files.POINTER + b"/spec/v1\noid sha256:0\n")
    assert files.check_checkpoint(edge, "edge").mend == "git lfs pull"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert files.check_data_folder(tmp_path / "file/ugsd").state == "missing"
    assert files.check_data_folder(tmp_path / "new/ugsd").state in ("ok", "note")
    assert not (tmp_path / "new").exists(), "looking makes nothing"


def test_a_corpus_that_is_none_is_told(tmp_path: Path) -> None:
    assert files.check_corpus(assets_folder() / "examples").state == "ok"
    assert files.check_corpus(tmp_path).state == "missing"


def test_a_verifier_that_does_not_answer_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> Finding:
        raise VerifierUnavailable("Nobody answers.")

    monkeypatch.setattr(captioning, "_captioned", refused)
    found = captioning.check_captioning("ws://127.0.0.1:9")
    assert found.state == "missing" and found.found == "Nobody answers." and found.mend

    def torchless(*_: object) -> Finding:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(captioning, "_captioned", torchless)
    assert "[edge]" in captioning.check_captioning().found


class Probed(BaseHTTPRequestHandler):
    """Answers what its server was told to."""

    def do_GET(self) -> None:
        status, body = self.server.answer if self.path == "/readyz" else (404, b"")  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing is logged."""


@pytest.mark.parametrize(
    ("status", "body", "state", "said"),
    [
        (200, b'{"ready": true, "faults": []}', "ok", "ready, says http://127.0.0.1:"),
        (
            503,
            b'{"ready": false, "faults": ["draining", "1 of 2 workers hung"]}',
            "missing",
            "draining, 1 of 2",
        ),
        (404, b"no such page", "note", "is not told there (HTTP 404)"),
        (200, b"[1]", "note", "is not told there (HTTP 200)"),
    ],
)
def test_a_verifiers_own_word_is_a_row(status: int, body: bytes, state: str, said: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Probed) as server:
        server.answer = status, body  # type: ignore[attr-defined]
        asked = threading.Thread(target=server.handle_request)
        asked.start()
        found = check_ready(f"ws://127.0.0.1:{server.server_port}/")
        asked.join()
    assert found.state == state and said in found.found
    assert (found.details or {}).get("ready", state == "note") in (True, status != 503)


def test_a_verifiers_own_word_is_asked_of_a_verifier() -> None:
    """A real server says that it is ready; where none listens, or the address is none, that is told."""
    with serving(ScriptedVerifier([])) as address:
        found = check_ready(address)
        assert found.state == "ok" and found.details == {"ready": True, "faults": []}
    assert "does not answer" in check_ready(address).found
    for wrong in ("http://127.0.0.1:1", "ws://", "ws://there:port"):
        assert check_ready(wrong).state == "missing"


def test_what_a_verifier_serves_is_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    script = ids("the", "voice", "is", "low", ".", END)
    drafter = ScriptedDrafter(script)
    monkeypatch.setattr(Captioner, "load", lambda _: Captioner(drafter))
    with serving(ScriptedVerifier(script)) as address:
        found = captioning.check_captioning(address)
    assert found.state == "ok" and found.found.startswith("serves fake-verifier (")
    assert (found.details or {})["serves"]["vocabulary_size"] == drafter.info.vocabulary_size


def test_the_table_marks_rows_and_ends_with_what_it_comes_to() -> None:
    rows = [
        Finding("packages", "Python", "ok", "3.11", "never shown"),
        Finding("packages", "页面", "note", "not installed", "pip install it"),
        Finding("files", "edge", "missing", "nothing there", "put it there"),
    ]
    lines = table(rows).splitlines()
    assert lines[0] == "packages" and "never shown" not in table(rows)
    assert lines[1].index("3.11") == lines[2].index("not installed") + 2, "Chinese characters take two columns"
    assert lines[3].strip() == "→ pip install it"
    assert lines[-1].startswith("1 thing is missing") and "1 row marked ·" in lines[-1]
    assert table(rows[:1]).splitlines()[-1] == "Everything needed is there."


BARE = """
import sys
for name in ("numpy", "torch", "transformers", "gradio", "soundfile", "av", "sqlalchemy", "websockets", "msgpack"):
    sys.modules[name] = None
from importlib import metadata, util
found = metadata.version
def version(name):
    raise metadata.PackageNotFoundError(name)
metadata.version = version
find = util.find_spec
util.find_spec = lambda name: None if sys.modules.get(name, name) is None else find(name)
from ugsd_core.cli import main
sys.exit(main(["doctor", "--quick"]))
"""


def test_where_nothing_is_installed_the_doctor_still_says_what_to_type() -> None:
    done = subprocess.run([sys.executable, "-c", BARE], cwd=places.beside_the_code(), capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "✗ edge" in done.stdout and "✗ PyAV" in done.stdout and "✓ embedded edge" in done.stdout


def test_doctor_on_the_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["doctor", "--quick", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] is True
    groups = {finding["group"] for finding in told["findings"]}
    assert groups == {"packages", "machine", "audio", "files"}
    monkeypatch.setattr(packages, "version_of", lambda name: None)
    monkeypatch.setattr(audio, "find_spec", lambda name: None if name == "av" else find_spec(name))
    assert main(["doctor", "--quick"]) == 1
    assert "✗ PyAV" in capsys.readouterr().out
