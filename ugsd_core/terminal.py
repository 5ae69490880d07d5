"""Live tokens in a terminal: colour for entropy, shape for state, and plain marks where there is neither.

Three looks, chosen by `choose_look`:

* ``colour``: text colour is the draft's entropy on a ramp from blue to orange, which the common kinds of colour
  blindness tell apart; the state is shown by shape (underline, strike-through, bold, italic).
* ``shape``: a terminal under ``NO_COLOR`` or ``--no-color``: shapes only.
* ``plain``: a pipe or a dumb terminal: no control characters; marks such as ``[-sad-] {+angry+}`` instead.
"""

from __future__ import annotations

import shutil
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal, TextIO

from ugsd_core.messages import Event, TokenDecided, TokenDrafted, TokenState
from ugsd_core.result import TokenRecord

__all__ = [
    "ENTROPY_STEPS_NATS",
    "STATE_WORDS",
    "LiveTokens",
    "Look",
    "choose_look",
    "display_order",
    "marked_text",
    "paint",
    "ramp_legend",
    "wrap",
]

Look = Literal["colour", "shape", "plain"]

#: Upper ends of the ramp's steps but the last.
ENTROPY_STEPS_NATS = (0.1, 0.5, 1.0, 2.0)
#: 256-colour codes from sure to unsure; each is legible on black and on white.
RAMP = (32, 67, 102, 136, 166)

#: SGR codes of each state: shape, never colour.
SHAPES: dict[TokenState, str] = {
    "drafted": "2",
    "kept_local": "",
    "accepted": "4",
    "rejected": "9",
    "corrected": "1;4",
    "ignored": "2;9",
    "bonus": "1",
    "unverified": "3",
}
#: Marks around a run of tokens of one state where nothing can be drawn.
MARKS: dict[TokenState, tuple[str, str]] = {
    "drafted": ("", ""),
    "kept_local": ("", ""),
    "accepted": ("{=", "=}"),
    "rejected": ("[-", "-]"),
    "corrected": ("{+", "+}"),
    "ignored": ("[~", "~]"),
    "bonus": ("{*", "*}"),
    "unverified": ("{?", "?}"),
}
STATE_WORDS: dict[TokenState, str] = {
    "drafted": "drafted",
    "kept_local": "kept",
    "accepted": "accepted",
    "rejected": "rejected",
    "corrected": "corrected",
    "ignored": "ignored",
    "bonus": "bonus",
    "unverified": "unverified",
}

_REDRAW_S = 0.04  # 25 pictures a second are smooth, and drawing stays a small part of the time


def choose_look(stream: TextIO, *, no_color: bool, environ: Mapping[str, str]) -> Look:
    """How tokens may be drawn on a stream; follows https://no-color.org."""
    if not stream.isatty() or environ.get("TERM") == "dumb":
        return "plain"
    return "shape" if no_color or environ.get("NO_COLOR") else "colour"


def display_order(tokens: Iterable[TokenRecord]) -> list[TokenRecord]:
    """Tokens as a person reads them: block by block, a rejected token directly before its correction."""
    return sorted(tokens, key=lambda token: (token.block, token.position, token.state == "corrected"))


def _style(state: TokenState, entropy_nats: float | None, look: Look) -> str:
    codes = [SHAPES[state]] if SHAPES[state] else []
    if look == "colour" and entropy_nats is not None:
        step = sum(entropy_nats > limit for limit in ENTROPY_STEPS_NATS)
        codes.append(f"38;5;{RAMP[step]}")
    return ";".join(codes)


def paint(text: str, state: TokenState, entropy_nats: float | None, look: Look) -> str:
    """A piece of text as a token of that state and entropy; marked instead of painted in the plain look."""
    if look == "plain":
        inner = text.lstrip()
        before, after = MARKS[state] if inner else ("", "")
        return text[: len(text) - len(inner)] + before + inner + after
    style = _style(state, entropy_nats, look)
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text


def marked_text(tokens: Iterable[TokenRecord]) -> str:
    """The whole token strip in plain marks, neighbours of one state under one pair of marks."""
    runs: list[tuple[TokenState, str]] = []
    for token in display_order(tokens):
        if runs and runs[-1][0] == token.state:
            runs[-1] = (token.state, runs[-1][1] + token.text)
        else:
            runs.append((token.state, token.text))
    pieces: list[str] = []
    for state, text in runs:
        piece = paint(text, state, None, "plain")
        # Two marked versions of one word would run into each other.
        glued = pieces and pieces[-1].endswith("]") and piece.startswith("{")
        pieces.append(f" {piece}" if glued else piece)
    return _one_line("".join(pieces)).strip()


