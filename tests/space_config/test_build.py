"""The folder of a Space: what is in it, what the hub reads of it, and that nothing has drifted."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from space_config.build import FOLDERS, ROOT, SETTINGS, build_space, is_space, main
from space_config.card import LONGEST_DESCRIPTION, VARIABLES, VARIANTS
from space_config.errors import SpaceError
from space_config.pins import HUB_ADDS, brought_along, installed_needs, pins, requirements
from ugsd_core import places
from ugsd_core.parts import BASE, PARTS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: Versions that differ from those tested, and why, is in pyproject.toml.
INSTEAD = PROJECT["tool"]["ugsd"]["space"]["instead"]


def as_constrained() -> dict[str, str]:
    """Versions of constraints.txt by canonical name."""
    return {canonicalize_name(name): version for name, version in places.tested_versions(ROOT).items()}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with next to nothing in its folders, so that copying it takes no time."""
    root = tmp_path / "checkout"
    for name in FOLDERS:
        (root / name / "__pycache__").mkdir(parents=True)
        (root / name / "__pycache__/stale.pyc").write_bytes(b"")
        (root / name / "kept.txt").write_text(name)
    (root / "assets/checkpoints/edge").mkdir(parents=True)
    (root / "assets/checkpoints/edge/config.json").write_text("{}")
    for name in ("LICENSE", "constraints.txt", "pyproject.toml"):
        (root / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    (root / "space_config").mkdir()
    (root / "space_config/app.py").write_text((ROOT / "space_config/app.py").read_text(encoding="utf-8"))
    return root


def card(folder: Path) -> tuple[dict[str, Any], str]:
    """Front matter and text of README.md."""
    _, fields, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(fields), text


def pinned(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))


# ── What is installed ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_requirements_are_those_of_the_project_at_the_tested_versions() -> None:
    asked = {
        canonicalize_name(Requirement(line).name): Requirement(line) for line in PROJECT["project"]["dependencies"]
    }
    told = {canonicalize_name(name): version for name, version in pinned(requirements(ROOT)).items()}
    assert set(asked) <= set(told)
    for name, requirement in asked.items():
        assert told[name] == pins(ROOT)[name] and requirement.specifier.contains(told[name])
    assert told.items() <= pins(ROOT).items()
    assert set(told.items()) - set(as_constrained().items()) == set(INSTEAD.items()), (
        "nothing else differs from what was tested"
    )


def test_what_the_hub_installs_beside_them_fits() -> None:
    told = {canonicalize_name(name): version for name, version in pinned(requirements(ROOT)).items()}
    hub = {extra for line in HUB_ADDS for extra in Requirement(line.format(gradio=told["gradio"])).extras}
    assert hub == {"oauth", "mcp"}
    for line in [*installed_needs("gradio"), *(line.format(gradio=told["gradio"]) for line in HUB_ADDS)]:
        need = Requirement(line)
        asked = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in hub)
        if asked and canonicalize_name(need.name) in told:
            assert need.specifier.contains(told[canonicalize_name(need.name)]), line


def test_what_development_needs_is_not_installed_in_a_space() -> None:
    told = pinned(requirements(ROOT))
    assert not {"pytest", "mypy", "ruff", "playwright", "scikit-learn", "psycopg"} & set(told)
    assert {"huggingface-hub", "pandas", "fastapi"} <= set(told), "what others bring along is pinned, too"


def test_an_index_of_cpu_builds_is_named_only_if_asked_for() -> None:
    assert "index" not in requirements(ROOT)
    told = requirements(ROOT, torch_index="https://example.org/cpu")
    assert "--extra-index-url https://example.org/cpu\n" in told and "torch==" in told


def test_extras_and_markers_are_followed_and_circles_end() -> None:
    needs = {
        "a": ["b[fast]; python_version > '3'", "windows-only; sys_platform == 'win32'"],
        "b": ["c; extra == 'fast'", "d; extra == 'slow'"],
        "c": ["a"],
    }
    assert brought_along([Requirement("a")], lambda name: needs.get(name)) == {"b", "c"}


def test_a_package_without_a_tested_version_is_told() -> None:
    with pytest.raises(SpaceError, match="tested"):
        requirements(ROOT, needs=lambda name: ["no-such-package"] if name == "av" else [])


def test_the_extras_of_the_project_are_the_parts_of_the_program() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for part, (_, distributions) in PARTS.items():
        named = {Requirement(line).name for line in extras[part]} - {PROJECT["project"]["name"]}
        assert named == ({"gradio"} if part == "mcp" else set(distributions)), part
    base = {str(Requirement(line)) for line in PROJECT["project"]["dependencies"]}
    parts = {str(Requirement(line)) for part in BASE for line in extras[part]}
    assert base == {line for line in parts if not line.startswith(PROJECT["project"]["name"])}


