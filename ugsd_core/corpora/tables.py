"""Text files and tables as people save them: with a byte order mark, in GBK, with semicolons, with a row gone wrong.

A file that cannot be read at all is an `OptionError`. A row that cannot be read is a `Problem`, and the rows behind it
are read all the same: a quotation mark that nobody closed costs its own row, not the rest of the table.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ugsd_core.corpora.clip import Problem
from ugsd_core.errors import OptionError

__all__ = ["MAX_TABLE_MB", "Row", "Table", "header_of", "read_table", "read_text"]

MAX_TABLE_MB = 64
_DELIMITERS = (",", ";", "\t")
_MAX_OPEN_QUOTES = 20
_HEADER_BYTES = 1 << 16
#: Of Chinese text in GBK nearly all is in the older GB 2312; Latin-1 that happens to decode is not.
_LEAST_COMMON_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        line: Line of the file on which the row begins; 1 is the header.
        values: Column, lower case, to its text without surrounding white space.
    """

    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """A column's text; empty for a column that the table lacks."""
        return self.values.get(column, "")


@dataclass(frozen=True, slots=True)
class Table:
    """Column names in lower case, the rows that could be read, and what could not."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


# ── Bytes to text ─────────────────────────────────────────────────────────────────────────────────────────────────


def read_text(path: Path) -> tuple[str, list[Problem]]:
    """The text of a file in UTF-8 (with or without a byte order mark), UTF-16 with one, or GBK.

    Returns:
        The text, and a problem of the kind ``encoding`` if it was not UTF-8.

    Raises:
        OptionError: If there is no such file, it is too large, or its encoding is another one.
    """
    try:
        size_mb = path.stat().st_size / 1e6
        if size_mb > MAX_TABLE_MB:
            raise OptionError(f"{path} has {size_mb:.0f} MB; a table of at most {MAX_TABLE_MB} MB is read")
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise OptionError(f"{path} cannot be read ({reason}); check the path and its permissions") from error
    text, encoding = _decode(content, path)
    if encoding == "UTF-8":
        return text, []
    sentence = f"{path.name} is in {encoding}; it was read as that. Save it as UTF-8 to be sure of every character."
    return text, [Problem("encoding", sentence)]


def _decode(content: bytes, path: Path) -> tuple[str, str]:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16"), "UTF-16"
        except UnicodeDecodeError as error:
            raise OptionError(f"{path} claims to be UTF-16 and is damaged; save it as UTF-8") from error
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    if not text or not _plainly_chinese(text):
        raise OptionError(
            f"{path} is neither in UTF-8 nor in GBK; open it in the program that wrote it and save it as UTF-8 "
            "('CSV UTF-8' in a spreadsheet)"
        )
    return text, "GBK"


def _plainly_chinese(text: str) -> bool:
    foreign = [character for character in text if ord(character) > 127]
    common = sum(bool(character.encode("gb2312", "ignore")) for character in foreign)
    return common >= _LEAST_COMMON_SHARE * len(foreign)


# ── Text to rows ──────────────────────────────────────────────────────────────────────────────────────────────────


def header_of(path: Path) -> tuple[str, ...]:
    """Column names of a table in lower case, from its beginning alone; empty where there is no table."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_HEADER_BYTES)
    except OSError:
        return ()
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = beginning[: len(beginning) // 2 * 2].decode("utf-16", "replace")
    else:
        text = beginning.decode("utf-8-sig", "replace")
    lines = list(io.StringIO(text, newline=""))
    return _columns(lines, ())[0] if lines else ()


def read_table(path: Path, known: Iterable[str], needed: str, *, say: str = "") -> Table:
    """Read a table with a header, separated by commas, semicolons or tabs.

    Args:
        known: Names of columns that the reader looks for, lower case; they tell what separates the columns.
        needed: Those of them that must be there, with a space between.
        say: What such a table is like, appended to the sentence about missing columns.

    Raises:
        OptionError: If the file cannot be read, is empty, or lacks a needed column.
    """
    text, problems = read_text(path)
    if "\0" in text:
        raise OptionError(f"{path} is no text file; save it as CSV in UTF-8")
    lines = list(io.StringIO(text, newline=""))
    if not any(line.strip() for line in lines):
        raise OptionError(f"{path} is empty; it needs a header and at least one row")
    columns, delimiter, body = _columns(lines, tuple(known))
    lacking = [name for name in needed.split() if name not in columns]
    if lacking:
        wanted = " and ".join(f"'{name}'" for name in needed.split())
        has = ", ".join(name or "(no name)" for name in columns[:12])
        raise OptionError(f"{path} needs the columns {wanted}, and its header has {has}{say}")
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise OptionError(f"{path} has the column {twice[0]!r} twice; rename one of them")
    rows: list[Row] = []
    for line, fields, fault in _records(lines, body, delimiter, path):
        if fault is None and len(fields) != len(columns):
            fault = f"it has {len(fields)} fields, and the header has {len(columns)}; quote a text that holds commas"
        if fault is not None:
            problems.append(Problem("unreadable_row", f"Line {line} of {path.name} was left out: {fault}.", row=line))
        else:
            rows.append(Row(line, {n: v.strip() for n, v in zip(columns, fields, strict=True) if n}))
    return Table(columns, tuple(rows), tuple(problems))


def _columns(lines: list[str], known: tuple[str, ...]) -> tuple[tuple[str, ...], str, int]:
    """Column names, what separates them, and the index of the first line behind the header."""
    best: tuple[tuple[str, ...], str, int] = ((), ",", 0)
    most = (-1, -1)
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    for delimiter in _DELIMITERS:
        reader = csv.reader(iter(lines[first:]), delimiter=delimiter)
        try:
            names = tuple(name.strip().lower() for name in next(reader, []))
        except csv.Error:
            continue
        rank = (len(set(names) & set(known)), len(names))
        if rank > most:
            best, most = (names, delimiter, first + reader.line_num), rank
    return best


def _records(lines: list[str], start: int, delimiter: str, path: Path) -> Iterator[tuple[int, list[str], str | None]]:
    """Line number, fields and what is wrong with them, of each row that is not blank."""
    open_quotes = 0
    while start < len(lines):
        reader = csv.reader(iter(lines[start:]), delimiter=delimiter, strict=True)
        while True:
            line = start + reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if reader.line_num == line - start:
                    yield line, [], f"it is no row of a table ({error})"
                    continue
                open_quotes += 1
                if open_quotes > _MAX_OPEN_QUOTES:
                    raise OptionError(
                        f"{path} has many quotation marks that are never closed, the last in line {line}; "
                        "write a quotation mark inside a text twice"
                    ) from error
                yield line, [], "a quotation mark that begins there is never closed"
                start = line  # read on behind that line
                break
            if any(field.strip() for field in fields):
                yield line, fields, None
