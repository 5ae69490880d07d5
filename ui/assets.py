"""Where the page finds its style sheets, scripts and example clips."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ugsd_core.places import assets_folder

__all__ = ["ASSETS", "ExampleClip", "example_clips", "web_asset"]

#: Checkpoints, example clips, recorded runs, style sheets and scripts, wherever they were installed.
ASSETS = assets_folder()


@lru_cache(maxsize=16)
def web_asset(name: str) -> str:
    """The text of a style sheet or script in ``assets/web``."""
    return (ASSETS / "web" / name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class ExampleClip:
    """A clip that can be tried without a microphone.

    Attributes:
        titles: What its button says, by language.
    """

    path: Path
    titles: dict[str, str]

    @property
    def key(self) -> str:
        """Under which the titles stand among the words of the page."""
        return f"example.{self.path.stem}"


def example_clips(folder: Path | None = None) -> list[ExampleClip]:
    """The clips that ``examples.json`` names and that are really there; none if there is no such file."""
    folder = folder or ASSETS / "examples"
    index = folder / "examples.json"
    if not index.is_file():
        return []
    clips = []
    for entry in json.loads(index.read_text(encoding="utf-8")):
        path = folder / entry["file"]
        if path.is_file():
            titles = {"en": str(entry["title"]["en"]).replace(" (English)", ""), "zh": str(entry["title"]["zh"])}
            clips.append(ExampleClip(path, titles))
    return clips
