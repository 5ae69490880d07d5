"""Reports: every figure with its definition, every format whole, and nothing of the paper's that was not read."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.evaluation.runs import line, right_until, usual_run, write_lines, write_run
from ugsd_core.cli import main
from ugsd_core.cli.report_parser import FORMAT_NAMES
from ugsd_core.evaluation import paper as paper_module
from ugsd_core.evaluation.columns import EMOTION, N_GRAMS, QUALITY, RESOURCES, TIME, closure, number
from ugsd_core.evaluation.document import Document, Section, Table, as_html, as_markdown
from ugsd_core.evaluation.export import FORMATS, as_csv, render, write_report
from ugsd_core.evaluation.latex import as_latex, tex
from ugsd_core.evaluation.paper import Paper, PaperRow, paper
from ugsd_core.evaluation.plots import axis_ends
from ugsd_core.evaluation.report import build_report
from ugsd_core.evaluation.scored import ScoredRun, load_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ScoredRun:
    return load_runs([usual_run(tmp_path_factory.mktemp("runs") / "first_run")], draws=100)[0]


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> ScoredRun:
    edge: list[str | None] = [*right_until(6, 12)]
    edge[3] = None
    captions = {"edge": edge, "cloud": right_until(12, 12), "ugsd": right_until(9, 12)}
    return load_runs([write_run(tmp_path_factory.mktemp("runs") / "failing", captions)], draws=100)[0]


def table(document: Document, name: str) -> Table:
    return next(one for one in document.tables if one.name == name)


# ── What it says ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_papers_columns_are_there_and_so_are_ours(run: ScoredRun) -> None:
    document = build_report([run])
    assert table(document, "quality").head == ("system", "n", "BLEU-1", "BLEU-4", "METEOR", "ROUGE-L")
    titles = [title.split(",")[0] for title in table(document, "time").head[2:]]
    assert titles == ["TTFT", "ITPS", "OET", "OTPS", "total"]
    assert {"CPU edge, %", "RAM edge, MB"} <= set(table(document, "resources").head)
    assert {"emotion right", "gap closed", "ρ", "round trips", "useful", "sent, kB"} <= set(
        table(document, "emotion").head
    )


def test_every_column_has_a_definition_and_every_metric_its_signature(run: ScoredRun) -> None:
    text = as_markdown(build_report([run]))
    for column in (*QUALITY, *TIME, *RESOURCES, *EMOTION, *N_GRAMS):
        assert f"- **{column.title}**: " in text
    for name, figures in run.metrics["systems"]["edge"]["metrics"].items():
        assert f"signature of {name}" in text and figures["signature"].replace("*", "\\*") in text


def test_a_column_without_any_figure_is_left_out_and_named(run: ScoredRun) -> None:
    resources = table(build_report([run]), "resources")
    assert "GPU, MB" not in resources.head
    assert any("No figure in any row" in note and "GPU" in note for note in resources.notes)


def test_values_stand_with_their_intervals(run: ScoredRun) -> None:
    emotion = table(build_report([run]), "emotion")
    (row,) = (row for row in emotion.rows if row[0] == "ugsd")
    assert re.fullmatch(r"75\.0 \(\d+\.\d–\d+\.\d\)", row[emotion.head.index("emotion right")])
    assert row[emotion.head.index("gap closed")].startswith("0.50 (")


def test_differences_carry_marks_that_are_explained(run: ScoredRun) -> None:
    document = build_report([run])
    (cloud, ugsd) = table(document, "against-edge").rows
    assert cloud[0] == "cloud" and cloud[2].endswith("**") and ugsd[0] == "ugsd"
    (section,) = (one for one in document.sections if one.title == "Systems against each other")
    assert "** p < .01" in section.paragraphs[0] and "not corrected" in section.paragraphs[0]


def test_a_minus_is_a_minus(run: ScoredRun) -> None:
    (ugsd,) = table(build_report([run]), "against-cloud").rows
    assert ugsd[2].startswith("−25.0 (−") and " to −" in ugsd[2]


def test_clips_that_failed_are_named_with_the_reason(failing: ScoredRun) -> None:
    text = as_markdown(build_report([failing]))
    assert "- **edge clip00003**: the recording is silent" in text
    quality = table(build_report([failing]), "quality")
    assert [row[1] for row in quality.rows] == ["11", "12", "12"]


def test_a_metric_that_counts_fewer_clips_says_so(tmp_path: Path) -> None:
    lines = [line("edge", n, "A voice.", references=() if n < 3 else ("A voice.",)) for n in range(8)]
    (scored,) = load_runs([write_lines(tmp_path, lines)], draws=20)
    notes = " ".join(table(build_report([scored]), "quality").notes)
    assert "ROUGE-L: over fewer clips: edge 5 of 8." in notes


def test_a_run_without_references_says_so_in_place_of_an_empty_table(tmp_path: Path) -> None:
    (scored,) = load_runs([usual_run(tmp_path, 8, references=())], draws=20)
    document = build_report([scored])
    assert {"quality"}.isdisjoint(one.name for one in document.tables)
    (section,) = (one for one in document.sections if one.title == "Caption quality")
    assert "No clip has a reference" in section.paragraphs[0]


def test_several_runs_stand_side_by_side(run: ScoredRun, failing: ScoredRun) -> None:
    quality = table(build_report([run, failing]), "quality")
    assert quality.head[:3] == ("run", "system", "n")
    assert [row[:2] for row in quality.rows] == [
        (name, system) for name in ("first_run", "failing") for system in ("edge", "cloud", "ugsd")
    ]


# ── The paper ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_row_of_the_paper_is_made_up(run: ScoredRun) -> None:
    assert paper().rows == ()
    text = as_markdown(build_report([run]))
    assert "the paper's four tables are not available offline" in text
    assert "not checked against the paper itself" in text


def test_rows_of_the_paper_appear_once_somebody_adds_them(run: ScoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    row = PaperRow("9", "quality", "en", "Edge-only", {"bleu1": 12.3})
    filled = Paper("P", "S", "", (), (row, PaperRow("9", "quality", "zh", "Other", {"bleu1": 1.0})))
    monkeypatch.setattr("ugsd_core.evaluation.report.paper", lambda: filled)
    quality = table(build_report([run]), "quality")
    assert quality.rows[-1] == ("Edge-only (paper)", "", "12.3", "n/a", "n/a", "n/a")
    assert not any("not reproduced" in note for note in quality.notes)


def test_every_figure_of_the_paper_has_a_source() -> None:
    assert paper_module.paper().claims
    assert all(len(claim) == 3 and all(claim) for claim in paper_module.paper().claims)


# ── Markdown, CSV, JSON ───────────────────────────────────────────────────────────────────────────────────────────────


def test_markdown_tables_have_as_many_cells_as_columns(run: ScoredRun, failing: ScoredRun) -> None:
    rows = [row for row in render([run, failing], "md").splitlines() if row.startswith("|")]
    width = None
    for row in rows:
        cells = re.split(r"(?<!\\)\|", row)
        if set(row) <= set("|-: "):
            assert len(cells) == width
        width = len(cells)


def test_names_with_marks_stay_text() -> None:
    found = as_markdown(Document("T", (Section("S", tables=(Table("t", "x", ("a",), (("b|c *d* `e` <f> g_h",),)),)),)))
    assert "b\\|c \\*d\\* \\`e\\` \\<f> g_h" in found


def test_the_csv_is_one_row_a_run_system_and_figure(run: ScoredRun, failing: ScoredRun) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv([run, failing]))))
    keys = [(row["run"], row["system"], row["kind"], row["figure"], row["against"]) for row in rows]
    assert len(set(keys)) == len(keys)
    found = {key[:4]: row for key, row in zip(keys, rows, strict=True) if not row["against"]}
    assert float(found["first_run", "ugsd", "metric", "emotion_consistency"]["value"]) == 75.0
    assert found["first_run", "cloud", "ratio", "transmission_rate"]["value"] == ""
    assert float(found["failing", "edge", "count", "failed"]["value"]) == 1
    assert float(found["first_run", "ugsd", "clock", "total_s"]["p95"]) == pytest.approx(0.5)
    assert all(row["definition"] for row in rows if row["kind"] in ("metric", "ratio", "clock", "resource"))


def test_the_json_holds_everything_and_no_nan(run: ScoredRun) -> None:
    values = json.loads(render([run], "json"))
    assert values["runs"][0]["metrics"] == run.metrics and values["definitions"]["ratios"]
    assert "NaN" not in render([run], "json")


# ── LaTeX ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a & b_c 5 % #1 $x", r"a \& b\_c 5 \% \#1 \$x"),
        ("x^2 ~ {y} \\z", r"x\textasciicircum{}2 \textasciitilde{} \{y\} \textbackslash{}z"),
        ("ρ ≤ −1 – 2 × 10⁶", r"$\rho$ $\leq$ $-$1 -- 2 $\times$ 10\textsuperscript{6}"),
        ("the 'n' of p < .05", r"the `n' of p \textless{} .05"),
    ],
)
def test_nothing_is_left_that_tex_takes_for_a_command(text: str, expected: str) -> None:
    assert tex(text) == expected


def structure_errors(source: str) -> list[str]:
    """What TeX would stumble over: open environments and braces, rows of the wrong width, signs outside ASCII."""
    errors = []
    open_names: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", source):
        if kind == "begin":
            open_names.append(name)
        elif not open_names or open_names.pop() != name:
            errors.append(f"\\end{{{name}}} closes nothing")
    errors += [f"{name} stays open" for name in open_names]
    bare = re.sub(r"\\[{}]", "", source)
    if bare.count("{") != bare.count("}"):
        errors.append("braces do not match")
    for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", source, re.DOTALL):
        for row in (row for row in body.splitlines() if row.endswith(r"\\")):
            if len(re.findall(r"(?<!\\)&", row)) != len(columns) - 1:
                errors.append(f"wrong width: {row}")
    errors += [f"not escaped: {sign!r}" for sign in sorted(set(re.findall(r"[^\x00-\x7f]", source)))]
    return errors


def test_latex_is_whole(run: ScoredRun, failing: ScoredRun) -> None:
    source = as_latex(build_report([run, failing]))
    assert structure_errors(source) == []
    for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:quality}", "sacrebleu"):
        assert word in source


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(run: ScoredRun, failing: ScoredRun, tmp_path: Path) -> None:
    (tmp_path / "report.tex").write_text(as_latex(build_report([run, failing])), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\\input{report}\\end{document}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]


# ── HTML and files ────────────────────────────────────────────────────────────────────────────────────────────────────


class Tags(HTMLParser):
    """Open tags, and whatever would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "img", "link"):
            self.open.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_one_file_that_fetches_nothing(run: ScoredRun) -> None:
    tags = Tags()
    text = as_html(build_report([run]))
    tags.feed(text)
    assert tags.open == [] and tags.fetched == []
    assert text.count("<svg") == len(build_report([run]).pictures) == 2


