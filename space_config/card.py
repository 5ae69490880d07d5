"""README.md of the Space: front matter as the hub reads it, and what whoever runs the Space must know.

Fields are those of the hub's Spaces configuration reference. The scopes ``openid`` and ``profile`` (the name) belong to
every sign-in and are not listed; ``hf_oauth_scopes`` would ask for more, and nothing more is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LONGEST_DESCRIPTION", "VARIANTS", "Variant", "front_matter", "readme"]

TEMPLATES = Path(__file__).resolve().parent / "templates"
#: The hub takes no longer description.
LONGEST_DESCRIPTION = 60
PYTHON = "3.11"


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs between the Spaces that can be made.

    Attributes:
        hardware: One of `huggingface_hub.SpaceHardware`.
        licence: Of what is in the folder; the embedded weights are narrower than the code.
        models: Names on the hub of what is loaded, or of what it was made from.
        defaults: What a variable is where the owner has not set it.
        embedded: Whether the embedded pair is in the folder.
    """

    name: str
    hardware: str
    licence: str
    models: tuple[str, ...]
    about: str
    defaults: Mapping[str, str] = field(default_factory=dict)
    embedded: bool = True


VARIANTS = {
    "cpu": Variant(
        "cpu",
        "cpu-basic",
        "cc-by-nc-sa-4.0",
        ("openai/whisper-tiny.en", "openai/whisper-base"),
        "This Space runs the embedded pair of small models on two CPU cores. They were taught on acted speech and are\n"
        "often wrong on spontaneous speech. The code is Apache-2.0; the weights are for non-commercial use (CC\n"
        "BY-NC-SA 4.0).",
    ),
    "gpu": Variant(
        "gpu",
        "l40sx1",
        "apache-2.0",
        ("Qwen/Qwen2.5-Omni-3B", "Qwen/Qwen2.5-Omni-7B"),
        "This Space loads its models from the hub, by default Qwen2.5-Omni-3B as the edge and Qwen2.5-Omni-7B as the\n"
        "verifier, both in bfloat16 on one GPU: weights of the two thinkers take about 28 GB, so a GPU of 48 GB is\n"
        "suggested. The code is Apache-2.0; each checkpoint has a licence of its own, which whoever runs the Space\n"
        "must follow. **These checkpoints have not been tried with this program by its authors**, which is tested on\n"
        "tiny random ones of the same classes.",
        {
            "UGSD_EDGE": "Qwen/Qwen2.5-Omni-3B",
            "UGSD_VERIFIER_CHECKPOINT": "Qwen/Qwen2.5-Omni-7B",
            "UGSD_DEVICE": "cuda",
            "UGSD_DTYPE": "bfloat16",
        },
        embedded=False,
    ),
}

#: What each variable does, and what is where it is not set: for the CPU, or as the variant's defaults say.
VARIABLES = {
    "UGSD_EDGE": ("edge checkpoint, a name on the hub", "the embedded edge"),
    "UGSD_VERIFIER_CHECKPOINT": ("verifier checkpoint, a name on the hub", "the embedded verifier"),
    "UGSD_VERIFIER": ("a verifier that runs elsewhere, `wss://…`; none is started here", "one is started here"),
    "UGSD_DEVICE": ("where models run: `cpu`, `cuda`, `cuda:1` …", "`cpu`"),
    "UGSD_DTYPE": ("`float32`, `bfloat16` or `float16`", "`float32`"),
    "UGSD_DATA": ("folder on persistent storage for annotations, kept runs and evaluations", "`/data`, if it is there"),
    "UGSD_ANNOTATORS": (
        "`oauth` (Hugging Face accounts) or `listed` (name, password)",
        "`oauth`, if the Space has it",
    ),
    "UGSD_NOTICE": ("Markdown file with what visitors are told", "`notice.md`"),
}


def front_matter(variant: Variant, gradio: str) -> dict[str, object]:
    """The fields, in the order in which they are written."""
    return {
        "title": "UGSD Studio",
        "emoji": "🎙️",
        "colorFrom": "indigo",
        "colorTo": "green",
        "sdk": "gradio",
        "sdk_version": gradio,
        "python_version": PYTHON,
        "app_file": "app.py",
        "fullWidth": True,
        "pinned": False,
        "license": variant.licence,
        "short_description": "How a voice sounds, in words, decided token by token",
        "suggested_hardware": variant.hardware,
        "startup_duration_timeout": "1h" if variant.defaults else "30m",
        "models": list(variant.models),
        "tags": ["speech-emotion-recognition", "audio-captioning", "speculative-decoding", "annotation", "evaluation"],
        "hf_oauth": True,
        "hf_oauth_expiration_minutes": 480,
    }


def readme(variant: Variant, *, gradio: str, version: str, torch_index: str, debian: list[str]) -> str:
    """The whole file."""
    fields = "\n".join(f"{name}:{_yaml(value)}" for name, value in front_matter(variant, gradio).items())
    rows = [
        f"| `{name}` | {what} | {_default(name, without, variant)} |" for name, (what, without) in VARIABLES.items()
    ]
    if torch_index:
        torch = "PyTorch comes as a CPU build from the index named there."
    elif variant.defaults:
        torch = "PyTorch is PyPI's CUDA build."
    else:
        torch = (
            "PyTorch is PyPI's build, which runs on a CPU but brings several GB of CUDA libraries along; "
            "`make space TORCH_INDEX=…` takes an index of CPU builds in its place."
        )
    text = (TEMPLATES / "README.md").read_text(encoding="utf-8")
    places = {
        "ABOUT": variant.about,
        "VERSION": version,
        "VARIABLES": "\n".join(rows),
        "TORCH": torch,
        "DEBIAN": ", ".join(debian) if debian else "none is needed",
    }
    for name, words in places.items():
        text = text.replace(f"@{name}@", words)
    return f"---\n{fields}\n---\n\n{text}"


def _default(name: str, without: str, variant: Variant) -> str:
    return f"`{variant.defaults[name]}`" if name in variant.defaults else without


def _yaml(value: object) -> str:
    """A value with what stands before it. JSON is YAML; plain words stay plain, what would be a number is quoted."""
    if isinstance(value, list):
        return "".join(f"\n-{_yaml(entry)}" for entry in value)
    if isinstance(value, str) and not value.replace(".", "").isdigit() and ": " not in value and "#" not in value:
        return f" {value}"
    return f" {json.dumps(value, ensure_ascii=False)}"
