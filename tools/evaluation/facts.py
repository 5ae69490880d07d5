"""What is known of a clip before anybody captions it: measured cues, and the reference that the grammar writes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ugsd_core.audio import Utterance
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.errors import OptionError
from ugsd_core.lexicon import cues_in
from ugsd_core.training.cues import CUE_NAMES, Cues, measure, named_cues, supports
from ugsd_core.training.grammar import caption

__all__ = ["CueBook", "plain_cues"]


class CueBook:
    """Measures clips, and says which named cues the measurement supports.

    Args:
        thresholds: ``cues.json`` of an edge checkpoint, by sex.

    Raises:
        OptionError: If swift-f0 is not installed.
    """

    def __init__(self, thresholds: Path) -> None:
        try:
            from swift_f0 import SwiftF0
        except ImportError as error:
            raise OptionError("measuring cues needs swift-f0; install it with: pip install -e '.[train]'") from error
        self._tracker = SwiftF0(threads=1)
        record = json.loads(thresholds.read_text(encoding="utf-8")) if thresholds.is_file() else {}
        #: Sex to cue to quantiles; empty for a checkpoint without thresholds of this form.
        self.tables: dict[str, dict[str, list[float]]] = record.get("sexes", {}) if record.get("schema") == 2 else {}

    def measure(self, utterance: Utterance, clip: CorpusClip) -> Cues:
        """All cues of a clip."""
        return measure(utterance.samples, clip.transcript, self._tracker)

    def read(self, text: str, language: str, cues: Cues, sex: str) -> dict[str, list[Any]]:
        """Cues that a caption names: name to ``[level, supported]``; supported is None where nothing was measured."""
        table = self.tables.get(sex)
        named = {name: level for name, level in cues_in(text, language).items() if name in CUE_NAMES}
        return {
            name: [level, None if table is None else supports(cues, name, level, table)]
            for name, level in named.items()
        }

    def reference(self, clip: CorpusClip, cues: Cues, language: str, prompt: str | None) -> str | None:
        """The grammar's caption of a clip in the wording that was asked for; None without label or thresholds."""
        table = self.tables.get(clip.sex)
        if clip.label is None or table is None:
            return None
        number = (prompt or "").removeprefix("worded-")
        return caption(
            clip.label, clip.strong, named_cues(cues, table), language, int(number) if number.isdigit() else 1
        )


def plain_cues(cues: Cues) -> dict[str, float | None]:
    """Measured cues for a record; what could not be measured is None."""
    return {name: round(value, 4) if math.isfinite(value) else None for name, value in asdict(cues).items()}
