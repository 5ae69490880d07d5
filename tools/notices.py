"""Writes ``THIRD_PARTY_NOTICES.md`` from what is installed: ``make notices``.

Which packages: those that `pyproject.toml` asks for in a plain install, and everything that they ask for in turn, as
the metadata of the installed versions says. Licences and authors are read by pip-licenses.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["NOTICES", "closure", "main", "runtime_requirements"]

ROOT = Path(__file__).resolve().parents[1]
NOTICES = ROOT / "THIRD_PARTY_NOTICES.md"
HEAD = """# Third-party notices

UGSD Studio is Apache-2.0. It contains no code of others. What a plain install brings along is listed here, as installed
with `constraints.txt` on Linux; `make notices` writes this list anew. Each package's own licence text is in its
`dist-info` folder in the environment.

"""
TAIL = """
## Data and weights within this repository

| what | source | licence |
|---|---|---|
| `assets/checkpoints` | trained here on RAVDESS, nEMO and EMO-DB from Whisper encoders (MIT) | CC BY-NC-SA 4.0 |
| `ugsd_core/data/wordnet` | synonyms from WordNet 3.0, Princeton University | WordNet 3.0 licence, beside it |
| `assets/examples` | synthetic clips made here | CC0 1.0 |

CC BY-NC-SA means that the checkpoints are not for commercial use. The corpora that evaluations read (MER2024, SECap,
RAVDESS, nEMO, EMO-DB) are not part of this repository, and have licences of their own.
"""


def runtime_requirements() -> list[str]:
    """What a plain install asks for."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [str(line) for line in project["dependencies"]]


def closure(requirements: Iterable[str]) -> list[str]:
    """Canonical names of all installed packages that requirements lead to, sorted."""
    found: set[str] = set()
    waiting = [(requirement, "") for requirement in map(Requirement, requirements)]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            asked = [Requirement(line) for line in distribution(name).requires or ()]
        except PackageNotFoundError:
            continue
        wanted = {"", *requirement.extras}
        if name not in found or requirement.extras:
            found.add(name)
            waiting += [(one, part) for one in asked for part in wanted if _applies(one, part)]
    return sorted(found)


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def main() -> int:
    """Write the file."""
    names = closure(runtime_requirements())
    command = [
        sys.executable,
        "-m",
        "piplicenses",
        "--from=mixed",
        "--with-urls",
        "--with-system",
        "--format=json",
        "--packages",
        *names,
    ]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rows = ["| package | version | licence |", "|---|---|---|"]
    for entry in sorted(listed, key=lambda entry: entry["Name"].lower()):
        address = entry["URL"] if entry["URL"].startswith("http") else ""
        name = f"[{entry['Name']}]({address})" if address else entry["Name"]
        rows.append(f"| {name} | {entry['Version'].split('+')[0]} | {' '.join(entry['License'].split())[:120]} |")
    NOTICES.write_text(HEAD + "\n".join(rows) + "\n" + TAIL, encoding="utf-8")
    print(f"{NOTICES.name}: {len(rows) - 2} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
