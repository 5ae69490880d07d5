"""Which tokens name an emotion: from a distribution over a vocabulary to one over labels.

The lexicon knows emotion *words*; a model knows *tokens*. `EmotionTokens` joins the two for one tokenizer and one
language, so that the probability of a label is the sum over its words, however each of them is cut. `EmotionText`
follows one caption and says of each position what it has to do with an emotion word.

Everything here is numpy on a few hundred ids: both sides of the system use it, and neither needs torch for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ugsd_core.lexicon import EMOTION_LABELS, label_words, left_out_words
from ugsd_core.uncertainty import Distribution

__all__ = [
    "COULD_HOLD",
    "EmotionPlace",
    "EmotionText",
    "EmotionTokens",
    "fuse_labels",
    "fused_shares",
    "label_entropy_nats",
    "normalise_labels",
    "shares",
]

Labels = NDArray[np.float32]

#: What a position has to do with an emotion word: its token begins one, belongs to one that began before, or is
#: another word where an emotion word had a probability of at least `COULD_HOLD`.
EmotionPlace = Literal["begins", "continues", "could"]

#: From this total probability of emotion words on, a position *could hold* one.
COULD_HOLD = 0.2

#: A first token must spell this many English letters, and more than this share of the word, to stand for it.
MIN_LETTERS = 4
MIN_SHARE = 0.5

#: First pieces that are ordinary words themselves (emotion|less, list|less, down|cast …).
ORDINARY_PIECES = frozenset({"emotion", "list", "heart", "tear", "down", "hope", "help", "wear", "compos", "compose"})

#: Characters that begin words of feeling and hardly anything else. Others say too little: 高 begins 高兴 and 高亢,
#: and 着, of 着急, stands behind every second verb.
FEELING_CHARACTERS = frozenset("悲哀忧伤沮愤怒恼怨恨恐惧怕慌焦惶畏惊诧喜悦愉欣厌憎嫌鄙蔑倦")

_PLAIN = 1.0 - COULD_HOLD + 1e-3  # of a token more probable than this the others cannot reach COULD_HOLD
_FLOOR = 1e-9  # stands for probability 0 under a logarithm


# ── Distributions over labels ─────────────────────────────────────────────────────────────────────────────────────


def shares(masses: ArrayLike) -> list[float]:
    """Label masses (9,) divided by their sum; uniform where there is no mass at all.

    In plain floats: behind a forward pass, which leaves no cache warm, one array operation costs more than nine floats.
    """
    values = _floats(masses)
    total = math.fsum(values)
    return [value / total for value in values] if total > 0.0 else [1.0 / len(values)] * len(values)


def normalise_labels(masses: ArrayLike) -> Labels:
    """`shares` as an array (9,)."""
    return np.array(shares(masses), dtype=np.float32)


def label_entropy_nats(masses: ArrayLike) -> float:
    """Entropy over labels of normalised label masses (9,), in 0…ln 9: the *semantic entropy* of a position."""
    return max(0.0, -math.fsum([p * math.log(p) for p in shares(masses) if p > 0.0]))


def fused_shares(*parts: tuple[ArrayLike, float]) -> list[float]:
    """Normalised weighted geometric mean of distributions over labels.

    Args:
        parts: ``(masses (9,), weight ≥ 0)``; the masses need not be normalised, a weight of 0 leaves a part out.

    Returns:
        ``∏ p_i ** weight_i``, normalised: 9 values that sum to 1.
    """
    logs = [[weight * math.log(max(p, _FLOOR)) for p in shares(masses)] for masses, weight in parts]
    totals = [math.fsum(label) for label in zip(*logs, strict=True)]
    best = max(totals)
    return shares([math.exp(total - best) for total in totals])


def fuse_labels(*parts: tuple[ArrayLike, float]) -> Labels:
    """`fused_shares` as an array (9,)."""
    return np.array(fused_shares(*parts), dtype=np.float32)


def _floats(values: ArrayLike) -> Sequence[float]:
    if isinstance(values, list | tuple):
        return values
    floats: list[float] = np.asarray(values).tolist()
    return floats


# ── Tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=2)
def _label_words(language: str) -> dict[str, int]:
    """Emotion words of a language, lower case, and the index of their label."""
    return {word: EMOTION_LABELS.index(label) for word, label in label_words(language).items()}


@lru_cache(maxsize=2)
def _prefixes(language: str) -> frozenset[str]:
    """Every beginning of an emotion word, whole words included."""
    return frozenset(word[:n] for word in _label_words(language) for n in range(1, len(word) + 1))


class EmotionTokens:
    """Emotion words in the ids of one tokenizer.

    A word that is one token stands for its label. Of a word that is cut, the first token does, if that is clear: it
    must not begin a word of another label or of none, it must spell four letters and more than half of the word (in
    Chinese one whole character of feeling), and end inside the word (*taken* of *taken aback* is an ordinary word).
    Other words of several tokens have no probability here; `EmotionText` finds them when they are complete.

    Built once for a tokenizer and a language; read-only afterwards, so that threads may share it.

    Args:
        tokenizer: A transformers tokenizer.
        language: ``"en"`` or ``"zh"``.
        vocabulary_size: Size of the shared vocabulary; ids beyond it have no logits.

    Raises:
        OptionError: If the language has no emotion words.
    """

    def __init__(self, tokenizer: Any, language: str, vocabulary_size: int) -> None:
        self.language = language
        #: Index into `EMOTION_LABELS` of the label that a token begins a word of.
        self.labels: Mapping[int, int] = _first_tokens(tokenizer, language, vocabulary_size)
        self._ids = np.array(sorted(self.labels), dtype=np.int64)
        # One matrix product adds up all labels at once; at a few hundred ids that beats nine sums.
        self._sums = np.zeros((len(self._ids), len(EMOTION_LABELS)), dtype=np.float32)
        for row, token_id in enumerate(self._ids.tolist()):
            self._sums[row, self.labels[token_id]] = 1.0
        self._ids_of = tuple(
            np.array([i for i in self._ids.tolist() if self.labels[i] == label], dtype=np.int64)
            for label in range(len(EMOTION_LABELS))
        )

    def __len__(self) -> int:
        return len(self.labels)

    def label_of(self, token_id: int) -> int | None:
        """Index into `EMOTION_LABELS` of the label that a token begins a word of; None if it begins none."""
        return self.labels.get(token_id)

    def ids_of(self, label: int) -> NDArray[np.int64]:
        """Ids of the tokens that begin a word of a label, ascending; empty if the tokenizer has none."""
        return self._ids_of[label]

    def masses(self, probabilities: NDArray[np.floating[Any]]) -> Labels:
        """Probability of each label: (V,) -> (9,) float32, added up over the label's words."""
        result: Labels = probabilities[self._ids].astype(np.float32) @ self._sums
        return result

    def masses_of(self, seen: Distribution) -> Labels:
        """The same from a distribution that was read, without making its V probabilities: (9,) float32."""
        weights = np.exp(seen.scores[self._ids])
        result: Labels = (weights @ self._sums) * np.float32(math.exp(-seen.log_total))
        return result

    def may_reach(self, mass: float, top: Iterable[tuple[int, float]]) -> bool:
        """Whether the labels' total mass may reach ``mass``, from the best tokens alone.

        What the best tokens leave over is less than 0.2 at most positions, and then no array needs to be touched.
        """
        left = 1.0
        for token_id, probability in top:
            if token_id not in self.labels:
                left -= probability
                if left < mass:
                    return False
        return True


