"""Sweeps: the grid and its names, links as typed, the front, the report, and a sweep from corpus to files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.evaluation.runs import line, right_until, usual_run, write_lines, write_run
from tests.streams import END, StreamBuilder
from ugsd_core.cli import main
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.plan import System
from ugsd_core.evaluation.records import CLIPS_FILE, read_lines
from ugsd_core.evaluation.scored import load_run
from ugsd_core.evaluation.sweep import Grid, grid_systems, link_folder, parse_links, parse_values
from ugsd_core.evaluation.sweep_report import Sweep, build_sweep, sweep_texts
from ugsd_core.messages import Event
from ugsd_core.wire.emulated import Conditions

# ── What is typed ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_values_are_numbers_each_once() -> None:
    assert parse_values("0.5, 1.2,0.5", float, "tau") == (0.5, 1.2)
    assert parse_values("2,adaptive", int, "k", ("adaptive",)) == (2, "adaptive")
    assert parse_values(None, int, "rank") == ()


@pytest.mark.parametrize("text", ["high", "1;2", "1.5"])
def test_what_is_no_number_gets_a_sentence(text: str) -> None:
    with pytest.raises(OptionError, match="--rank takes numbers joined by commas"):
        parse_values(text, int, "rank")


@pytest.mark.parametrize(
    ("texts", "folders"),
    [
        (["none,rtt=100,rtt=300,up=5"], ["none", "rtt=100", "rtt=300,up=5"]),
        (["none", "rtt=300,up=5,down=20"], ["none", "rtt=300,up=5,down=20"]),
        (["4g,none"], ["rtt=50,up=10,down=30", "none"]),
        (["rtt=0", "none"], ["none"]),
        (["none", "up=5"], ["none", "rtt=0,up=5"]),
    ],
)
def test_links_are_read_joined_by_commas_or_apart(texts: list[str], folders: list[str]) -> None:
    assert [link_folder(link) for link in parse_links(texts)] == folders


@pytest.mark.parametrize("texts", [["fast"], ["rtt=ten"], ["none,up=fast"], []])
def test_a_link_that_is_none_gets_a_sentence(texts: list[str]) -> None:
    with pytest.raises(OptionError, match="link"):
        parse_links(texts)


# ── The grid ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_combination_is_a_system_and_the_ends_are_there() -> None:
    systems = grid_systems(Grid(taus=(0.5, 1.0), ranks=(1, 20), ks=(2, "adaptive")), "en")
    assert [system.name for system in systems[:3]] == ["edge", "cloud", "tau0.5-r1-k2"]
    assert len({system.name for system in systems}) == 2 + 8
    last = systems[-1].options
    assert (last.tau, last.acceptance, last.rank, last.block_length) == (1.0, "rank", 20, "adaptive")
    assert systems[2].options.block_length == "fixed" and systems[2].options.k == 2


def test_a_threshold_takes_the_place_of_a_presets_budget_and_a_rank_of_its_rule() -> None:
    (_, _, system) = grid_systems(Grid(preset="default", gates=("entropy",), taus=(0.7,), ranks=(3,)), "zh")
    assert system.options.tau == 0.7 and system.options.budget is None
    assert (system.options.acceptance, system.options.rank, system.options.language) == ("rank", 3, "zh")


def test_an_empty_grid_is_the_preset_itself() -> None:
    assert [system.name for system in grid_systems(Grid(), "en")] == ["edge", "cloud", "paper"]


def test_gates_are_told_apart_by_name() -> None:
    systems = grid_systems(Grid(gates=("entropy", "margin+content"), taus=(0.5,)), "en")
    assert [system.name for system in systems[2:]] == ["entropy-tau0.5", "margin.content-tau0.5"]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid(preset="best"), "no preset"),
        (Grid(gates=("entrpy",)), "entrpy"),
        (Grid(ranks=(0,)), "rank must be at least 1"),
        (Grid(ks=(100,)), "k must lie in"),
        (Grid(taus=tuple(n / 100 for n in range(30)), ranks=tuple(range(1, 30))), "sweep at most"),
    ],
)
def test_a_grid_without_meaning_gets_a_sentence(grid: Grid, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        grid_systems(grid, "en")


# ── What was found ────────────────────────────────────────────────────────────────────────────────────────────────────


def made(folder: Path, n: int = 12) -> Path:
    """Edge right in 4 clips, ``good`` in 9 with few tokens, ``poor`` in 6 with many; the edge is the fastest."""
    lines = []
    rho = {"good": 0.1, "poor": 0.5}
    seconds = {"edge": 0.1, "cloud": 0.5, "good": 0.2, "poor": 0.3}
    for system, right in (("edge", 4), ("cloud", n), ("good", 9), ("poor", 6)):
        for clip, text in enumerate(right_until(right, n)):
            one = line(system, clip, text, clocks={"total_s": seconds[system], "ttft_commit_s": 0.05})
            one.ratios.update({"transmission_rate": rho.get(system, one.ratios["transmission_rate"])})
            lines.append(one)
    return write_lines(folder, lines)


def sweep(tmp_path: Path, quality: str = "") -> Sweep:
    runs = [load_run(made(tmp_path / name), name, draws=50) for name in ("none", "rtt=100")]
    return build_sweep(runs, quality)


def test_the_front_holds_what_nothing_beats_in_quality_tokens_and_time(tmp_path: Path) -> None:
    found = sweep(tmp_path)
    assert {(p.link, p.system) for p in found.points if p.on_front} == {
        (link, system) for link in ("none", "rtt=100") for system in ("edge", "good")
    }
    (edge,) = (p for p in found.points if p.system == "edge" and p.link == "none")
    assert edge.rho == 0.0 and edge.quality["value"] == pytest.approx(100 / 3)


def test_quality_is_the_emotion_where_there_are_labels_and_is_said_to_be(tmp_path: Path) -> None:
    assert sweep(tmp_path).chosen == "Quality is emotion_consistency, because the corpus has labels."


def test_n_grams_are_never_used_in_silence(tmp_path: Path) -> None:
    run = load_run(usual_run(tmp_path, 8, label=None), "none", draws=20)
    found = build_sweep([run])
    assert found.quality == "rougeL"
    assert "no labels" in found.chosen and "hardly see the emotion" in found.chosen


@pytest.mark.parametrize("name", ["length", "happiness"])
def test_a_measure_that_does_not_judge_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="choose one of"):
        sweep(tmp_path, name)


def test_a_measure_without_any_value_is_refused(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path, {"edge": right_until(2, 4)}, references=()), "none", draws=20)
    with pytest.raises(OptionError, match="has no value on these clips"):
        build_sweep([run], "rougeL")


def test_every_point_is_in_the_table_the_csv_and_the_json(tmp_path: Path) -> None:
    found = sweep(tmp_path)
    texts = sweep_texts(found)
    rows = list(csv.DictReader(io.StringIO(texts["sweep.csv"])))
    assert len(rows) == len(found.points) == len(json.loads(texts["sweep.json"])["points"]) == 8
    assert {row["quality_metric"] for row in rows} == {"emotion_consistency"}
    assert [row["on_front"] for row in rows if row["system"] == "good"] == ["True", "True"]
    for system in ("edge", "cloud", "good", "poor"):
        assert texts["sweep.md"].count(f"| {system} |") == 3
    assert "flattered by the clips" in texts["sweep.md"]


def test_pictures_are_drawn_for_each_link_with_intervals(tmp_path: Path) -> None:
    texts = sweep_texts(sweep(tmp_path))
    names = {name for name in texts if name.endswith(".svg")}
    assert names == {f"sweep-{key}-{link}.svg" for key in ("rho", "time") for link in ("none", "rtt-100")}
    for name in names:
        assert f"({name})" in texts["sweep.md"] and 'stroke-opacity="0.45"' in texts[name]


# ── A sweep from corpus to files ──────────────────────────────────────────────────────────────────────────────────────


class Source:
    """Captions without a model; remembers what it was asked over which link."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, *_: Any, **__: Any) -> None:
        self.conditions = Conditions()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {"edge": {"name": "fake"}, "verifier": {"name": "fake"}, "device": "cpu"}

    def resources(self) -> dict[str, float | None]:
        return dict.fromkeys(("edge_cpu_s", "verifier_cpu_s", "edge_rss_mb", "verifier_rss_mb", "gpu_mb"))

    def stream(self, utterance: object, system: System) -> Iterator[Event]:
        type(self).asked.append((link_folder(self.conditions), system.name))
        stream = StreamBuilder(system.options.mode)
        if system.options.mode == "cloud":
            yield from stream.generated(" so", " sad", ".", END).finish()
        elif system.options.mode == "edge":
            yield from stream.kept(" so", " happy", ".", END).finish()
        else:
            yield from stream.judged(" so", " happy", ".", accepted=1, replacement=" sad").kept(".", END).finish()


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings with labels."""
    import soundfile

    monkeypatch.setattr("ugsd_core.evaluation.source.PairSource", Source)
    Source.asked = []
    folder = tmp_path / "corpus"
    folder.mkdir()
    t = np.arange(16_000) / 16_000
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", (0.3 * np.sin(2 * np.pi * 200 * t)).astype(np.float32), 16_000)
    (folder / "manifest.csv").write_text("id,path,emotion\na,a.wav,sad\nb,b.wav,happy\n", encoding="utf-8")
    return folder


def words(corpus: Path, out: Path, *more: str) -> list[str]:
    grid = ["--tau", "0.5,1.0", "--rank", "1", "--k", "2", "--links", "none,rtt=100", "--draws", "20"]
    return ["sweep", str(corpus), "--language", "en", "--out", str(out), *grid, *more]


def test_a_sweep_leaves_a_run_for_each_link_and_its_report(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(words(corpus, out)) == 0
    for link in ("none", "rtt=100"):
        assert len(read_lines(out / link / CLIPS_FILE)) == 2 * 4
        assert {system for where, system in Source.asked if where == link} == {
            "edge",
            "cloud",
            "tau0.5-r1-k2",
            "tau1-r1-k2",
        }
    assert {path.name for path in out.iterdir() if path.is_file()} >= {
        "sweep.md",
        "sweep.csv",
        "sweep.json",
        "sweep.html",
    }
    said = capsys.readouterr()
    assert "| tau0.5-r1-k2 |" in said.out and "Quality is emotion_consistency" in said.out


def test_a_sweep_that_was_done_is_only_reported_again(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(words(corpus, out)) == 0
    before = (out / "sweep.csv").read_bytes()
    Source.asked = []
    capsys.readouterr()
    assert main(words(corpus, out, "--json")) == 0
    assert Source.asked == [] and (out / "sweep.csv").read_bytes() == before
    assert len(json.loads(capsys.readouterr().out)["points"]) == 8


def test_a_swept_run_can_be_reported_like_any_other(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(words(corpus, out)) == 0
    capsys.readouterr()
    assert main(["report", str(out / "none"), str(out / "rtt=100"), "--quiet"]) == 0
    assert "| rtt=100 | tau1-r1-k2 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--quality", "length"], "choose one of"),
        (["--quality", "meteor_exact_zh"], "choose one of"),
        (["--draws", "1"], "at least 2 draws"),
        (["--verifier", "ws://x:1", "--verifier-checkpoint", "y"], "leave out --verifier-checkpoint"),
        (["--gate", "nonsense"], "nonsense"),
    ],
)
def test_mistyped_words_are_found_before_anything_is_captioned(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(words(corpus, tmp_path / "out", *more)) == 2
    assert message in capsys.readouterr().err and Source.asked == []


def test_a_link_is_a_relay_only_where_something_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    from ugsd_core.evaluation.source import PairSource

    monkeypatch.setattr(
        PairSource, "__init__", lambda self: self.__dict__.update(_child=None, _access_token=None, _shared=None)
    )
    monkeypatch.setattr(PairSource, "_target", lambda self: "ws://127.0.0.1:9")
    source = PairSource()
    with source:
        plain = source._connection()
        source.conditions = Conditions(rtt_ms=20.0)
        first, second = source._connection(), source._connection()
        source.conditions = Conditions(rtt_ms=40.0)
        other = source._connection()
        addresses = [link.address for link in (plain, first, second, other)]
        for link in (plain, first, second, other):
            link.close()
    assert addresses[0] == "ws://127.0.0.1:9"
    assert addresses[1] == addresses[2] != addresses[0] and addresses[3] != addresses[0]
