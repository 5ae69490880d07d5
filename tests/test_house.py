"""Rules of the house that a machine can hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = sorted((ROOT / "ugsd_core").rglob("*.py"))
OURS = [*CORE, *sorted((ROOT / "ui").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]
LIGHT = (
    "ugsd_core.cli",
    "ugsd_core.cli.caption",
    "ugsd_core.cli.replay",
    "ugsd_core.cli.parser",
    "ugsd_core.cli.doctor",
    "ugsd_core.traces",
)
HEAVY = ("torch", "transformers", "gradio", "librosa", "scipy", "onnxruntime", "pandas", "plotly", "websockets", "av")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """First parts of everything a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def has_code(path: Path) -> bool:
    """Whether there is more in a file than a docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def assigned(tree: ast.Module) -> set[str]:
    """Names that a module assigns at its top."""
    targets = (target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets)
    return {target.id for target in targets if isinstance(target, ast.Name)}


def text_files() -> list[Path]:
    """Every text file of ours: what git tracks or would, or, without git, what lies in our folders."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        paths = [ROOT / entry for entry in listed.split("\0") if entry]
    except (OSError, subprocess.CalledProcessError):
        paths = [
            path for folder in ("ugsd_core", "ui", "tests", "docs", "tools") for path in (ROOT / folder).rglob("*")
        ]
    kinds = {".py", ".md", ".toml", ".txt", ".sh", ".json", ".jsonl", ".css", ".js", ".html", ".csv", ""}
    return [path for path in paths if path.is_file() and path.suffix in kinds]


def test_the_engine_knows_no_user_interface() -> None:
    offenders = {name(path) for path in CORE if imported(path) & {"gradio", "ui", "app", "plotly"}}
    assert not offenders


def test_every_module_has_future_annotations() -> None:
    statement = "from __future__ import annotations"
    lacking = [name(path) for path in OURS if has_code(path) and statement not in path.read_text(encoding="utf-8")]
    assert not lacking


def test_every_module_of_the_engine_says_what_it_is_and_what_it_offers() -> None:
    for path in CORE:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) or not has_code(path), f"{name(path)} has no docstring"
        if path.name not in ("__init__.py", "__main__.py"):
            assert "__all__" in assigned(tree), f"{name(path)} has no __all__"


def test_files_stay_short() -> None:
    # The messages are one list on purpose: what crosses a hop is read in one place.
    files = [path for path in CORE if path.name != "messages.py"]
    long = {name(path): lines for path in files if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 450}
    assert not long, "split them: 400 lines is the rule"


def test_no_file_mentions_a_path_of_one_machine() -> None:
    roots = tuple(f"/{folder}/" for folder in ("work", "root", "home", "Users"))
    for path in text_files():
        if path.name == Path(__file__).name:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found = [root for root in roots if f'"{root}' in text or f" {root}" in text or f"={root}" in text]
        assert not found, f"{name(path)} mentions {found}"


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_make_has_at_most_ten_targets() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    targets = [line.split(":")[0] for line in lines if "## " in line and line[:1].isalpha()]
    assert {"help", "demo", "test", "caption"} <= set(targets)
    assert len(targets) <= 10


def test_constraints_name_no_path_and_no_local_build() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            assert "==" in line and "@" not in line and "+" not in line and "/" not in line, line