def _first_tokens(tokenizer: Any, language: str, vocabulary_size: int) -> dict[int, int]:
    """The label of each token id that stands for an emotion word."""
    words: dict[str, int | None] = dict.fromkeys(left_out_words(language)) | _label_words(language)
    spelt = [(form, label) for word, label in words.items() for form in _forms(word, language)]
    cut = tokenizer([form for form, _ in spelt], add_special_tokens=False)["input_ids"]
    whole: dict[int, int] = {}
    first: dict[int, set[int | None]] = {}
    clear: set[int] = set()
    for (form, label), ids in zip(spelt, cut, strict=True):
        if not ids or ids[0] >= vocabulary_size:
            continue
        if len(ids) == 1:
            if label is not None:
                whole[ids[0]] = label
            continue
        first.setdefault(ids[0], set()).add(label)
        if _is_clear(form, tokenizer.decode([ids[0]], clean_up_tokenization_spaces=False), language):
            clear.add(ids[0])
    agreed = {i: next(iter(labels)) for i, labels in first.items() if i in clear and len(labels) == 1}
    return {i: label for i, label in agreed.items() if label is not None} | whole


def _forms(word: str, language: str) -> tuple[str, ...]:
    """How a word stands in a text: inside a sentence, at its beginning, capitalised."""
    if language == "zh":
        return (word,)
    capital = word[0].upper() + word[1:]
    return (f" {word}", word, f" {capital}", capital)


