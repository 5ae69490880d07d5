"""The documentation's promises: its commands exist, its pages are in order, and it says what the program says.

The commands are run by ``make docs-run``; here they are only read.
"""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from tools import documentation
from tools.documentation import ROOT, Run, Step, first_unmet, pages, settled, steps
from ugsd_core.cli.parser import build_parser
from ugsd_core.figures import CLOCK_DEFINITIONS, RATIO_DEFINITIONS

PAGES = pages()
OURS = ("ugsd", "make")
SITE = ROOT / "docs"


def words_of(command: str) -> list[list[str]]:
    """The simple commands of a line of shell, without assignments and redirections."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if set(word) <= set("|&;()"):
            found.append([])
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        else:
            found[-1].append(word)
    return [words for words in found if words]


def parser_for(words: list[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser that reads the words behind ``ugsd``."""
    if words[:1] == ["demo"]:
        from ui.demo import build_parser as build

        return build(), words[1:]
    return build_parser(words[0] if words else None), words


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def says_nothing_wrong(words: list[str]) -> bool:
    parser, rest = parser_for(words)
    try:
        parser.parse_args(rest)
    except SystemExit as ended:
        return ended.code == 0  # --help, --version
    return True


def typed() -> list[tuple[str, list[str]]]:
    """Place and words of every command that is ours, run or not."""
    all_steps = (step for page in PAGES for step in steps(page) if step.content is None)
    return [(step.place, words) for step in all_steps for words in words_of(step.command) if words[0] in OURS]


@pytest.mark.parametrize(("place", "words"), typed(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_can_be_typed(place: str, words: list[str]) -> None:
    program, *rest = words
    if program == "make":
        assert {word for word in rest if "=" not in word} <= make_targets()
    else:
        assert says_nothing_wrong(rest), f"{place}: {shlex.join(words)}"


def innermost(words: list[str]) -> argparse.ArgumentParser:
    """The parser of the sub-command that words begin with."""
    parser, words = parser_for(words)
    for word in words:
        choices = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if not choices or not word[:1].isalpha() or word.isupper():
            break
        assert word in choices[0], f"there is no {word}"
        parser = choices[0][word]
    return parser


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_sentences_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"(?<!`)`((?:ugsd|make) [^`]+)`(?!`)", text):
        program, *words = code.split()
        if program == "make":
            assert words[0] in make_targets(), f"{page.name}: {code}"
        elif words[0] != "…":
            options = {name for action in innermost(words)._actions for name in action.option_strings}
            assert {word.split("=")[0] for word in words if word.startswith("--")} <= options, f"{page.name}: {code}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_hides_from_being_checked(page: Path) -> None:
    from markdown_it import MarkdownIt

    ours = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(?:ugsd|make|pip|python) [a-z.-].*$", re.MULTILINE)
    hidden = [
        line
        for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
        if token.type in ("fence", "code_block") and token.info != "console"
        for line in ours.findall(token.content)
    ]
    assert not hidden, f"{page.name}: put them into a block `console`"


def test_what_is_not_run_says_why() -> None:
    for page in PAGES:
        for step in steps(page):
            assert not step.reason or len(step.reason.split()) >= 4, f"{step.place}: {step.reason}"


def test_every_page_is_in_the_site_and_every_link_of_the_readmes_leads_somewhere() -> None:
    listed = (SITE / "index.md").read_text(encoding="utf-8").split()
    lost = [
        name
        for path in SITE.rglob("*.md")
        if (name := path.relative_to(SITE).with_suffix("").as_posix()) not in listed and name != "index"
    ]
    assert not lost, "name them in docs/index.md"
    for page in ROOT.glob("*.md"):
        for link in re.findall(r"\]\((?!https?:|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{page.name} links to {link}"


def test_the_page_on_ratios_and_clocks_says_what_the_program_says() -> None:
    page = (SITE / "explanation/ratios-and-clocks.md").read_text(encoding="utf-8")
    for name, sentence in {**RATIO_DEFINITIONS, **CLOCK_DEFINITIONS}.items():
        assert f"| `{name}` | {sentence} |" in page, name


# ── the reader of pages ────────────────────────────────────────────────────────────────────────────────────────────

PAGE = """# A page

<!-- first: touch before -->

```console
$ echo one \\
    two
one …
$ cat note
written
```

<!-- file: note -->
```
written
```

<!-- not run: it would take a week -->
```console
$ sleep 604800
```

<!-- keeps running -->
```console
$ export WORD=heard
$ sh -c "echo $WORD; sleep 60"
heard
```
"""


def test_a_page_is_read_in_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    first, echo, cat, note, week, export, server = steps(page)
    assert first.command == "touch before"
    assert (echo.command, echo.expected, echo.line) == ("echo one two", ("one …",), 6)
    assert cat.expected == ("written",)
    assert (note.command, note.content) == ("note", "written\n")
    assert week.reason == "it would take a week" and not echo.reason
    assert server.serves and not export.serves


def test_a_run_does_what_the_page_says_and_tells_what_does_not(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    with Run(tmp_path) as run:
        _, echo, cat, note, _, export, server = steps(page)
        assert run.step(echo) is None
        assert "ended with 1" in (run.step(cat) or "")  # the note is written below
        assert run.step(note) is None and run.step(cat) is None
        assert run.step(export) is None and run.step(server) is None
        assert "does not print 'three'" in (run.step(Step(page, 1, "echo two", ("three",))) or "")
    assert run.servers[0].poll() is not None


READY = "… info listens on wss://127.0.0.1:8765 …"


@pytest.mark.parametrize(
    ("expected", "printed", "never"),
    [
        ((READY,), "12:00 info listens on ws://127.0.0.1:8765 tls=no\n", True),
        ((READY,), "12:00 info loading the verifier …\n", False),
        ((READY,), "", False),
        ((READY, "…", "ready"), "ready\n", True),
        ((READY, "…", "ready"), "12:00 info loading the verifier …\n", False),
    ],
)
def test_a_line_is_not_waited_for_where_another_stands_in_its_place(
    expected: tuple[str, ...], printed: str, never: bool
) -> None:
    unmet = first_unmet(expected, printed)
    assert unmet is not None and settled(expected, unmet, printed) is never


@pytest.mark.parametrize(
    ("typed", "patience"),
    [
        ("echo it listens on 8766; sleep 60", "SETTLED_S"),
        ("echo loading; sleep 60", "SILENCE_S"),
        ("while :; do date +%N; sleep 0.1; done", "PATIENCE_S"),
        ("echo it cannot", None),
    ],
    ids=["another line in its place", "silent", "says much", "ended"],
)
def test_a_server_that_lacks_a_line_is_given_up_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, patience: str | None
) -> None:
    for name in ("SETTLED_S", "SILENCE_S", "PATIENCE_S"):
        monkeypatch.setattr(documentation, name, 0.3 if name == patience else 100.0)
    with Run(tmp_path) as run:
        step = Step(tmp_path / "page.md", 1, f"sh -c '{typed}'", ("…", "it listens on 8765"), serves=True)
        wrong = run.step(step) or ""
    assert wrong.startswith("did not print 'it listens on 8765', but:\n")


@pytest.mark.parametrize(
    ("expected", "unmet"),
    [
        (("a 1", "c"), None),
        (("a …", "…", "c"), None),
        (("c", "a 1"), "a 1"),
        (("b",), "b"),
        ((), None),
    ],
)
def test_expected_lines_are_looked_for_in_order(expected: tuple[str, ...], unmet: str | None) -> None:
    assert first_unmet(expected, "a   1\n\x1b[1mb 2\x1b[0m\nc\n") == unmet
