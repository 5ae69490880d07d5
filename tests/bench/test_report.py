"""Tables and pictures are made from the dictionaries, whatever benchmark they are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ugsd_core.bench.report import Row, markdown, rows_of, write_folder
from ugsd_core.bench.timing import spread

RESULTS: dict[str, Any] = {
    "edge": {"total": spread([0.01, 0.02, 0.03]), "name": "a text is no figure", "list": [1, 2]},
    "over": spread([1.0, 2.0], "", 1.0),
    "peak_mb": 12.5,
    "notes": ["Said of it."],
}
DOCUMENT: dict[str, Any] = {
    "machine": {"cpu": "one <of> them", "cores": 2, "commit": None},
    "results": {"some": RESULTS, "other": {"failed": "there is no such device", "took_s": 0.0}},
}


def test_every_figure_becomes_a_row_with_its_unit() -> None:
    rows = list(rows_of(RESULTS))
    assert [row.name for row in rows] == ["edge / total", "over", "peak"]
    assert [row.unit for row in rows] == ["ms", "", "MB"]
    assert rows[0] == Row("edge / total", 20.0, "ms", 15.0, 25.0, 3)
    assert rows[2].n is None


def test_the_table_says_what_was_not_measured_and_why() -> None:
    text = markdown(DOCUMENT)
    assert "| edge / total | 20 ms | 15…25 | 3 |" in text
    assert "Not measured: there is no such device" in text
    assert "Said of it." in text and "commit" not in text


def test_a_folder_holds_json_table_and_pictures(tmp_path: Path) -> None:
    written = write_folder(DOCUMENT, tmp_path / "new")
    assert {path.name for path in written} == {"bench.json", "bench.md", "some-ms.svg", "some-ratio.svg"}
    assert json.loads((tmp_path / "new" / "bench.json").read_text(encoding="utf-8")) == DOCUMENT
    for path in written:
        if path.suffix == ".svg":
            assert ElementTree.fromstring(path.read_text(encoding="utf-8")).tag.endswith("svg")