def _is_clear(form: str, piece: str, language: str) -> bool:
    """Whether the first piece of a word that is cut says which word it is."""
    if not form.startswith(piece):  # part of a character
        return False
    word, spelt = form.strip(), piece.strip().lower()
    if language == "zh":
        return len(spelt) > 1 or spelt in FEELING_CHARACTERS
    inside = form[len(piece)].isalpha()
    return inside and max(MIN_LETTERS, MIN_SHARE * len(word) + 0.5) <= len(spelt) and spelt not in ORDINARY_PIECES


# ── Text ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class EmotionText:
    """What each position of one caption has to do with an emotion word, with rollback.

    Holds for each token the longest text behind it that may still become an emotion word, so that a word of several
    tokens is followed to its end without reading the caption again.
    """

    def __init__(self, tokens: EmotionTokens) -> None:
        self.tokens = tokens
        self._words = _label_words(tokens.language)
        self._prefixes = _prefixes(tokens.language)
        self._open: list[str] = [""]
        self._inside: list[bool] = [False]
        self._letter: list[bool] = [False]

    def is_plain(self, token_id: int, probability: float) -> bool:
        """Whether a token is so probable, and so far from an emotion word, that the next position is none of these.

        True of most tokens, and cheaper than to ask `place` and `EmotionTokens.may_reach`, which say the same of them.
        """
        return probability > _PLAIN and not self._is_near(token_id)

    def place(self, token_id: int, piece: str) -> EmotionPlace | None:
        """What the next position is if this token stands there; ``could`` is for the distribution to say.

        Args:
            token_id: The token.
            piece: What it adds to the text; empty for the end of the turn and a part of a character.
        """
        if not piece:
            return None
        before = self._open[-1]
        if self._inside[-1] and before + piece.lower() in self._prefixes:
            return "continues"
        if self.tokens.label_of(token_id) is not None and not self._within_word(piece):
            return "begins"
        # A word whose first token did not say so, complete at last (" dis", "gusted").
        return "continues" if before and before + piece.lower() in self._words else None

    def append(self, token_id: int, piece: str) -> None:
        """Add a token, whoever put it there."""
        before = self._open[-1]
        if not piece:  # the character comes with a later token
            self._open.append(before)
            self._inside.append(self._inside[-1])
            self._letter.append(self._letter[-1])
            return
        self._inside.append(self._is_near(token_id) and self.place(token_id, piece) is not None)
        longer = before + piece.lower() if before else ""
        self._open.append(longer if longer in self._prefixes else self._fresh(piece))
        self._letter.append(piece[-1].isalpha())

    def truncate(self, length: int) -> None:
        """Forget all tokens from position ``length`` on."""
        for entries in (self._open, self._inside, self._letter):
            del entries[length + 1 :]

    def _is_near(self, token_id: int) -> bool:
        """Whether a token may begin an emotion word, or one is under way; behind any other `place` is None."""
        return token_id in self.tokens.labels or self._open[-1] != "" or self._inside[-1]

    def _fresh(self, piece: str) -> str:
        """The beginning of a word that a token makes by itself."""
        alone = piece.lstrip().lower()
        return alone if alone in self._prefixes and not self._within_word(piece) else ""

    def _within_word(self, piece: str) -> bool:
        """Whether a token goes on with the word before it; Chinese has no gaps between words."""
        return self.tokens.language == "en" and self._letter[-1] and piece[:1].isalpha()
