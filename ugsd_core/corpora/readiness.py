"""What a corpus is good for before anything is run: how many clips can be captioned and scored, and why others not.

`preflight` counts and groups; a `Finding` is a kind with figures, so that a page can say it in its own language, and
carries the English sentences besides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ugsd_core.corpora.clip import Corpus, CorpusClip, ProblemKind

__all__ = ["EXAMPLES", "Example", "Finding", "FindingKind", "Preflight", "main_language", "preflight"]

EXAMPLES = 5
#: What is said of a corpus as a whole, beside the kinds of its problems:
#:
#: - ``nothing_usable``: no clip can be captioned and scored
#: - ``no_audio``: not one recording was found
#: - ``one_clip``: no interval and no CIDEr-D can be given
#: - ``other_language``: clips whose captions are in the other language alone
#: - ``labels_only``: usable clips with an emotion label and no caption in the language
FindingKind = ProblemKind | Literal["nothing_usable", "no_audio", "one_clip", "other_language", "labels_only"]

_NAMES = {"en": "English", "zh": "Chinese"}
_ORDER: tuple[FindingKind, ...] = (
    *("nothing_usable", "no_audio", "missing_audio", "outside_folder", "other_language", "no_reference"),
    *("unreadable_row", "no_id", "duplicate_id", "unknown_language", "unknown_emotion", "one_clip", "labels_only"),
    *("uninformative", "language_mismatch", "ambiguous_audio", "encoding"),
)
#: Kind to what is there (one, several) and how it is mended; figures are filled in.
_WORDS: dict[FindingKind, tuple[str, str, str]] = {
    "nothing_usable": (
        "No clip can be captioned and scored in {name}.",
        "No clip can be captioned and scored in {name}.",
        "A clip needs a recording, and a caption in {name} or an emotion label.",
    ),
    "no_audio": (
        "Not one recording was found.",
        "Not one recording was found.",
        "Put the recordings into the corpus folder, or name the folder that holds them.",
    ),
    "missing_audio": (
        "1 recording is missing.",
        "{n} recordings are missing.",
        "Put them into the corpus folder, or name the folder that holds them.",
    ),
    "outside_folder": (
        "1 recording is not in the corpus folder.",
        "{n} recordings are not in the corpus folder.",
        "Put them there and write paths that begin there.",
    ),
    "other_language": (
        "1 clip has a caption in {other} alone.",
        "{n} clips have captions in {other} alone.",
        "They count when {other} is evaluated.",
    ),
    "no_reference": (
        "1 clip has nothing to be scored by in some language.",
        "{n} clips have nothing to be scored by in some language.",
        "Add a caption or an emotion label.",
    ),
    "unreadable_row": (
        "1 row could not be read.",
        "{n} rows could not be read.",
        "Mend these lines in the table.",
    ),
    "no_id": ("1 row has no id.", "{n} rows have no id.", "Give every clip an id of its own."),
    "duplicate_id": (
        "1 row repeats the id of another; the first counts.",
        "{n} rows repeat the id of another; the first of each counts.",
        "Rename or remove them.",
    ),
    "unknown_language": (
        "1 caption is in a language that is not scored.",
        "{n} captions are in a language that is not scored.",
        "Name the column caption_en or caption_zh if they are in English or Chinese.",
    ),
    "unknown_emotion": (
        "1 clip has an emotion that is none of the labels here.",
        "{n} clips have emotions that are none of the labels here.",
        "They count without a label; map the emotion to a label of docs/corpora.md if there is one.",
    ),
    "one_clip": (
        "Only 1 clip is usable.",
        "Only 1 clip is usable.",
        "Intervals, comparisons and CIDEr-D need at least 2.",
    ),
    "labels_only": (
        "1 usable clip has an emotion label and no caption in {name}.",
        "{n} usable clips have an emotion label and no caption in {name}.",
        "They count for the emotion scores alone.",
    ),
    "uninformative": (
        "1 reference says that nothing can be told from the voice.",
        "{n} references say that nothing can be told from the voice.",
        "They stay in, and no caption can be like them; leave them out to see what the others say.",
    ),
    "language_mismatch": (
        "1 caption is in another language than its row says.",
        "{n} captions are in another language than their rows say.",
        "They were taken as what they are written in; name the column caption_en or caption_zh.",
    ),
    "ambiguous_audio": (
        "1 clip has several recordings of its name.",
        "{n} clips have several recordings of their name.",
        "One was taken; remove the others to be sure.",
    ),
    "encoding": (
        "1 file is not in UTF-8.",
        "{n} files are not in UTF-8.",
        "It was read all the same; save it as UTF-8 to be sure of every character.",
    ),
}


@dataclass(frozen=True, slots=True)
class Example:
    """One case of a finding: the clip or the line, and a sentence."""

    clip: str = ""
    row: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that a person should know of a corpus.

    Attributes:
        count: Clips, rows or files concerned.
        lost: Clips among them that are not usable, each counted under one kind only.
        figures: What ``message`` and ``remedy`` fill in beside the count: names of languages.
        message, remedy: English: what is so, and how it is mended.
        examples: At most `EXAMPLES`.
    """

    kind: FindingKind
    count: int
    lost: int
    message: str
    remedy: str
    figures: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a corpus is good for in a language.

    Attributes:
        clips: All clips with an id of their own.
        with_audio, with_reference, with_label: Of them, in this language.
        usable: With audio, and with a reference or a label.
        uninformative: Usable clips whose reference says that nothing can be told from the voice.
        findings: The gravest first.
    """

    corpus: str
    format: str
    language: str
    clips: int
    with_audio: int
    with_reference: int
    with_label: int
    usable: int
    uninformative: int
    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether there is anything to evaluate."""
        return self.usable > 0

    @property
    def summary(self) -> str:
        """One English sentence."""
        noun = "clip" if self.clips == 1 else "clips"
        return f"{self.usable:,} of {self.clips:,} {noun} can be captioned and scored in {_NAMES[self.language]}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"ready": self.ready, "summary": self.summary}


