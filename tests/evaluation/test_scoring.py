"""The figures of a run: recomputed from its captions, the same for the same captions, nothing dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.runs import caption, line, right_until, usual_run, write_lines, write_run
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import CLIPS_FILE, METRICS_FILE, TIMINGS_FILE, read_lines
from ugsd_core.evaluation.scored import load_run, load_runs
from ugsd_core.evaluation.scoring import CLIP_SCORES_FILE, read_scores, score_run

EMOTION = "emotion_consistency"


def score(folder: Path, **settings: Any) -> dict[str, Any]:
    return score_run(folder, **{"draws": 200} | settings)


# ── The same captions, the same file ──────────────────────────────────────────────────────────────────────────────────


def test_the_order_in_which_captions_came_changes_no_byte(tmp_path: Path) -> None:
    folder = usual_run(tmp_path / "one")
    score(folder)
    lines = read_lines(folder / CLIPS_FILE)
    other = write_lines(tmp_path / "other", sorted(lines, key=lambda one: (one.system, one.id), reverse=True))
    # The systems' order is the manifest's.
    (other / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    score(other)
    for name in (METRICS_FILE, CLIP_SCORES_FILE):
        assert (other / name).read_bytes() == (folder / name).read_bytes()


def test_clocks_and_resources_change_no_byte_of_the_metrics(tmp_path: Path) -> None:
    one = usual_run(tmp_path / "one")
    slow = usual_run(tmp_path / "slow", clocks={"total_s": 9.0}, wall_s=9.0, resources={})
    score(one)
    score(slow)
    assert (one / METRICS_FILE).read_bytes() == (slow / METRICS_FILE).read_bytes()
    assert (one / TIMINGS_FILE).read_bytes() != (slow / TIMINGS_FILE).read_bytes()


def test_scoring_leaves_no_half_written_file_behind(tmp_path: Path) -> None:
    folder = usual_run(tmp_path)
    score(folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"manifest.json", CLIPS_FILE, METRICS_FILE, TIMINGS_FILE, CLIP_SCORES_FILE}


def test_the_returned_figures_are_the_written_ones(tmp_path: Path) -> None:
    folder = usual_run(tmp_path)
    returned = score(folder)
    found = read_scores(folder)
    assert found is not None and found[0] == returned


# ── What the figures are ──────────────────────────────────────────────────────────────────────────────────────────────


def test_accuracy_is_the_share_of_clips_whose_emotion_is_named(tmp_path: Path) -> None:
    systems = score(usual_run(tmp_path, 24))["systems"]
    values = {name: entry["metrics"][EMOTION]["value"] for name, entry in systems.items()}
    assert values == {"edge": 50.0, "cloud": 100.0, "ugsd": 75.0}
    entry = systems["ugsd"]["metrics"][EMOTION]
    assert entry["low"] < 75.0 < entry["high"] and entry["n"] == 24 and entry["signature"] and entry["unit"] == "0–100"


def test_a_ratio_is_the_mean_over_captions_and_pooled_the_ratio_of_sums(tmp_path: Path) -> None:
    lines = [
        line("ugsd", 0, caption("anger"), counts={"sent": 4, "drafted": 10}, ratios={"transmission_rate": 0.4}),
        line("ugsd", 1, caption("anger"), counts={"sent": 0, "drafted": 30}, ratios={"transmission_rate": 0.0}),
        line("ugsd", 2, caption("anger"), counts={"sent": 0, "drafted": 0}, ratios={"transmission_rate": None}),
    ]
    ratios = score(write_lines(tmp_path, lines))["systems"]["ugsd"]["ratios"]
    assert ratios["transmission_rate"]["value"] == pytest.approx(0.2)
    assert ratios["transmission_rate"]["pooled"] == pytest.approx(0.1)
    assert ratios["transmission_rate"]["n"] == 2


def test_a_ratio_without_meaning_is_none_and_never_zero(tmp_path: Path) -> None:
    ratios = score(usual_run(tmp_path))["systems"]["cloud"]["ratios"]
    assert ratios["useful_escalation_rate"] == {"value": None, "low": None, "high": None, "n": 0, "pooled": None}


def test_bytes_and_round_trips_are_counted(tmp_path: Path) -> None:
    entry = score(usual_run(tmp_path, 24))["systems"]["ugsd"]
    assert entry["bytes"]["wire_up"] == {"mean": 1024.0, "total": 24 * 1024}
    assert entry["escalations_a_clip"]["value"] == 2.0


def test_cloud_only_has_no_round_trips_rather_than_none_of_them(tmp_path: Path) -> None:
    systems = score(usual_run(tmp_path))["systems"]
    assert systems["cloud"]["escalations_a_clip"]["value"] is None
    assert systems["edge"]["escalations_a_clip"]["value"] == 0.0


def test_the_gap_closed_is_a_share_of_the_gap_from_edge_to_cloud(tmp_path: Path) -> None:
    systems = score(usual_run(tmp_path, 24))["systems"]
    closure = systems["ugsd"]["gap_closure"][EMOTION]
    assert closure["value"] == pytest.approx(0.5) and closure["gap"] == 50.0 and closure["firm"]
    assert closure["low"] < 0.5 < closure["high"]
    assert systems["edge"]["gap_closure"] == systems["cloud"]["gap_closure"] == {}


def test_nothing_is_closed_where_there_is_no_gap(tmp_path: Path) -> None:
    captions = {"edge": right_until(12, 24), "cloud": right_until(12, 24), "ugsd": right_until(18, 24)}
    closure = score(write_run(tmp_path, captions))["systems"]["ugsd"]["gap_closure"][EMOTION]
    assert closure["value"] is None and closure["low"] is None and not closure["firm"]


def test_speakers_are_resampled_where_they_are_known(tmp_path: Path) -> None:
    known = score(usual_run(tmp_path / "known"))
    unknown = score(usual_run(tmp_path / "unknown", speaker=""))
    assert (known["resampled"], known["speakers"]) == ("speakers", 3)
    assert (unknown["resampled"], unknown["speakers"]) == ("clips", None)


# ── Systems beside each other ─────────────────────────────────────────────────────────────────────────────────────────


def test_every_system_is_compared_with_the_baselines_once(tmp_path: Path) -> None:
    captions = {name: right_until(n, 12) for name, n in (("edge", 4), ("cloud", 12), ("ugsd", 9), ("paper", 6))}
    paired = score(write_run(tmp_path, captions))["paired"]
    found = [(row["a"], row["b"]) for row in paired if row["metric"] == EMOTION]
    assert sorted(found) == sorted(
        [
            ("cloud", "edge"),
            ("ugsd", "edge"),
            ("ugsd", "cloud"),
            ("paper", "edge"),
            ("paper", "cloud"),
            ("paper", "ugsd"),
        ]
    )


def test_a_difference_is_taken_on_the_clips_that_both_captioned(tmp_path: Path) -> None:
    edge: list[str | None] = [*right_until(6, 12)]
    edge[0] = edge[11] = None
    captions = {"edge": edge, "cloud": right_until(12, 12)}
    figures = score(write_run(tmp_path, captions))
    (row,) = (row for row in figures["paired"] if row["metric"] == EMOTION)
    assert row["n"] == 10 and row["difference"] == pytest.approx(50.0) and row["p"] < 0.05 and row["mde"] > 0


def test_clips_that_failed_are_listed_and_clips_still_missing_are_counted(tmp_path: Path) -> None:
    edge: list[str | None] = [*right_until(6, 12)]
    edge[3] = None
    captions = {"edge": edge, "cloud": right_until(12, 12)[:10]}
    systems = score(write_run(tmp_path, captions))["systems"]
    assert systems["edge"]["failed"] == [{"id": "clip00003", "error": "the recording is silent"}]
    assert (systems["edge"]["n"], systems["edge"]["absent"]) == (11, 0)
    assert (systems["cloud"]["n"], systems["cloud"]["absent"]) == (10, 2)


def test_a_system_that_failed_on_every_clip_stays_in_the_tables(tmp_path: Path) -> None:
    figures = score(write_run(tmp_path, {"edge": right_until(3, 6), "ugsd": [None] * 6}))
    assert figures["systems"]["ugsd"]["n"] == 0 and len(figures["systems"]["ugsd"]["failed"]) == 6
    assert figures["systems"]["ugsd"]["metrics"] == {}


def test_clips_without_reference_count_for_their_label_alone(tmp_path: Path) -> None:
    lines = [line("edge", n, caption("anger"), references=() if n < 3 else (caption("anger"),)) for n in range(8)]
    figures = score(write_lines(tmp_path, lines))
    metrics = figures["systems"]["edge"]["metrics"]
    assert metrics[EMOTION]["n"] == 8 and metrics["rougeL"]["n"] == 5
    assert "no reference for 3 clips" in figures["reference_note"]


# ── Clocks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_clocks_are_told_by_median_and_95th_percentile(tmp_path: Path) -> None:
    folder = usual_run(tmp_path, 25)
    score(folder)
    timings = json.loads((folder / TIMINGS_FILE).read_text(encoding="utf-8"))
    clocks = timings["systems"]["ugsd"]["clocks"]
    assert clocks["total_s"]["p50"] == pytest.approx(0.3) and clocks["total_s"]["p95"] == pytest.approx(0.5)
    assert clocks["total_s"]["n"] == 25 and clocks["prefill_ms"]["p50"] is None
    resources = timings["systems"]["ugsd"]["resources"]
    assert resources["edge_cpu_percent"] == pytest.approx(50.0) and resources["edge_rss_mb"] == 324.0
    assert resources["gpu_mb"] is None
    assert timings["captions_per_minute"] == pytest.approx(300.0) and timings["clips_per_minute"] == pytest.approx(
        100.0
    )


def test_throughput_is_that_of_the_processes_that_ran(tmp_path: Path) -> None:
    folder = usual_run(tmp_path)
    sessions = [
        {"wall_s": 60.0, "captions": 90, "captions_s": 57.0},
        {"wall_s": 60.0, "captions": 30, "captions_s": 57.0},
    ]
    write_lines(folder, read_lines(folder / CLIPS_FILE), {"sessions": sessions})
    score(folder)
    timings = json.loads((folder / TIMINGS_FILE).read_text(encoding="utf-8"))
    assert timings["captions_per_minute"] == pytest.approx(60.0) and timings["outside_share"] == pytest.approx(0.05)


# ── Reading again ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_figures_older_than_the_captions_are_computed_again(tmp_path: Path) -> None:
    folder = usual_run(tmp_path, 12)
    assert load_run(folder, draws=50).metrics["clips"] == 12
    usual_run(folder, 16)
    assert load_run(folder).metrics["clips"] == 16


def test_fresh_figures_are_left_alone(tmp_path: Path) -> None:
    folder = usual_run(tmp_path, 12)
    score(folder, draws=60)
    before = (folder / METRICS_FILE).stat().st_mtime_ns
    assert load_run(folder).metrics["draws"] == 60
    assert (folder / METRICS_FILE).stat().st_mtime_ns == before
    assert load_run(folder, draws=50).metrics["draws"] == 50


def test_damaged_figures_are_computed_again(tmp_path: Path) -> None:
    folder = usual_run(tmp_path, 12)
    (folder / METRICS_FILE).write_text("{", encoding="utf-8")
    assert load_run(folder, draws=50).metrics["clips"] == 12


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [usual_run(tmp_path / part / "run", 8) for part in ("a", "b")]
    assert [run.name for run in load_runs(folders, draws=20)] == ["a/run", "b/run"]


def test_steps_are_told_and_end(tmp_path: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    score(usual_run(tmp_path, 8), progress=lambda done, total, what: steps.append((done, total, what)))
    assert steps[0][0] == 0 and steps[-1][0] == steps[-1][1]
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "no captions in"),
        (
            lambda folder: write_lines(folder, [line("edge", 0, "A."), line("edge", 1, "B.", language="zh")]),
            "en and zh",
        ),
    ],
)
def test_what_is_no_run_gets_a_sentence(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        score(make(tmp_path))


def test_the_same_run_twice_is_refused(tmp_path: Path) -> None:
    folder = usual_run(tmp_path, 4)
    with pytest.raises(OptionError, match="named twice"):
        load_runs([folder, folder])
