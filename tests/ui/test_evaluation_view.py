"""What the tab *Evaluate* shows: figures with intervals and definitions, plots, comparisons, the check before."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.ui.bad_corpora import BAD, make_bad_corpora
from tests.ui.evaluated import make_run
from ugsd_core.errors import OptionError
from ui.annotation_hook import RunQueue
from ui.components.evaluation_plots import RUN_PLOTS, run_plot
from ui.corpus_places import CorpusPlaces
from ui.evaluation_check import Check, Wanted, check
from ui.evaluation_compare import comparison_html, differences, paired_rows
from ui.evaluation_jobs import JobState
from ui.evaluation_start import duration, job_html
from ui.evaluation_view import about_run, corpus_table, metric_figure, paired_table
from ui.language import LOCALES, Locale
from ui.open_run import OpenRun
from ui.run_files import REPORTS, UNREADABLE, RunFiles
from ui.run_folders import RunFolders

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> RunFolders:
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "one", 24, ("edge", "cloud", "ugsd", "paper"), failed=(5,), draws=50)
    make_run(folder / "two", 16, ("edge", "ugsd"), draws=50)
    make_run(folder / "chinese", 4, ("edge",), language="zh", draws=20)
    make_run(folder / "unscored", 4, traces=False, scored=False)
    return RunFolders(folder)


@pytest.fixture
def run(folders: RunFolders) -> OpenRun:
    return folders.open("one")


# ── Figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("locale", LOCALES)
def test_every_metric_stands_there_with_interval_n_definition_and_signature(run: OpenRun, locale: Locale) -> None:
    from ugsd_core.metrics import METRICS

    table = corpus_table(run, locale)
    for name, score in run.metrics["systems"]["ugsd"]["metrics"].items():
        assert score["signature"].split(" ")[0] in table and metric_figure(score["value"], score["unit"]) in table
        if locale == "en":
            assert METRICS[name].definition.split("'")[0] in table, name
    assert table.count("n = 23") >= 4 and " … " in table
    assert table.count("<details") == table.count("</details>") and table.count("<tr") == table.count("</tr>")


def test_on_the_chinese_page_names_and_definitions_are_chinese(run: OpenRun) -> None:
    for name, text in re.findall(r"<summary>(.*?)</summary><p>(.*?)</p>", corpus_table(run, "zh")):
        assert HAN.search(name) and HAN.search(text), name


def test_a_run_without_figures_or_captions_breaks_nothing(folders: RunFolders) -> None:
    run = folders.open("unscored")
    assert not run.scored and corpus_table(run, "en") == ""
    drawn = {name: run_plot(name, run, "rougeL", "ugsd", "en") is not None for name in RUN_PLOTS}
    assert drawn == {"quality": False, "latency": False, "spread": True, "labels": True, "confusion": True}


def test_failed_clips_are_listed_and_what_comes_from_outside_is_escaped(run: OpenRun) -> None:
    about = about_run(run, "en")
    assert "4 captions failed" in about and about.count("clip_00005") == 4
    line = run.lines[0]
    object.__setattr__(line, "error", "<script>alert(1)</script>")
    try:
        assert "<script>" not in about_run(run, "en")
    finally:
        object.__setattr__(line, "error", None)


def test_a_zero_has_no_sign_and_a_minus_is_one() -> None:
    assert metric_figure(-0.01, "0–100", sign=True) == "0.0" and metric_figure(-1.26, "0–100") == "−1.3"
    assert metric_figure(2.345, "0–10", sign=True) == "+2.35" and metric_figure(None, "ratio") == "–"


def test_differences_show_p_and_what_could_have_been_seen(run: OpenRun) -> None:
    rows = run.metrics["paired"]
    table = paired_table(rows, {"rougeL": "0–100"}, "en")
    assert table.count("MDE ") >= len(rows) - 5 and " p = " in f" {table}".replace("<small>", " ")
    assert paired_table([], {}, "en") == ""


def test_figures_of_another_version_break_nothing(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "old", 3, draws=20)
    for name, text in (("metrics.json", '{"systems": {"edge": {"metrics": {"rougeL": 7}}}}'), ("timings.json", "{}")):
        (tmp_path / "runs" / "old" / name).write_text(text, encoding="utf-8")
    run = RunFolders(tmp_path / "runs").open("old")
    with pytest.raises(UNREADABLE):
        corpus_table(run, "en")
    assert "clips" in RunFiles(tmp_path).write("ada", run) and not set(REPORTS) & set(
        RunFiles(tmp_path).write("a", run)
    )


# ── Plots ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("locale", LOCALES)
def test_every_plot_is_drawn_and_names_every_system(run: OpenRun, locale: Locale) -> None:
    for name in RUN_PLOTS:
        figure = run_plot(name, run, "emotion_f1", "ugsd", locale)
        assert figure is not None and figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert len(run_plot("quality", run, "emotion_f1", "", locale).data) == 4
    assert sum(sum(row) for row in run_plot("confusion", run, "", "ugsd", locale).data[0].z) == 23


# ── Two systems ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_runs_are_compared_on_the_clips_they_share(folders: RunFolders) -> None:
    one, two = folders.open("one"), folders.open("two")
    rows = paired_rows(one, "cloud", two, "edge", ["emotion_f1", "rougeL"])
    assert [row["metric"] for row in rows] == ["emotion_f1", "rougeL"] and rows[1]["n"] == 15
    same = paired_rows(one, "ugsd", two, "ugsd", ["rougeL"])[0]
    assert same["difference"] == 0 and same["p"] == 1
    unlike = differences(one, "cloud", two, "edge", "rougeL")
    assert [abs(entry.a - entry.b) for entry in unlike] == sorted((abs(e.a - e.b) for e in unlike), reverse=True)
    html = comparison_html(one, "cloud", two, "edge", "rougeL", rows, "en")
    assert unlike[0].id in html and "<ins>" in html
    assert "alike on every clip" in comparison_html(one, "ugsd", two, "ugsd", "rougeL", [same], "en")


def test_what_cannot_be_compared_says_so(folders: RunFolders) -> None:
    one, chinese = folders.open("one"), folders.open("chinese")
    with pytest.raises(OptionError, match="different languages"):
        paired_rows(one, "edge", chinese, "edge", ["rougeL"])
    with pytest.raises(OptionError, match="no clip in common"):
        paired_rows(one, "edge", folders.open("two"), "cloud", ["rougeL"])


# ── The check before ──────────────────────────────────────────────────────────────────────────────────────────────


def looked(tmp_path: Path, name: str, *, models: bool = True, language: str = "en") -> Check:
    make_bad_corpora(tmp_path / "corpora")
    services = SimpleNamespace(
        jobs=SimpleNamespace(state=None) if models else None,
        places=CorpusPlaces([tmp_path / "corpora"]),
        folders=RunFolders(tmp_path / "runs"),
    )
    return check(services, Wanted(f"server/0/{name}", "", language, 0, ("edge", "ugsd")))


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_corpus_is_named_and_mended_in_both_languages(tmp_path: Path, name: str) -> None:
    found = looked(tmp_path, name)
    assert (found.plan is not None) == BAD[name].usable
    assert BAD[name].said in found.html("en") and BAD[name].in_chinese in found.html("zh")
    assert 'lang="en"' not in found.html("zh"), "everything has its Chinese"
    assert str(tmp_path) not in found.html("en"), "where it lies on the server is nobody's business"


def test_without_models_everything_else_is_still_told(tmp_path: Path) -> None:
    found = looked(tmp_path, "fine", models=False)
    assert found.plan is None and "No model is loaded" in found.html("en") and "12 of 12 clips" in found.html("en")


def test_the_same_wish_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    first = looked(tmp_path, "fine").plan
    assert first is not None and first.folder.parent == tmp_path / "runs" and first.folder.name.startswith("fine-en-")
    make_run(first.folder, 1, scored=False)
    services = SimpleNamespace(
        jobs=SimpleNamespace(state=None),
        places=CorpusPlaces([tmp_path / "corpora"]),
        folders=RunFolders(tmp_path / "runs"),
    )
    again = check(services, Wanted("server/0/fine", "", "en", 0, ("edge",)))
    assert again.plan.folder == first.folder and "begun before" in again.html("en")
    anew = check(services, Wanted("server/0/fine", "", "en", 0, ("edge",), anew=True))
    assert anew.plan.folder.name == f"{first.folder.name}-2"
    fewer = check(services, Wanted("server/0/fine", "", "en", 3, ("edge",)))
    assert fewer.plan.folder not in (first.folder, anew.plan.folder) and fewer.plan.limit == 3


# ── Progress, files, queue ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("locale", LOCALES)
def test_progress_is_a_bar_with_words(locale: Locale) -> None:
    state = JobState(1, "run", "", "captioning", 3, 12, eta_s=200.0, last="clip_1", system="ugsd")
    told = job_html(state, locale)
    assert 'aria-valuenow="25"' in told and "clip_1" in told and "3" in told
    assert "progressbar" not in job_html(JobState(1, "run", "", "stopped", 3, 12), locale)
    assert job_html(None, locale) == ""
    assert duration(40, locale) != duration(4000, locale) != duration(9000, locale)


def test_a_run_is_taken_away_without_sound_and_opened_again(run: OpenRun, folders: RunFolders, tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    found = files.write("ada", run)
    assert set(found) == {"clips", "metrics", "timings", *REPORTS}
    assert "emotion" in found["md"].read_text(encoding="utf-8") and "tabular" in found["latex"].read_text(
        encoding="utf-8"
    )
    archive = files.pack("ada", run)
    name = files.unpack("ben", archive, folders)
    again = folders.open(name, "ben")
    assert again.brought and again.lines == run.lines and again.metrics == run.metrics and again.scored
    folders.leave("ben")
    files.leave("ada")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_caption_is_queued_once_and_never_in_a_run_that_was_brought(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 2, scored=False)
    run = RunFolders(tmp_path).open("run")
    line, queue = run.line("clip_00001", "ugsd"), RunQueue()
    assert queue.send_to_annotation(line, run) and not queue.send_to_annotation(line, run)
    assert queue.queued(run) == {("clip_00001", "ugsd")}
    with (run.folder / "annotation_queue.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "cut off by a kill')
    assert queue.send_to_annotation(run.line("clip_00000", "edge"), run)
    assert queue.queued(run) == {("clip_00001", "ugsd"), ("clip_00000", "edge")}
    run.brought = True
    with pytest.raises(OptionError, match="looked at only"):
        queue.send_to_annotation(line, run)