def main_language(corpus: Corpus) -> Literal["en", "zh"]:
    """The language of most references; English if there are as many of both, or none."""
    counts = Counter(language for clip in corpus.clips for language in clip.references)
    return "zh" if counts["zh"] > counts["en"] else "en"


def preflight(corpus: Corpus, language: Literal["en", "zh"], *, examples: int = EXAMPLES) -> Preflight:
    """Count and group what can be used and what cannot."""
    usable = {clip.id for clip in corpus.usable(language)}
    with_audio = sum(clip.path is not None for clip in corpus.clips)
    empty = {problem.clip for problem in corpus.problems if problem.kind == "uninformative"}
    cases = _cases(corpus, language, usable, with_audio)
    outside = {problem.clip for problem in corpus.problems if problem.kind == "outside_folder"}
    lost = Counter(_reason(clip, outside, language) for clip in corpus.clips if clip.id not in usable)
    findings = [_finding(kind, cases[kind], lost[kind], language, examples) for kind in _ORDER if cases.get(kind)]
    return Preflight(
        corpus=corpus.name,
        format=corpus.format,
        language=language,
        clips=len(corpus.clips),
        with_audio=with_audio,
        with_reference=sum(bool(clip.references.get(language)) for clip in corpus.clips),
        with_label=sum(clip.label is not None for clip in corpus.clips),
        usable=len(usable),
        uninformative=len(usable & empty),
        findings=tuple(findings),
    )


def _cases(corpus: Corpus, language: str, usable: set[str], with_audio: int) -> dict[FindingKind, list[Example]]:
    found: dict[FindingKind, list[Example]] = {}
    for problem in corpus.problems:
        found.setdefault(problem.kind, []).append(Example(problem.clip, problem.row, problem.message))
    told = {(problem.kind, problem.clip) for problem in corpus.problems}
    for clip in corpus.clips:  # a corpus made in memory has no reader that says so
        if clip.path is None and not {("missing_audio", clip.id), ("outside_folder", clip.id)} & told:
            found.setdefault("missing_audio", []).append(Example(clip.id))
        if not clip.references and clip.label is None and ("no_reference", clip.id) not in told:
            found.setdefault("no_reference", []).append(Example(clip.id))
    if not usable:
        found["nothing_usable"] = [Example()]
    if corpus.clips and not with_audio:
        found["no_audio"] = [Example()]
    if len(usable) == 1:
        found["one_clip"] = _named(clip for clip in corpus.clips if clip.id in usable)
    found["other_language"] = _named(c for c in corpus.clips if c.references and not c.references.get(language))
    found["labels_only"] = _named(
        clip for clip in corpus.clips if clip.id in usable and not clip.references.get(language)
    )
    return found


def _named(clips: Iterable[CorpusClip]) -> list[Example]:
    return [Example(clip.id) for clip in clips]


def _reason(clip: CorpusClip, outside: set[str], language: str) -> FindingKind:
    """The one kind under which a clip that is not usable is counted as lost."""
    if clip.path is None:
        return "outside_folder" if clip.id in outside else "missing_audio"
    return "other_language" if clip.references and not clip.references.get(language) else "no_reference"


def _finding(kind: FindingKind, cases: list[Example], lost: int, language: str, examples: int) -> Finding:
    figures = {"name": _NAMES[language], "other": _NAMES["zh" if language == "en" else "en"]}
    one, several, remedy = _WORDS[kind]
    count = len(cases)
    message = (one if count == 1 else several).format(n=f"{count:,}", **figures)
    shown = tuple(case for case in cases[:examples] if case != Example())
    return Finding(kind, count, lost, message, remedy.format(**figures), figures, shown)
