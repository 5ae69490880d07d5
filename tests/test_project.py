"""Habits of a kept project: what stands in the root says the same as the project does."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tools.documentation import ROOT, steps
from tools.notices import NOTICES, closure, runtime_requirements
from ugsd_core import __version__

yaml = pytest.importorskip("yaml")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def headings(text: str) -> list[int]:
    """Levels of the headings, in their order, code blocks aside."""
    return [len(mark) for mark in re.findall(r"^(#+) ", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)]


def links(text: str) -> set[str]:
    return set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README.zh.md"}


def test_both_readmes_have_the_same_headings_commands_and_links() -> None:
    english, chinese = read("README.md"), read("README.zh.md")
    assert headings(english) == headings(chinese)
    assert [(s.command, s.expected) for s in steps(ROOT / "README.md")] == [
        (s.command, s.expected) for s in steps(ROOT / "README.zh.md")
    ]
    assert links(english) == links(chinese)
    assert "README.zh.md" in english and "README.md" in chinese


def test_both_readmes_have_the_same_figures() -> None:
    figures = [set(re.findall(r"(?<![\w.])\d+(?:\.\d+)? %", read(name))) for name in ("README.md", "README.zh.md")]
    assert figures[0] == figures[1]


def test_the_citation_is_complete_and_of_this_version() -> None:
    citation: dict[str, Any] = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type"} <= set(citation)
    assert str(citation["version"]) == __version__
    assert citation["license"] == tomllib.loads(read("pyproject.toml"))["project"]["license"]
    known = {"name", "family-names", "given-names", "alias", "email", "orcid", "affiliation", "website"}
    for work in (citation, *citation["references"]):
        assert work["title"] and work["authors"]
        assert all(author and set(author) <= known for author in work["authors"])
    for reference in citation["references"]:
        assert reference["type"] in ("article", "conference-paper", "software")
        assert all(set(found) == {"type", "value"} for found in reference["identifiers"])


def test_pre_commit_runs_what_make_lint_runs() -> None:
    hooks = [hook for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]]
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks)
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", read("Makefile"), re.M)
    assert lint is not None
    typed = [line.strip().removeprefix("@").replace("$(VENV)", ".venv/bin") for line in lint[1].splitlines()]
    assert [hook["entry"] for hook in hooks] == typed
    assert re.search(r"^test: lint\b", read("Makefile"), re.M), "CI lints by make test"


def test_ci_ends_with_the_tests_and_builds_the_documentation() -> None:
    lines = [line for line in read(".ci/run").splitlines() if line.strip()]
    assert lines[-1] == "exec make test"
    assert {"make docs", "make docs-run"} <= set(lines)


def test_every_package_that_a_plain_install_brings_is_in_the_notices() -> None:
    listed = {
        re.sub(r"[-_.]+", "-", name).lower()
        for name in re.findall(r"^\| \[?([\w.-]+)\]?(?:\([^)]*\))? \|", NOTICES.read_text(encoding="utf-8"), re.M)
    }
    lacking = set(closure(runtime_requirements())) - listed
    assert not lacking, "make notices writes the list anew"


def test_the_changelog_knows_this_version_or_what_comes_next() -> None:
    assert re.search(rf"^## \[(?:Unreleased|{re.escape(__version__)})\]", read("CHANGELOG.md"), re.M)
