"""The commands of the documentation: read from its Markdown, checked, and run.

    python -m tools.documentation               # all pages that have commands, each in a folder of its own
    python -m tools.documentation docs/tutorials/first-caption.md

A command is a line that begins with ``$`` in a fenced block ``console``; one that ends in a backslash goes on in the
next. The lines below it are what it prints, checked in their order: ``…`` is anything, a line ``…`` any number
of lines, and other lines may stand between. HTML comments, which no reader sees, say what else there is to know:

    <!-- not run: it needs a GPU -->      the next block is checked as far as words go, and not run
    <!-- keeps running -->                the next block's last command is a server; it ends with its page
    <!-- first: ugsd examples CORPUS -->  a command before those that are seen
    <!-- file: mine/manifest.csv -->      the next block, of whatever language, is what the reader writes into that file

A server is waited for while it goes on printing, up to 240 s. A line that a silent one has not printed is missed after
60 s, and after 5 s if another one stands in its place.

All commands of a page run one after another in the same folder, with an empty home and without a terminal. The
page takes a free port.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

__all__ = ["ROOT", "Run", "Step", "first_unmet", "pages", "settled", "steps"]

ROOT = Path(__file__).resolve().parents[1]
#: A command has ended after this long, and a server has said where it is, however much it says.
PATIENCE_S = 240.0
#: A server that says nothing for this long has said all that it says when it starts.
SILENCE_S = 60.0
#: The same for one that has printed what stands behind the missing line, or a line much like it.
SETTLED_S = 5.0
#: A line is much like an expected one if it has this share of its words.
LIKE = 0.5
#: The page takes any free port and opens no window, whatever is typed.
SHIM = """#!/bin/sh
[ "$1" = demo ] && set -- "$@" --port 0 --no-browser
PYTHONPATH="{root}" exec "{python}" -m ugsd_core.cli "$@"
"""
REASON = re.compile(r"<!-- not run: (.+?) -->")
FILE = re.compile(r"<!-- file: (.+?) -->")
FIRST = re.compile(r"<!-- first: (.+?) -->")
SERVES = "<!-- keeps running -->"
EXPORT = re.compile(r"export (\w+)=([^\s\"'$]+)")
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Step:
    """One command of a page.

    Attributes:
        line: Where it stands, from 1.
        command: As it is typed, in one line.
        expected: What the page says it prints.
        reason: Why it is not run; empty for one that is.
        serves: Whether it goes on until it is stopped.
        content: What is written into the file named by ``command``, where nothing is typed; None for a command.
    """

    page: Path
    line: int
    command: str
    expected: tuple[str, ...] = ()
    reason: str = ""
    serves: bool = False
    content: str | None = None

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page}:{self.line}"


def pages() -> list[Path]:
    """The documentation: everything that a person reads as Markdown, but no record of changes or of measurements."""
    top = [path for path in ROOT.glob("*.md") if path.name not in ("CHANGELOG.md", "THIRD_PARTY_NOTICES.md")]
    return sorted(top) + sorted(path for path in (ROOT / "docs").rglob("*.md") if "reports" not in path.parts)


def steps(page: Path) -> list[Step]:
    """All commands of a page, in their order."""
    from markdown_it import MarkdownIt

    found: list[Step] = []
    remark = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            remark += token.content
            begin = token.map[0] + 1 if token.map else 1
            found += [Step(page, begin, match[1]) for match in FIRST.finditer(token.content)]
        elif token.type == "fence" and token.info.split()[:1] == ["console"]:
            found += _typed(page, token.content, token.map[0] + 2 if token.map else 1, remark)
        elif token.type == "fence" and (name := FILE.search(remark)):
            found.append(Step(page, token.map[0] + 1 if token.map else 1, name[1], content=token.content))
        if token.type == "fence":
            remark = ""
    return found


def _typed(page: Path, block: str, begin: int, remark: str) -> Iterator[Step]:
    """The commands of one block."""
    reason = REASON.search(remark)
    groups: list[tuple[int, str, list[str]]] = []
    goes_on = False
    for number, line in enumerate(block.splitlines(), begin):
        if goes_on:
            at, command, printed = groups.pop()
            groups.append((at, command + " " + line.strip().rstrip("\\").strip(), printed))
        elif line.startswith("$ "):
            groups.append((number, line[2:].rstrip("\\").strip(), []))
        elif groups:
            groups[-1][2].append(line)
        goes_on = (goes_on or line.startswith("$ ")) and line.endswith("\\")
    for number, (at, command, printed) in enumerate(groups, 1):
        serves = SERVES in remark and number == len(groups)
        yield Step(page, at, command, tuple(printed), reason[1] if reason else "", serves)


def first_unmet(expected: Sequence[str], printed: str) -> str | None:
    """The first expected line that is not there behind those before it; None if all are."""
    lines = iter(_lines(printed))
    for wanted in map(_even, expected):
        if wanted in ("", "…"):
            continue
        pattern = re.compile(".*".join(map(re.escape, wanted.split("…"))))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None


def settled(expected: Sequence[str], unmet: str, printed: str) -> bool:
    """Whether a missing line is likely never to come: another one much like it is there, or those behind it are."""
    place = [_even(line) for line in expected].index(unmet)
    behind = [line for line in expected[place + 1 :] if _even(line) not in ("", "…")]
    if behind and first_unmet(behind, printed) is None:
        return True
    words = [word for word in unmet.split() if word != "…"]
    compare = SequenceMatcher(None, words, autojunk=False)
    for line in _lines(printed):
        compare.set_seq2(line.split())
        if sum(block.size for block in compare.get_matching_blocks()) >= LIKE * len(words):
            return True
    return False


def _lines(printed: str) -> list[str]:
    """What was printed, line by line, without colours and runs of blanks."""
    return [_even(COLOUR.sub("", line)) for line in re.split(r"[\n\r]", printed)]


def _end(printed: str) -> str:
    return "\n".join(printed.splitlines()[-40:])


def _even(line: str) -> str:
    return " ".join(line.split())


class Run:
    """Runs the commands of one page in an empty folder.

    Args:
        folder: The folder, which is there and empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        (programs / "ugsd").write_text(SHIM.format(root=ROOT, python=sys.executable), encoding="utf-8")
        (programs / "ugsd").chmod(0o755)
        home = folder / "home"
        home.mkdir()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("UGSD_", "XDG_", "PYTHONPATH"))}
        path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        self.environment = {**kept, "PATH": path, "HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        self.environment["UGSD_CHECKOUT"] = str(ROOT)
        self.servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
        for server in self.servers:
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)

    def step(self, step: Step) -> str | None:
        """Run one command; what is wrong with it, or None."""
        if step.content is not None:
            path = self.folder / step.command
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.content, encoding="utf-8")
            return None
        exported = EXPORT.fullmatch(step.command)
        if exported:
            self.environment[exported[1]] = exported[2]
            return None
        return self._serve(step) if step.serves else self._wait(step)

    def _wait(self, step: Step) -> str | None:
        try:
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {step.command}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            return f"did not end within {PATIENCE_S:.0f} s"
        printed = done.stdout.decode(errors="replace")
        if done.returncode:
            return f"ended with {done.returncode}:\n{_end(printed)}"
        unmet = first_unmet(step.expected, printed)
        return None if unmet is None else f"does not print {unmet!r} where it should, but:\n{_end(printed)}"

    def _serve(self, step: Step) -> str | None:
        log = self.folder.parent / f"server-{len(self.servers)}.log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {step.command}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.servers.append(server)
        printed, begun = "", time.monotonic()
        heard = begun
        while True:
            ended = server.poll() is not None  # asked before its last words are read
            before, printed = printed, log.read_text(errors="replace")
            unmet = first_unmet(step.expected, printed)
            if unmet is None:
                return None
            now = time.monotonic()
            heard = now if printed != before else heard
            silence_s = SETTLED_S if settled(step.expected, unmet, printed) else SILENCE_S
            if ended or now > min(heard + silence_s, begun + PATIENCE_S):
                return f"did not print {unmet!r}, but:\n{_end(printed)}"
            time.sleep(0.1)


