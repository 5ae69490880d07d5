"""What visitors are told first: both languages, no markup of strangers, and on the page only if there is something."""

from __future__ import annotations

from pathlib import Path

import pytest

from ugsd_core.errors import OptionError
from ui.notice import read_notice

TEMPLATES = Path(__file__).resolve().parents[2] / "space_config/templates"


def test_the_heading_is_what_stays_when_it_is_folded_away(tmp_path: Path) -> None:
    (tmp_path / "told.md").write_text("# Before *you* record\n\n- Nothing is kept.\n")
    told = read_notice(tmp_path / "told.md")
    assert told["en"].startswith("<summary>Before <em>you</em> record</summary><div><ul>")
    assert told["zh"] == told["en"], "there is no Chinese version"
    (tmp_path / "told.zh.md").write_text("# 录音之前\n\n不会保留。\n", encoding="utf-8")
    assert read_notice(tmp_path / "told.md")["zh"].startswith("<summary>录音之前</summary>")


def test_markup_in_it_is_shown_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "told.md").write_text("# <b>Hello</b>\n<script>alert(1)</script>\n")
    told = read_notice(tmp_path / "told.md")["en"]
    assert "<script>" not in told and "<b>" not in told and "&lt;script&gt;" in told


@pytest.mark.parametrize("text", [None, "No heading.\n"])
def test_a_file_that_is_none_is_one_sentence(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "told.md"
    if text is not None:
        path.write_text(text)
    with pytest.raises(OptionError, match=r"told\.md"):
        read_notice(path)


def test_the_spaces_notice_says_that_recording_is_agreeing_in_both_languages() -> None:
    told = read_notice(TEMPLATES / "notice.md")
    assert "By recording or uploading you agree" in told["en"] and "即表示您同意" in told["zh"]
    assert told["en"].count("<li>") == told["zh"].count("<li>") == 4
