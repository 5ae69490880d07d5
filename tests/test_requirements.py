"""What pip must install for a part alone, read from metadata as pip writes it."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from ugsd_core import requirements
from ugsd_core.errors import InstallationError
from ugsd_core.parts import PARTS, PROGRAM, install_line, lacking
from ugsd_core.requirements import requirements_of

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
#: As a wheel's METADATA has them.
DECLARED = [f'{line}; extra == "{part}"' for part, lines in EXTRAS.items() for line in lines] + ["gradio<7,>=6.31"]


def test_the_edge_needs_neither_page_nor_metrics() -> None:
    needed = requirements_of("edge", DECLARED)
    assert "torch==2.13.0" in needed and any(line.startswith("transformers") for line in needed)
    assert not [line for line in needed if line.startswith(("gradio", "plotly", "nltk", "sqlalchemy"))]


def test_a_part_that_takes_in_others_names_all_they_need() -> None:
    page = requirements_of("page", DECLARED)
    assert set(requirements_of("edge", DECLARED)) < set(page)
    assert not [line for line in page if PROGRAM in line] and len(page) == len(set(page))


def test_metrics_need_no_model() -> None:
    assert not [line for line in requirements_of("evaluation", DECLARED) if line.startswith(("torch", "transformers"))]


def test_a_program_that_was_not_installed_or_long_ago_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InstallationError, match="install it again"):
        requirements_of("edge", ["gradio"])

    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(requirements.metadata, "requires", missing)
    with pytest.raises(InstallationError, match="pip install --no-deps"):
        requirements_of("edge")


def test_the_line_to_type_is_for_a_checkout_or_for_an_installation(tmp_path: Path) -> None:
    assert install_line("page", tmp_path) == "pip install 'ugsd-studio[page]'"
    assert install_line("page") == "pip install -c constraints.txt -e '.[page]'"


def test_what_is_no_part_of_ours_is_no_missing_part() -> None:
    assert lacking("ugsd_core.nothing") is None and lacking(None) is None and lacking("") is None
    for part, module in (("edge", "soxr"), ("page", "markdown_it.rules"), ("train", "sklearn.linear_model")):
        assert part in PARTS and f"[{part}]" in str(lacking(module))
