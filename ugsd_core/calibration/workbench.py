"""A calibration from folders to files: what ``ugsd calibrate`` does."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugsd_core.calibration.calibration import Calibration, calibrate
from ugsd_core.calibration.clips import draw, read_clips
from ugsd_core.calibration.collect import MemoPair, collect
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.calibration.report import curve_pictures, markdown
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.errors import OptionError
from ugsd_core.gate_card import GateCards
from ugsd_core.lexicon import label_words
from ugsd_core.models.prompts import Language

__all__ = ["Job", "fingerprint", "labelled", "run_job"]

#: Files of a checkpoint folder, beside its weights, that decide what it drafts or judges.
SETTINGS = ("ugsd.json", "tokenizer.json", "config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One calibration.

    Attributes:
        budgets: Language to the ρ that the card's own threshold keeps.
        clips: At most so many of each corpus; None takes all.
        out: Folder for records, report and pictures.
        write: Put ``gate.json`` into the edge checkpoint.
    """

    edge: Path
    verifier: Path
    data: Path
    split: str
    languages: tuple[Language, ...]
    corpora: tuple[str, ...]
    budgets: Mapping[str, float]
    clips: int | None
    isotonic: bool
    mc_dropout_samples: int
    draws: int
    out: Path
    write: bool


def fingerprint(*folders: Path, also: Sequence[Path] = ()) -> str:
    """Twelve hex digits over what some checkpoints are and the emotion tables: what was made by others is not used.

    Args:
        folders: Checkpoint folders.
        also: Further files that matter; a missing one counts as empty.
    """
    paths = [
        path for folder in folders for path in (*sorted(folder.glob("*.safetensors")), *(folder / n for n in SETTINGS))
    ]
    digest = hashlib.sha256()
    for path in (*paths, *also):
        digest.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    for language in ("en", "zh"):
        digest.update(json.dumps(dict(label_words(language)), sort_keys=True).encode())
    return digest.hexdigest()[:12]


def labelled(clips: Sequence[CorpusClip], say: Any) -> list[CorpusClip]:
    """Clips of the corpora that name emotions; what is left out is said.

    Raises:
        OptionError: If none does.
    """
    known = {clip.corpus for clip in clips if clip.label is not None}
    for corpus in dict.fromkeys(clip.corpus for clip in clips):
        if corpus not in known:
            say(f"{corpus} names no emotions and is left out")
    if not known:
        raise OptionError("no clip has an emotion label that is known here; fill the column 'emotion' of the manifest")
    return [clip for clip in clips if clip.corpus in known]


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def run_job(job: Job) -> dict[str, Any]:
    """Collect, fit, report, and write the card if asked to.

    Returns:
        A summary: ``report``, ``card`` (path or None) and a few figures a language.

    Raises:
        OptionError, CheckpointError, HandshakeRefused: With one sentence for a person.
    """
    clips = draw(labelled(read_clips(job.data, job.split, job.corpora, _say), _say), job.clips)
    pair = MemoPair.load(job.edge, job.verifier)
    marks = f"-mc{job.mc_dropout_samples}" if job.mc_dropout_samples else ""
    path = job.out / f"records-{fingerprint(job.edge, job.verifier)}{marks}.jsonl"
    skipped: list[str] = []
    records = collect(pair, clips, job.languages, path, mc_dropout_samples=job.mc_dropout_samples, skipped=skipped)
    for sentence in skipped:
        _say(f"skipped {sentence}")
    found = [_calibrate(job, records, language) for language in job.languages]
    about = {
        "edge": pair.edge.name,
        "verifier": pair.verifier.name,
        "split": job.split,
        "data": job.data.resolve().name,
        "skipped": skipped,
    }
    cards = GateCards(pair.edge.name, pair.verifier.name, {entry.language: entry.card for entry in found})
    written = cards.write(job.edge) if job.write else None
    cards.write(job.out)
    _write_report(job.out, found, about)
    return {
        "report": str(job.out / "report.md"),
        "card": str(written) if written else None,
        "languages": {entry.language: _summary(entry) for entry in found},
    }


def _calibrate(job: Job, records: Sequence[ClipRecord], language: Language) -> Calibration:
    own = [record for record in records if record.language == language]
    if not own:
        raise OptionError(f"no clip could be captioned in {language!r}")
    _say(f"fitting and measuring {language} …")
    return calibrate(own, budget=job.budgets[language], isotonic=job.isotonic, draws=job.draws)


def _write_report(out: Path, found: Sequence[Calibration], about: dict[str, Any]) -> None:
    figures = [entry.figures for entry in found]
    (out / "report.md").write_text(markdown(figures, about), encoding="utf-8")
    text = json.dumps({"about": about, "languages": figures}, ensure_ascii=False, indent=1, allow_nan=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    for entry in figures:
        for name, picture in curve_pictures(entry).items():
            (out / name).write_text(picture, encoding="utf-8")


def _summary(found: Calibration) -> dict[str, Any]:
    card, figures = found.card, found.figures
    return {
        "signals": list(card.signals),
        "auroc_out_of_fold": figures["auroc_out_of_fold"]["value"],
        "ece_out_of_fold": figures["ece"]["out_of_fold"],
        "acceptance": next(row["name"] for row in figures["fusion"] if row["chosen"]),
        "budget": card.budget,
        "threshold": card.threshold,
    }
