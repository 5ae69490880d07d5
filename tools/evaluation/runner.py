"""Captions one pair writes for each clip under each setting, through the real loop, as JSON lines.

A line holds a clip in one language and the settings that were run then; lines of one clip add up, so that a run may be
stopped, resumed, and widened by settings later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.evaluation.facts import CueBook, plain_cues
from tools.evaluation.oracles import Oracle, OracleLink, WatchedDrafter
from tools.evaluation.settings import Setting
from ugsd_core.acoustic import AcousticCode
from ugsd_core.audio import Utterance
from ugsd_core.budget import BudgetKeeper
from ugsd_core.calibration.clips import load_clip
from ugsd_core.calibration.collect import MemoPair, collect_clip, finish_lines
from ugsd_core.calibration.progress import Progress
from ugsd_core.calibration.reading import label_index, named_label
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.decoding import decode
from ugsd_core.errors import AudioError
from ugsd_core.gate import first_threshold
from ugsd_core.gate_card import GateCards
from ugsd_core.messages import CaptionStarted
from ugsd_core.models.prompts import Language
from ugsd_core.options import DecodingOptions
from ugsd_core.result import CaptionResult, ResultBuilder

__all__ = ["Runner", "read_lines"]

Line = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Runner:
    """One pair, ready to caption.

    Attributes:
        settings: By language.
        path: JSON lines, appended.
    """

    pair: MemoPair
    cards: GateCards | None
    book: CueBook
    settings: dict[Language, list[Setting]]
    path: Path

    def run(self, clips: Sequence[tuple[CorpusClip, tuple[Language, ...]]]) -> list[str]:
        """Caption what is missing; returns a sentence for every clip that could not be read."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        finish_lines(self.path)
        done = {key(line): line for line in read_lines([self.path])}
        drafter = WatchedDrafter(self.pair.edge)
        drafter.gate_cards = self.cards
        link = OracleLink(self.pair.judge())
        oracle = Oracle(drafter, link)
        keepers: dict[tuple[str, str], BudgetKeeper] = {}
        skipped: list[str] = []
        with oracle.registered(), Progress("captioning", len(clips)) as progress:
            for clip, languages in clips:
                wanted = {language: self.missing(done, clip, language) for language in languages}
                if any(wanted.values()):
                    try:
                        utterance = load_clip(clip)
                    except AudioError as error:
                        skipped.append(f"{clip.corpus}/{clip.id}: {error}")
                    else:
                        for language, settings in wanted.items():
                            if settings:
                                known = done.get((clip.corpus, clip.id, language))
                                line = _Clip(self, clip, utterance, language, oracle, keepers).line(settings, known)
                                append(self.path, line)
                progress.step()
        return skipped

    def missing(self, done: dict[tuple[str, str, str], Line], clip: CorpusClip, language: Language) -> list[Setting]:
        """Settings that the clip was not captioned under yet. A kept budget depends on all clips before it."""
        line = done.get((clip.corpus, clip.id, language), {"settings": {}})
        return [s for s in self.settings[language] if line["settings"].get(s.name, {}).get("mark") != s.mark(language)]


class _Clip:
    """One clip in one language."""

    def __init__(
        self,
        runner: Runner,
        clip: CorpusClip,
        utterance: Utterance,
        language: Language,
        oracle: Oracle,
        keepers: dict[tuple[str, str], BudgetKeeper],
    ) -> None:
        self.runner = runner
        self.clip = clip
        self.utterance = utterance
        self.language = language
        self.oracle = oracle
        self.keepers = keepers
        self.code: AcousticCode = runner.pair.encode(utterance)
        self.cues = runner.book.measure(utterance, clip)

    def line(self, settings: Iterable[Setting], known: Line | None) -> Line:
        """The record of the clip under some settings."""
        made: Line = {
            "id": self.clip.id,
            "corpus": self.clip.corpus,
            "speaker": self.clip.speaker,
            "sex": self.clip.sex,
            "language": self.language,
            "label": label_index(self.clip.label),
        }
        if known is None:
            prompt = self.oracle.drafter.prompt_name(DecodingOptions(language=self.language), self.utterance.id)
            human = self.clip.references.get(self.language, ())
            alone = DecodingOptions(mode="edge", language=self.language)
            made |= {
                "cues": plain_cues(self.cues),
                "human": human[0] if human else None,
                "reference": self.runner.book.reference(self.clip, self.cues, self.language, prompt),
                "signals": collect_clip(self.runner.pair, self.clip, self.utterance, alone).to_dict(),
            }
        self.oracle.record = ClipRecord.from_dict((known or made)["signals"])
        made["settings"] = {setting.name: self.caption(setting) for setting in settings}
        return made

    def caption(self, setting: Setting) -> dict[str, Any]:
        """One setting's caption and counts."""
        options = setting.options.changed(language=self.language)
        if setting.kind != "plain":
            options = options.changed(gate=setting.kind)
        keeper = self.keeper(setting, options)
        result = self.fold(options, keeper)
        counts = result.counts
        ratios = result.ratios
        return {
            "mark": setting.mark(self.language),
            "family": setting.family,
            "caption": result.caption,
            "label": named_label(result.caption, self.language),
            "named": self.runner.book.read(result.caption, self.language, self.cues, self.clip.sex),
            "counts": {
                "drafted": counts["drafted"],
                "caption": counts["caption"],
                "blocks": counts["blocks"],
                "escalations": counts["escalations"],
                "ids_changed": counts["blocks_changed"],
                "meanings_changed": counts["meanings_changed"],
                "sent": round((ratios.transmission_rate or 0.0) * counts["drafted"]),
                "seen": round((ratios.exposure_rate or 0.0) * counts["caption"]),
                "put": counts["corrected"] + counts["bonus"],
            },
        }

    def keeper(self, setting: Setting, options: DecodingOptions) -> BudgetKeeper | None:
        """The setting's budget keeper, shared by all clips of the run."""
        if not setting.keeper or options.budget is None:
            return None
        name = (setting.name, self.language)
        if name not in self.keepers:
            first = first_threshold(options, self.oracle.drafter.gate_card(self.language))
            self.keepers[name] = BudgetKeeper(options.budget, first)
        return self.keepers[name]

    def fold(self, options: DecodingOptions, keeper: BudgetKeeper | None) -> CaptionResult:
        """Caption through the loop and fold its events."""
        drafter, link = self.oracle.drafter, self.oracle.link
        builder = ResultBuilder()
        builder.feed(
            CaptionStarted(
                0.0,
                self.utterance.id,
                self.utterance.duration_s,
                self.utterance.waveform_bytes,
                self.language,
                options.mode,
                options.to_dict(),
                {},
                drafter.info.vocabulary_size,
            )
        )
        for event in decode(self.code, self.utterance.id, drafter, link, options, keeper=keeper):
            builder.feed(event)
        return builder.result()


def key(line: Line) -> tuple[str, str, str]:
    """What a clip is recognised by."""
    return line["corpus"], line["id"], line["language"]


def append(path: Path, line: Line) -> None:
    """Add one line and flush it."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def read_lines(paths: Iterable[Path]) -> list[Line]:
    """The clips of some files; lines of one clip are joined, the later settings winning."""
    found: dict[tuple[str, str, str], Line] = {}
    for path in paths:
        for text in path.read_text(encoding="utf-8").split("\n")[:-1]:
            line = json.loads(text)
            known = found.setdefault(key(line), {"settings": {}})
            settings = known["settings"] | line.pop("settings")
            known |= line
            known["settings"] = settings
    return list(found.values())