def test_whatever_a_plain_install_needs_has_a_tested_version() -> None:
    for extra in ("train", "dev", "browser-test", "postgres", "embedding"):
        for line in PROJECT["project"]["optional-dependencies"][extra]:
            assert canonicalize_name(Requirement(line).name) in pins(ROOT), line


# ── The folder ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", list(VARIANTS))
def test_the_hub_can_read_the_card(name: str, small: Path, tmp_path: Path) -> None:
    from huggingface_hub import SpaceHardware

    build_space(tmp_path / "out", VARIANTS[name], root=small)
    fields, text = card(tmp_path / "out")
    assert fields["sdk"] == "gradio" and fields["sdk_version"] == pins(ROOT)["gradio"]
    assert fields["python_version"] == "3.11", "text, not a number"
    assert len(fields["short_description"]) <= LONGEST_DESCRIPTION
    assert fields["suggested_hardware"] in {hardware.value for hardware in SpaceHardware}
    assert fields["hf_oauth"] is True and "hf_oauth_scopes" not in fields
    assert (tmp_path / "out" / fields["app_file"]).is_file()
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", model) for model in fields["models"])
    assert not re.search(r"@[A-Z]+@", text) and all(f"`{variable}`" in text for variable in VARIABLES)


def test_every_variable_of_the_entry_is_in_the_card() -> None:
    entry = (ROOT / "space_config/app.py").read_text(encoding="utf-8")
    text = (ROOT / "space_config/templates/README.md").read_text(encoding="utf-8")
    for variable in set(re.findall(r"\bUGSD_[A-Z_]+\b", entry)):
        assert variable in VARIABLES or f"`{variable}`" in text, variable


def test_the_folder_holds_what_runs_and_nothing_else(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert build_space(out, VARIANTS["cpu"], root=small) > 0
    assert (out / "assets/checkpoints/edge/config.json").is_file()
    assert not list(out.rglob("__pycache__")) and not list(out.rglob("*.pyc"))
    assert "*.safetensors filter=lfs" in (out / ".gitattributes").read_text()
    assert (out / "packages.txt").is_file() and (out / "notice.zh.md").is_file()
    compile((out / "app.py").read_text(encoding="utf-8"), "app.py", "exec")


def test_the_gpu_variant_names_checkpoints_and_holds_none(small: Path, tmp_path: Path) -> None:
    build_space(tmp_path / "out", VARIANTS["gpu"], root=small)
    assert not (tmp_path / "out/assets/checkpoints").exists()
    defaults = json.loads((tmp_path / "out" / SETTINGS).read_text())["defaults"]
    assert defaults["UGSD_DEVICE"] == "cuda" and set(defaults) <= set(VARIABLES)
    assert card(tmp_path / "out")[0]["license"] == "apache-2.0", "the narrower licence is of the embedded weights"


def test_a_large_binary_file_is_never_pushed_as_text() -> None:
    kinds = set(re.findall(r"^\*(\.\w+) filter=lfs", (ROOT / "space_config/templates/gitattributes").read_text(), re.M))
    for name in FOLDERS:
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and b"\0" in path.read_bytes()[:8192]:
                assert path.suffix in kinds, f"{path} is binary: add its kind to gitattributes"


def test_a_space_is_made_anew_and_keeps_what_is_not_ours(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".git").mkdir(parents=True)
    (out / ".git/config").write_text("theirs")
    (out / "README.md").write_text("---\ntitle: Mine\nsdk: gradio\n---\n")
    (out / "mine.txt").write_text("mine")
    (out / "ui").mkdir()
    (out / "ui/gone.py").write_text("")
    build_space(out, VARIANTS["cpu"], root=small)
    assert (out / ".git/config").read_text() == "theirs" and (out / "mine.txt").is_file()
    assert not (out / "ui/gone.py").exists() and (out / "ui/kept.txt").is_file()


@pytest.mark.parametrize("text", [None, "# A paper\n", "---\ntitle: A model card\n---\n"])
def test_a_folder_with_something_else_is_left_alone(text: str | None, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    if text is not None:
        (out / "README.md").write_text(text)
    with pytest.raises(SpaceError, match="holds no Space"):
        build_space(out, VARIANTS["cpu"], root=small)
    assert (out / "thesis.tex").read_text() == "years of work" and not (out / "ui").exists()


def test_the_checkout_is_no_place_for_it(small: Path) -> None:
    for out in (small, small / "assets/new", small.parent):
        with pytest.raises(SpaceError):
            build_space(out, VARIANTS["cpu"], root=small)
    assert not is_space(small)


def test_the_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err