def main(argv: Sequence[str] | None = None) -> int:
    """Run pages; 1 if a command did not do what its page says."""
    parser = argparse.ArgumentParser(prog="python -m tools.documentation", description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, help="Markdown files (all of the documentation)")
    failures = 0
    begin = time.monotonic()
    # The Chinese README has the commands of the English one: a test holds it, and one of them is enough here.
    every = [page for page in pages() if page.name != "README.zh.md"]
    for page in [path.resolve() for path in parser.parse_args(argv).pages] or every:
        failures += _page(page)
    print(f"{failures} failures in {time.monotonic() - begin:.0f} s")
    return 1 if failures else 0


def _page(page: Path) -> int:
    todo = [step for step in steps(page) if not step.reason]
    if not todo:
        return 0
    with tempfile.TemporaryDirectory(prefix="ugsd-docs-") as folder, Run(Path(folder)) as run:
        for step in todo:
            begin = time.monotonic()
            wrong = run.step(step)
            print(f"{time.monotonic() - begin:5.1f} s  {step.place}  {step.command}", flush=True)
            if wrong is not None:
                print(f"{step.place}: {step.command}\n{wrong}", file=sys.stderr)
                return 1  # what comes after it builds on it
    return 0


if __name__ == "__main__":
    sys.exit(main())
