"""What is inserted and what is gone, in both scripts; nothing of a caption becomes markup."""

from __future__ import annotations

import re

import pytest

from ui.components.word_diff import pieces, word_diff

PAIRS = [
    ("The voice is low and slow.", "The voice is low and fast."),
    ("The voice is low.", "The voice is low, with long pauses."),
    ("声音低沉，听起来悲伤。", "声音低沉，听起来愤怒。"),
    ("the speaker's voice", "the speaker’s calm voice"),
    ("", "a"),
    ("a", ""),
    ("same", "same"),
    ("<b>x</b>", "<i>x</i> & y"),
]


@pytest.mark.parametrize(("base", "other"), PAIRS)
def test_without_what_is_gone_the_markup_reads_as_the_other_caption(base: str, other: str) -> None:
    markup = word_diff(base, other)
    kept = re.sub(r"<del>.*?</del> ?", "", markup)
    text = re.sub(r"</?ins>", "", kept).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.split() == other.split()
    assert set(re.findall(r"</?(\w+)>", markup)) <= {"ins", "del"}


@pytest.mark.parametrize(("base", "other"), PAIRS)
def test_pieces_join_to_the_text(base: str, other: str) -> None:
    assert "".join(pieces(base)) == base and "".join(pieces(other)) == other


def test_only_the_word_that_differs_is_marked() -> None:
    assert word_diff(*PAIRS[0]) == "The voice is low and <del>slow</del> <ins>fast</ins>."
    assert word_diff(*PAIRS[2]) == "声音低沉，听起来<del>悲伤</del><ins>愤怒</ins>。"
    assert word_diff("same", "same") == "same"