def ramp_legend(look: Look) -> str:
    """What the colours say, in one line; empty where there are none."""
    if look != "colour":
        return ""
    limits = ["0", *(f"{limit:g}" for limit in ENTROPY_STEPS_NATS)]
    steps = [f"\x1b[38;5;{code}m■ {limit}\x1b[0m" for code, limit in zip(RAMP, limits, strict=True)]
    return f"entropy in nats, from: {'  '.join(steps)}"


def _one_line(text: str) -> str:
    # Control characters of a model's text must not steer the terminal.
    return "".join(" " if char.isspace() else char for char in text if char.isspace() or char.isprintable())


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


Cell = tuple[str, str]  # one character and the SGR codes it is drawn with


def wrap(cells: list[Cell], columns: int) -> list[list[Cell]]:
    """Break cells into lines of at most that many columns, at spaces where there are any."""
    lines: list[list[Cell]] = []
    line: list[Cell] = []
    width = 0
    for cell in cells:
        if width + _columns(cell[0]) > columns and line:
            space = max((i for i, (char, _) in enumerate(line) if char == " "), default=-1)
            breaks_word = cell[0] != " " and space > 0 and _columns(cell[0]) == 1
            line, rest = (line[:space], line[space + 1 :]) if breaks_word else (line, [])
            lines.append(line)
            line = rest
            width = sum(_columns(char) for char, _ in line)
            if cell[0] == " " and not line:
                continue
        line.append(cell)
        width += _columns(cell[0])
    return [*lines, line]


def _drawn(line: list[Cell]) -> str:
    text, current = "", ""
    for char, style in line:
        if style != current:
            text += ("\x1b[0m" if current else "") + (f"\x1b[{style}m" if style else "")
            current = style
        text += char
    return text + ("\x1b[0m" if current else "")


class LiveTokens:
    """Draws the token strip while it grows, in place; does nothing in the plain look.

    Drawing happens between events, never on the measured clock of the models, at most 25 times a second; the last
    state before a wait and at the end is always drawn.

    Args:
        clock, size: Replaced in tests; ``size`` gives (columns, lines) of the terminal.
    """

    def __init__(
        self,
        stream: TextIO,
        look: Look,
        *,
        clock: Callable[[], float] = time.monotonic,
        size: Callable[[], tuple[int, int]] = shutil.get_terminal_size,
    ) -> None:
        self._stream, self._look, self._clock, self._size = stream, look, clock, size
        self._tokens: dict[tuple[int, int, bool], TokenRecord] = {}
        self._lines_drawn = 0
        self._drawn_at = float("-inf")

    def feed(self, event: Event) -> None:
        """Take an event and draw if it is time to."""
        if self._look == "plain":
            return
        match event:
            case TokenDrafted():
                token = TokenRecord(event.token_id, event.text, event.position, event.revision, event.block, "drafted")
                self._put(token, event.signals.entropy_nats)
            case TokenDecided():
                token = TokenRecord(
                    event.token_id, event.text, event.position, event.revision, event.block, event.state
                )
                self._put(token, None)
        may_wait = not isinstance(event, TokenDrafted | TokenDecided)
        if self._tokens and (may_wait or self._clock() - self._drawn_at >= _REDRAW_S):
            self._draw()

    def _put(self, token: TokenRecord, entropy_nats: float | None) -> None:
        key = (token.block, token.position, token.state in ("corrected", "bonus"))
        known = self._tokens.get(key)
        entropy = entropy_nats if known is None else known.entropy_nats
        self._tokens[key] = replace(token, entropy_nats=entropy)

    def _draw(self, *, final: bool = False) -> None:
        columns, rows = self._size()
        cells = [
            (char, _style(token.state, token.entropy_nats, self._look))
            for token in display_order(self._tokens.values())
            for char in _one_line(token.text)
        ]
        while cells and cells[0][0] == " ":
            cells.pop(0)
        lines = wrap(cells, max(columns - 1, 10))
        if not final:
            # What has scrolled off the screen can't be drawn over.
            lines = lines[-max(rows - 1, 1) :]
        up = f"\x1b[{self._lines_drawn - 1}A" if self._lines_drawn > 1 else ""
        self._stream.write(f"{up}\r\x1b[J" + "\n".join(_drawn(line) for line in lines))
        self._stream.flush()
        self._lines_drawn = len(lines)
        self._drawn_at = self._clock()

    def close(self) -> None:
        """Draw the last state and end the line; also right after an error."""
        if self._tokens:
            self._draw(final=True)
            self._stream.write("\n")
            self._stream.flush()
            self._tokens.clear()