def test_a_folder_gets_every_format_and_the_pictures(run: ScoredRun, tmp_path: Path) -> None:
    written = {path.name for path in write_report([run], tmp_path / "out")}
    assert {"report.md", "report.csv", "report.json", "report.tex", "report.html"} < written
    for name in re.findall(r"\]\((.+?)\)", (tmp_path / "out" / "report.md").read_text(encoding="utf-8")):
        assert name in written


# ── The command ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_knows_the_formats_there_are() -> None:
    assert set(FORMAT_NAMES) == set(FORMATS)


@pytest.mark.parametrize(
    ("name", "begins"), [("r.md", "# Evaluation"), ("r.tex", "% Evaluation"), ("r.csv", "run,corpus")]
)
def test_a_files_ending_names_the_format(run: ScoredRun, tmp_path: Path, name: str, begins: str) -> None:
    assert main(["report", str(run.folder), "--out", str(tmp_path / name), "--quiet"]) == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


def test_without_a_target_the_report_is_printed(run: ScoredRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.folder), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["{empty}"], "there are no captions"),
        (["{run}", "--draws", "1"], "at least 2 draws"),
        (["{run}", "--out", "{empty}", "--format", "md"], "is a folder"),
        (["{run}", "{run}"], "named twice"),
    ],
)
def test_what_cannot_be_reported_gets_a_sentence(
    run: ScoredRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["report", *(word.format(run=run.folder, empty=tmp_path) for word in words)]) == 2
    assert message in capsys.readouterr().err


