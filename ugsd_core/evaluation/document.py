"""A report before it is Markdown, HTML or LaTeX: sections of tables, notes and pictures, in plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Document", "Picture", "Section", "Table", "as_html", "as_markdown"]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text.

    Attributes:
        name: Short and stable, such as ``"quality"``; LaTeX makes its label of it.
        title: What stands above it.
        texts: How many columns at the left hold words; the rest hold figures.
        notes: Sentences below it, in order; a mark such as ``¹`` in a cell is explained by a note that begins with it.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG document and the file it goes into."""

    name: str
    title: str
    svg: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what belongs to it; ``lines`` are a list, ``paragraphs`` are not."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report."""

    title: str
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All pictures, in order."""
        return tuple(picture for section in self.sections for picture in section.pictures)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, in order."""
        return tuple(table for section in self.sections for table in section.tables)


# ── Markdown ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_markdown(document: Document, *, pictures: bool = True) -> str:
    """The report as Markdown.

    Args:
        pictures: Refer to the pictures' files; without, they are left out.
    """
    parts = [f"# {_plain(document.title)}"]
    for section in document.sections:
        parts.append(f"## {_plain(section.title)}")
        parts += [_plain(text) for text in section.paragraphs]
        for table in section.tables:
            parts += [*([] if table.title == section.title else [f"**{_plain(table.title)}**"]), _pipes(table)]
            parts += [_plain(note) for note in table.notes]
        if pictures:
            parts += [f"![{_plain(picture.title)}]({picture.name})" for picture in section.pictures]
        if section.lines:
            parts.append("\n".join(f"- **{_plain(name)}**: {_plain(text)}" for name, text in section.lines))
    return "\n\n".join(parts) + "\n"


def _pipes(table: Table) -> str:
    rule = [*["---"] * table.texts, *["--:"] * (len(table.head) - table.texts)]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in (table.head, rule, *table.rows))


def _plain(text: str) -> str:
    """Text in which nothing is meant as Markdown; an underscore within a word is none, and stays readable."""
    for mark in ("\\", "*", "<", "`"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(re.sub(r"(?<!\w)_|_(?!\w)", r"\_", text).split())


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


# ── HTML ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}
caption{text-align:left;font-weight:600;padding:.3rem 0;white-space:nowrap}
th,td{padding:.25rem .6rem;border-bottom:1px solid #8886;text-align:right;vertical-align:top;
white-space:nowrap}
th.t,td.t{text-align:left}
thead th{border-bottom:2px solid #888}
.wide{overflow-x:auto}
.note{font-size:.88rem;margin:.15rem 0;max-width:60rem}
figure{margin:1rem 0;max-width:52rem}
dt{font-weight:600}dd{margin:0 0 .4rem 1.2rem}
"""


def as_html(document: Document, language: str = "en") -> str:
    """The report as one HTML file that needs nothing else: pictures are in it, nothing is fetched."""
    parts = [
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(document.title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(document.title)}</h1>",
    ]
    for section in document.sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(text)}</p>" for text in section.paragraphs]
        for table in section.tables:
            parts.append(_html_table(table, "" if table.title == section.title else table.title))
            parts += [f'<p class="note">{escape(note)}</p>' for note in table.notes]
        parts += [f"<figure>{picture.svg}</figure>" for picture in section.pictures]
        if section.lines:
            entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in section.lines)
            parts.append(f"<dl>{entries}</dl>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _html_table(table: Table, title: str) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = (' class="t"' if number < table.texts else "" for number in range(len(cells)))
        return (
            "<tr>"
            + "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
            + "</tr>"
        )

    body = "\n".join(row(cells, "td") for cells in table.rows)
    return (
        f'<div class="wide"><table id="{escape(table.name)}"><caption>{escape(title)}</caption>'
        f"<thead>{row(table.head, 'th')}</thead>\n<tbody>{body}</tbody></table></div>"
    )
