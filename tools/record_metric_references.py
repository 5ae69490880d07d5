"""Record what independent implementations give for a fixed set of caption pairs; the tests compare ours with it.

    pip install sacrebleu nltk rouge-score
    pip install --no-deps --target FOLDER pycocoevalcap==1.2
    PYTHONPATH=.:FOLDER python -m tools.record_metric_references --wordnet /usr/share/wordnet

It writes ``pairs-LANGUAGE.jsonl`` and ``values-LANGUAGE.json`` to ``tests/metrics/data``. Nothing of
`ugsd_core.metrics` is used: texts are tokenised here, sacreBLEU, rouge-score and NLTK are called as their manuals
say, METEOR reads the whole WordNet with NLTK's own reader (``--wordnet``: the files of WordNet 3.0 with
``index.sense``, such as the Debian packages ``wordnet-base`` and ``wordnet-sense-index``), and BLEU with brevity
penalty and CIDEr-D come from pycocoevalcap, whose CIDEr is CIDEr-D (it cuts and penalises length). Its Java tools are
not used.

The captions are made by the grammar of the embedded pair (`ugsd_core.training.grammar`) with other cues, labels and
wordings as references, changed at random places, and by hand for the odd cases.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.training.grammar import caption

TARGET = Path(__file__).resolve().parents[1] / "tests/metrics/data"
CLIPS = 240
#: Other forms and other words, so that stems and synonyms have something to find.
OTHER = {
    "sounds": ("sounded", "seems"),
    "voice": ("voices", "tone"),
    "speaker": ("speakers", "person"),
    "speaks": ("spoke", "talks"),
    "angry": ("angrily", "furious"),
    "happy": ("happily", "glad"),
    "sad": ("sadly", "sorrowful"),
    "calm": ("calmly", "tranquil"),
    "fast": ("faster", "quick"),
    "slow": ("slowly", "sluggish"),
    "high": ("higher", "elevated"),
    "low": ("lower", "deep"),
    "pauses": ("pause", "pausing", "breaks"),
    "very": ("really", "extremely"),
}
CUES = ("pitch", "pitch_range", "rate", "brightness", "pauses")

ODD = {
    "en": [
        ("", ["The speaker sounds sad."]),
        ("sad", ["The speaker sounds sad."]),
        ("Sad.", ["sad"]),
        ("The speaker sounds sad.", ["The speaker sounds sad."]),
        ("sad sad sad sad sad sad", ["The sad man is sad.", "A sad voice, sad words."]),
        (
            "The man's voice isn't calm; he can't hide his anger!",
            ["The man's voice is not calm: he cannot hide anger."],
        ),
        (
            'She says "go away" (twice) in a low-pitched, half-whispered voice…',
            ["A low, whispered voice says: go away."],
        ),
        ("The speaker says 你好 in a cheerful tone", ["A cheerful voice says hello (你好)."]),
        ("THE SPEAKER IS VERY ANGRY", ["the speaker is very angry"]),
        ("He speaks at 3.5 words per second, 20% faster.", ["He speaks fast, about 3.5 words a second."]),
        ("no word in common", ["Quiet sobbing; tears."]),
        (
            "The woman talks rapidly, almost shouting",
            ["Fury. The lady speaks quickly, nearly yells.", "Angry."],
        ),
        (
            "In the audio, the tone is raised. She laughs. It seems she is delighted. What do you think?",
            [
                "In the audio, her tone rises at first: she isn't satisfied, and she's impatient. That may mean that "
                "something serious is talked about, and that she has lost heart a little. Then she laughs while she "
                "speaks; one hears joy, and a touch of mockery. The sentence seems self-deprecating, or made to turn a "
                "hard subject light."
            ],
        ),
        ("an un-\nbroken\tline  with   spaces ", ["An unbroken line with spaces."]),
        ("a", ["a b c d e f g h i j"]),
        ("a b c d e f g h i j", ["a"]),
    ],
    "zh": [
        ("", ["说话人听起来很悲伤。"]),
        ("悲", ["说话人听起来很悲伤。"]),
        ("悲伤。", ["悲伤"]),
        ("说话人听起来很悲伤。", ["说话人听起来很悲伤。"]),
        ("很很很很很很难过", ["他很难过,非常难过。", "难过的声音"]),
        ("他的声音不平静；他掩饰不住愤怒！", ["他的声音并不平静：他难掩怒气。"]),
        ("她用低沉的、半耳语的声音说“走开”（两次）……", ["低声耳语：走开。"]),
        ("语气OK，说了 hello 两次，speed 很快", ["语气ok，用英语打招呼（Hello），语速快"]),
        ("语速为每秒3.5字，快了20%。", ["语速快，每秒约3.5个字。"]),
        ("毫无相同", ["轻声哭泣，眼泪。"]),
        ("女子说得很急，几乎在喊", ["愤怒。女士语速快，近乎吼叫。", "她生气了"]),
        (
            "在音频中，语气上扬。她笑了。看起来很高兴。你觉得呢？",
            [
                "在音频中，她一开始声音很高，听起来不满意，也没有耐心，说的大概是一件要紧的事，心里有点灰心。"
                "后来她一边笑一边说，让人听出高兴和一点点嘲弄。这句话像是在自嘲，好让沉重的话题轻松一些。"
            ],
        ),
        ("中 间 有 空 格\n和换行", ["中间有空格和换行"]),
        ("一", ["一二三四五六七八九十"]),
        ("一二三四五六七八九十", ["一"]),
        ("聲音很開心", ["声音很开心"]),
    ],
}


# ── Pairs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def pairs_of(language: str) -> list[dict[str, Any]]:
    """Rows of ``id``, ``hypothesis``, ``references``; the same for the same program."""
    rng = random.Random(f"{language} pairs")
    rows = []
    for _ in range(CLIPS - len(ODD[language])):
        label = rng.choice(EMOTION_LABELS)
        references = [_said(label, language, rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        if rng.random() < 0.2:
            references[0] = " ".join([references[0], _said(rng.choice(EMOTION_LABELS), language, rng)])
        hypothesis = _said(label if rng.random() < 0.6 else rng.choice(EMOTION_LABELS), language, rng)
        rows.append((_changed(hypothesis, language, rng), references))
    rows += ODD[language]
    return [{"id": f"{language}-{n:03}", "hypothesis": h, "references": r} for n, (h, r) in enumerate(rows)]


def _said(label: str, language: str, rng: random.Random) -> str:
    cues = {cue: rng.choice(("high", "low")) for cue in CUES if rng.random() < 0.5}
    if cues.get("pauses") == "low":  # nobody says so
        del cues["pauses"]
    return caption(label, rng.random() < 0.3, cues, language, rng.randint(1, 6))


def _changed(text: str, language: str, rng: random.Random) -> str:
    """Some words lost, doubled, moved or put otherwise, as captions of models have them."""
    parts = text.split(" ") if language == "en" else list(text)
    found: list[str] = []
    for part in parts:
        luck = rng.random()
        word = part.strip(".,;:").lower()
        if word in OTHER and rng.random() < 0.5:
            part = part.lower().replace(word, rng.choice(OTHER[word]))
        found += [] if luck < 0.05 else [part, part] if luck < 0.08 else [part]
    if len(found) > 4 and rng.random() < 0.2:
        cut = rng.randrange(1, len(found) - 1)
        found = found[cut:] + found[:cut]
    return (" " if language == "en" else "").join(found)


# ── Tokens, written down once more ────────────────────────────────────────────────────────────────────────────────


def english_words(text: str) -> list[str]:
    """``word_tokenize`` of the lower-case text, with a Punkt model that was not trained."""
    from nltk.tokenize import NLTKWordTokenizer, PunktSentenceTokenizer

    found: list[str] = []
    for sentence in PunktSentenceTokenizer().tokenize(text.lower()):
        found.extend(NLTKWordTokenizer().tokenize(sentence))
    return found


def characters(text: str) -> list[str]:
    """Every character that can be seen, lower case."""
    return list("".join(text.lower().split()))


def without_marks(tokens: Sequence[str]) -> str:
    """Tokens with a letter or digit, between spaces, as pycocoevalcap wants them."""
    return " ".join(token for token in tokens if any(c.isalpha() or c.isdigit() or c.isnumeric() for c in token))


class CharacterTokenizer:
    """What rouge-score calls for Chinese."""

    def tokenize(self, text: str) -> list[str]:
        """Characters."""
        return characters(text)


# ── Values ────────────────────────────────────────────────────────────────────────────────────────────────────────


def sacrebleu_values(rows: Sequence[dict[str, Any]], language: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Corpus and sentence scores of sacreBLEU, called as its manual says."""
    from sacrebleu.metrics.bleu import BLEU

    tokenize = "zh" if language == "zh" else "13a"
    streams = _streams([row["references"] for row in rows])
    metric, sentence = BLEU(tokenize=tokenize), BLEU(tokenize=tokenize, effective_order=True)
    whole = metric.corpus_score([row["hypothesis"] for row in rows], streams)
    each = [sentence.sentence_score(row["hypothesis"], row["references"]) for row in rows]
    corpus = {"paper_bleu1": whole.precisions[0], "paper_bleu4": whole.score}
    per_clip = {"paper_bleu1": [s.precisions[0] for s in each], "paper_bleu4": [s.score for s in each]}
    return corpus | {"sacrebleu_signature": str(metric.get_signature())}, per_clip


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """The first references of all clips, the second ones …; None where a clip has no more."""
    most = max(map(len, references))
    return [[texts[n] if n < len(texts) else None for texts in references] for n in range(most)]