# ── Small parts ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "within", "ends"),
    [
        ([59.1, 100.0], (0.0, 100.0), (50.0, 100.0)),
        ([0.0, 0.838], (-math.inf, math.inf), (0.0, 1.0)),
        ([0.0, 1.2], (-math.inf, math.inf), (0.0, 1.25)),
        ([2.9, 8.1], (0.0, 10.0), (0.0, 10.0)),
    ],
)
def test_an_axis_holds_its_values_between_round_numbers(
    values: list[float], within: tuple[float, float], ends: tuple[float, float]
) -> None:
    assert axis_ends(values, within) == pytest.approx(ends)


def test_an_axis_of_one_value_has_a_length() -> None:
    low, high = axis_ends([33.0], (0.0, 100.0))
    assert low <= 33.0 <= high and high > low


def test_a_zero_has_no_sign() -> None:
    assert number(-0.0, 2) == number(-0.001, 2) == "0.00" and number(-0.01, 2) == "−0.01" and number(None) == "n/a"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "0.50 (0.20–0.80)"),
        ({"firm": False}, "0.50 (0.20–0.80) †"),
        ({"gap": -5.0}, "0.50 (0.20–0.80) ‡"),
        ({"gap": -5.0, "firm": False}, "0.50 (0.20–0.80) †‡"),
        ({"value": None}, "n/a"),
    ],
)
def test_a_share_of_a_doubtful_gap_is_marked(changes: dict[str, object], text: str) -> None:
    assert closure({"value": 0.5, "low": 0.2, "high": 0.8, "gap": 10.0, "firm": True} | changes) == text


def test_without_labels_the_gap_is_that_of_the_references_emotions(tmp_path: Path) -> None:
    (scored,) = load_runs([usual_run(tmp_path, 24, label=None)], draws=50)
    emotion = table(build_report([scored]), "emotion")
    (ugsd,) = (row for row in emotion.rows if row[0] == "ugsd")
    assert "emotion right" not in emotion.head and ugsd[emotion.head.index("gap closed")].startswith("0.50 (")
