"""``ugsd evaluate`` as a person types it, with a tiny pair."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation.worlds import captions, facts, write_wav
from tests.tiny import save_checkpoint
from ugsd_core.cli import main
from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, METRICS_FILE
from ugsd_core.evaluation.scoring import score_run
from ugsd_core.wire.process import VerifierProcess

#: Three programs are started, each of which loads torch.
pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = "edge,cloud,paper,speculative,oracle"
OWN = ["kept: gate=entropy tau=4 budget=0.2 acceptance=rank cut=none", "chance: match=kept"]
N_SYSTEMS = 7


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    edge = save_checkpoint(folder / "edge", "qwen2_5_omni", seed=1)
    return edge, save_checkpoint(folder / "verifier", "qwen2_5_omni", seed=2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    rows = ["id,path,speaker,emotion,caption_en,split"]
    for n in range(4):
        write_wav(folder / "audio" / f"c{n}.wav", n)
        rows.append(f"c{n},audio/c{n}.wav,s{n % 2},sad,The voice is low.,{'test' if n < 3 else 'train'}")
    rows.append("lost,audio/lost.wav,s0,sad,The voice is lost.,test")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def verifier(pair: tuple[Path, Path]) -> Iterator[VerifierProcess]:
    """One that runs already."""
    with VerifierProcess(["--checkpoint", str(pair[1])], wait=False, asks_for_token=False) as child:
        yield child


def command(corpus: Path, out: Path, pair: tuple[Path, Path], *more: str) -> list[str]:
    words = ["evaluate", str(corpus), "--split", "test", "--systems", SYSTEMS, "--no-score", "--out", str(out)]
    words += [word for text in OWN for word in ("--system", text)]
    return [*words, "--edge", str(pair[0]), *(more or ("--verifier-checkpoint", str(pair[1])))]


def start(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ugsd_core.cli", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_for_lines(path: Path, count: int, child: subprocess.Popen[str]) -> None:
    """Until so many captions are on the disk."""
    while not path.is_file() or path.read_bytes().count(b"\n") < count:
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, corpus: Path, pair: tuple[Path, Path], verifier: VerifierProcess
) -> Path:
    """A run that never stopped, with a verifier of its own; the other one loads meanwhile."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main(command(corpus, folder, pair)) == 0
    return folder


def test_a_run_that_is_killed_goes_on_to_the_same_captions(
    tmp_path: Path,
    corpus: Path,
    pair: tuple[Path, Path],
    whole: Path,
    verifier: VerifierProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = command(corpus, tmp_path / "run", pair, "--verifier", verifier.address)
    child = start(words)
    try:
        wait_for_lines(tmp_path / "run" / CLIPS_FILE, 10, child)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    kept = len(captions(tmp_path / "run"))
    assert 10 <= kept < 3 * N_SYSTEMS
    assert main(words) == 0
    out, errors = capsys.readouterr()
    assert "1 recording is missing" in errors
    assert f"{kept} of {3 * N_SYSTEMS} captions are there already" in errors
    assert f"{3 * N_SYSTEMS - kept} captions in" in out and "outside of captions" in out
    assert [facts(line) for line in captions(tmp_path / "run")] == [facts(line) for line in captions(whole)]
    for folder in (tmp_path / "run", whole):
        score_run(folder, draws=20)
    assert (tmp_path / "run" / METRICS_FILE).read_bytes() == (whole / METRICS_FILE).read_bytes()


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path,
    corpus: Path,
    pair: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    words = ["evaluate", str(corpus), "--systems", "edge", "--no-score", "--edge", str(pair[0])]
    words += ["--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr("ugsd_core.cli.evaluate.Progress.step", pressed)
        assert main(words) == 130
    out, errors = capsys.readouterr()
    assert "the same command goes on" in errors and out == ""
    assert len(captions(tmp_path / "run")) == 1
    assert json.loads((tmp_path / "run" / MANIFEST_FILE).read_text())["finished"] is None
    assert main(words) == 0 and len(captions(tmp_path / "run")) == 4


def test_captions_of_a_real_pair_are_what_their_systems_are(whole: Path) -> None:
    lines = captions(whole)
    table = {line.key: line for line in lines}
    for n in range(3):
        assert table[f"c{n}", "speculative"].token_ids == table[f"c{n}", "cloud"].token_ids
        assert table[f"c{n}", "edge"].bytes | {"waveform": 0} == dict.fromkeys(table[f"c{n}", "edge"].bytes, 0)
        codes = {table[f"c{n}", system].bytes["code"] > 1000 for system in ("cloud", "paper", "oracle", "kept")}
        assert codes == {True}, "each system sends the speech itself, whoever was first"
    for line in lines:
        oracle = line.system == "oracle"
        assert (line.clocks["total_s"] is None) == oracle and (line.resources["edge_rss_mb"] is None) == oracle
        if not oracle:
            assert (line.resources["verifier_rss_mb"] or 0) > 10 and line.resources["verifier_cpu_s"] is not None
    oracles = [line.counts for line in lines if line.system == "oracle"]
    assert sum(entry["escalations"] for entry in oracles) > 0
    assert all(entry["escalations"] == entry["blocks_changed"] for entry in oracles)


def test_the_edge_alone_starts_no_verifier(
    tmp_path: Path, corpus: Path, pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(corpus), "--systems", "edge", "--limit", "1", "--no-score", "--no-traces", "--json"]
    assert main([*words, "--edge", str(pair[0]), "--out", str(tmp_path / "run")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["failed"] == [] and summary["session"]["captions"] == 1 and summary["metrics"] is None
    (line,) = captions(tmp_path / "run")
    assert line.resources["verifier_cpu_s"] is None and line.trace is None
    assert json.loads((tmp_path / "run" / MANIFEST_FILE).read_text())["checkpoints"]["verifier"] is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--systems", "edge,clowd"], "no system 'clowd'"),
        (["--systems", "random"], "add it to --systems"),
        (["--limit", "0"], "at least 1 clip"),
        (["--split", "dev"], "no clip of small"),
        (["--verifier", "ws://x:1", "--verifier-checkpoint", "y"], "leave out --verifier-checkpoint"),
        (["--system", "x: volume=1"], "no setting 'volume'"),
    ],
)
def test_what_cannot_be_is_told_before_any_model_is_loaded(
    tmp_path: Path, corpus: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(corpus), "--out", str(tmp_path / "run"), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