def coco_values(rows: Sequence[dict[str, Any]], language: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """BLEU and CIDEr-D of pycocoevalcap."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from sacrebleu.metrics.bleu import BLEU

    tokens = english_words if language == "en" else characters
    references = {row["id"]: [without_marks(tokens(r)) for r in row["references"]] for row in rows}
    hypotheses = {row["id"]: [without_marks(tokens(row["hypothesis"]))] for row in rows}
    bleus, bleu_clips = Bleu(4).compute_score(references, hypotheses, verbose=0)
    cider, cider_clips = Cider().compute_score(references, hypotheses)
    corpus = {"bleu1": 100 * bleus[0], "bleu4": 100 * bleus[3], "cider_d": float(cider)}
    # pycocoevalcap keeps the lengths to itself; sacreBLEU, told not to tokenise, says them.
    streams = _streams([list(references[row["id"]]) for row in rows])
    lengths = BLEU(tokenize="none", force=True).corpus_score([hypotheses[row["id"]][0] for row in rows], streams)
    corpus |= {"bleu_bp": lengths.bp, "length_ratio": lengths.sys_len / lengths.ref_len}
    per_clip = {
        "bleu1": [100 * value for value in bleu_clips[0]],
        "bleu4": [100 * value for value in bleu_clips[3]],
        "cider_d": [float(value) for value in cider_clips],
    }
    return corpus, per_clip


def rouge_values(rows: Sequence[dict[str, Any]], language: str) -> dict[str, list[float]]:
    """ROUGE-L of rouge-score."""
    from rouge_score.rouge_scorer import RougeScorer

    scorers = (
        {"rougeL": RougeScorer(["rougeL"], tokenizer=CharacterTokenizer())}
        if language == "zh"
        else {
            "rougeL": RougeScorer(["rougeL"], use_stemmer=True),
            "rougeL_unstemmed": RougeScorer(["rougeL"], use_stemmer=False),
        }
    )
    return {
        name: [
            100 * max(scorer.score(r, row["hypothesis"])["rougeL"].fmeasure for r in row["references"]) for row in rows
        ]
        for name, scorer in scorers.items()
    }


def meteor_values(rows: Sequence[dict[str, Any]], language: str) -> dict[str, list[float]]:
    """METEOR of NLTK; in English also with other tokens, to show what they are worth."""
    from nltk.stem.api import StemmerI
    from nltk.tokenize import NLTKWordTokenizer, wordpunct_tokenize
    from nltk.translate.meteor_score import meteor_score

    class Same(StemmerI):  # type: ignore[misc]
        def stem(self, token: str) -> str:
            return token

    class Nothing:
        def synsets(self, word: str) -> list[Any]:
            return []

    def scores(tokens: Callable[[str], list[str]], **how: Any) -> list[float]:
        return [
            100 * meteor_score([tokens(r) for r in row["references"]], tokens(row["hypothesis"]), **how) for row in rows
        ]

    if language == "zh":
        return {"meteor_exact_zh": scores(characters, stemmer=Same(), wordnet=Nothing())}
    return {
        "meteor": scores(english_words),
        "meteor with text.split()": scores(lambda text: text.lower().split()),
        "meteor with wordpunct_tokenize": scores(lambda text: wordpunct_tokenize(text.lower())),
        "meteor with preserve_line": scores(lambda text: NLTKWordTokenizer().tokenize(text.lower())),
    }


def install_wordnet(folder: Path, scratch: Path) -> str:
    """Let NLTK find a WordNet; returns its version.

    NLTK refuses links, so the files are copied; ``lexnames``, which Debian lacks, is made up.
    """
    import nltk
    from nltk.corpus import wordnet

    place = scratch / "corpora/wordnet"
    place.mkdir(parents=True)
    for path in [*folder.glob("data.*"), *folder.glob("index.*"), *folder.glob("*.exc")]:
        shutil.copy(path.resolve(), place / path.name)
    # Names of the files that synsets come from; METEOR never asks for them.
    lines = "".join(f"{number:02}\tfile.{number}\t1\n" for number in range(45))
    (place / "lexnames").write_text(lines, encoding="utf-8")
    nltk.data.path.insert(0, str(scratch))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no other languages are there
        wordnet.ensure_loaded()
    return str(wordnet.get_version())


def main() -> None:
    """Write pairs and values of both languages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, required=True, help="folder with data.noun, index.noun, index.sense …")
    folder = parser.parse_args().wordnet
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        wordnet = install_wordnet(folder, Path(scratch))
        for language in ("en", "zh"):
            rows = pairs_of(language)
            corpus, per_clip = sacrebleu_values(rows, language)
            coco, coco_clips = coco_values(rows, language)
            means = rouge_values(rows, language) | meteor_values(rows, language)
            corpus |= coco | {name: sum(values) / len(values) for name, values in means.items()}
            per_clip |= coco_clips | {name: values for name, values in means.items() if " " not in name}
            packages = ("sacrebleu", "nltk", "rouge-score", "pycocoevalcap")
            made = {"by": "tools/record_metric_references.py", "wordnet": wordnet}
            made |= {package: version(package) for package in packages}
            found = {"made": made, "corpus": corpus, "per_clip": per_clip}
            (TARGET / f"values-{language}.json").write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (TARGET / f"pairs-{language}.jsonl").write_text(text, encoding="utf-8", newline="\n")
            print(f"{language}: {len(rows)} pairs; " + ", ".join(f"{k} {v}" for k, v in corpus.items()))


if __name__ == "__main__":
    main()
