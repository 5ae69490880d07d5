"""Reference captions: an emotion label and the named cues of a clip, put into words.

English has two sentences, cues first, then the emotion ("In the audio, the speaker's voice is low and slow, with long
pauses. Therefore, the speaker feels sad."); Chinese has one sentence of 12 to 30 characters.

Wording varies by *utterance*, not token by token: a hash of the clip id picks the word of every cue and the form of
the sentence. Each meaning has one main word, taken four times in five, and one synonym. More synonyms would fill the
draft distribution with entropy about wording, which says nothing about whether the emotion is right. Cues keep one
order: with two of them, small models sometimes name the same cue twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS

__all__ = ["Words", "caption", "emotion_choices", "vocabulary"]


@dataclass(frozen=True, slots=True)
class Words:
    """A main word and its synonym."""

    main: str
    other: str

    def pick(self, key: str, slot: str) -> str:
        """The word that the hash of ``key`` chooses for a slot; the main one four times in five."""
        return self.other if _draw(key, slot) < 0.2 else self.main


def _draw(key: str, slot: str) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    return hashlib.blake2b(f"{slot}:{key}".encode(), digest_size=2).digest()[0] / 256


ENGLISH_ADJECTIVES: dict[tuple[str, str], Words] = {
    ("pitch", "high"): Words("high", "raised"),
    ("pitch", "low"): Words("low", "deep"),
    ("pitch_range", "high"): Words("lively", "varied"),
    ("pitch_range", "low"): Words("flat", "monotone"),
    ("rate", "high"): Words("fast", "quick"),
    ("rate", "low"): Words("slow", "unhurried"),
    ("brightness", "high"): Words("bright", "sharp"),
    ("brightness", "low"): Words("soft", "mellow"),
}
ENGLISH_PHRASES: dict[tuple[str, str], Words] = {
    ("pauses", "high"): Words("long pauses", "clear pauses"),
    ("dynamics", "high"): Words("uneven volume", "changing volume"),
    ("dynamics", "low"): Words("even volume", "constant volume"),
}
ENGLISH_EMOTIONS: dict[str, Words] = {
    "anger": Words("angry", "irritated"),
    "boredom": Words("bored", "weary"),
    "calm": Words("calm", "relaxed"),
    "disgust": Words("disgusted", "repulsed"),
    "fear": Words("afraid", "fearful"),
    "happiness": Words("happy", "joyful"),
    "neutral": Words("neutral", "unemotional"),
    "sadness": Words("sad", "sorrowful"),
    "surprise": Words("surprised", "astonished"),
}
CHINESE_CUES: dict[tuple[str, str], Words] = {
    ("pitch", "high"): Words("声音高亢", "声音尖高"),
    ("pitch", "low"): Words("声音低沉", "声音浑厚"),
    ("pitch_range", "high"): Words("语调起伏", "语调多变"),
    ("pitch_range", "low"): Words("语调平直", "语调单一"),
    ("rate", "high"): Words("语速急促", "语速较快"),
    ("rate", "low"): Words("语速缓慢", "语速较慢"),
    ("pauses", "high"): Words("停顿较长", "停顿明显"),
    ("brightness", "high"): Words("音色明亮", "音色尖锐"),
    ("brightness", "low"): Words("音色柔和", "音色暗淡"),
    ("dynamics", "high"): Words("音量多变", "音量不稳"),
    ("dynamics", "low"): Words("音量均匀", "音量稳定"),
}
CHINESE_EMOTIONS: dict[str, Words] = {
    "anger": Words("愤怒", "生气"),
    "boredom": Words("厌倦", "无聊"),
    "calm": Words("平静", "放松"),
    "disgust": Words("厌恶", "反感"),
    "fear": Words("恐惧", "害怕"),
    "happiness": Words("高兴", "快乐"),
    "neutral": Words("中性", "平淡"),
    "sadness": Words("悲伤", "难过"),
    "surprise": Words("惊讶", "吃惊"),
}
CHINESE_ENDING = Words("流露出", "带着")
CHINESE_FULL = "\uff0c"  # the full-width comma


def emotion_choices(language: str) -> dict[str, Words]:
    """The words of each label in the captions of a language."""
    return ENGLISH_EMOTIONS if language == "en" else CHINESE_EMOTIONS


def _listed(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _english(label: str, strong: bool, cues: Mapping[str, str], key: str) -> str:
    adjectives = [words.pick(key, cue) for (cue, level), words in ENGLISH_ADJECTIVES.items() if cues.get(cue) == level]
    phrases = [words.pick(key, cue) for (cue, level), words in ENGLISH_PHRASES.items() if cues.get(cue) == level]
    voice = _listed(adjectives or ["steady"])
    if phrases:
        voice += f", with {_listed(phrases)}"
    feeling = ENGLISH_EMOTIONS[label].pick(key, "emotion")
    degree = "very " if strong else ""
    return f"In the audio, the speaker's voice is {voice}. Therefore, the speaker feels {degree}{feeling}."


def _chinese(label: str, strong: bool, cues: Mapping[str, str], key: str) -> str:
    parts = [words.pick(key, cue) for (cue, level), words in CHINESE_CUES.items() if cues.get(cue) == level]
    voice = CHINESE_FULL.join(parts or ["声音平稳"])
    feeling = CHINESE_EMOTIONS[label].pick(key, "emotion")
    degree = "强烈的" if strong else ""
    return f"说话人{voice}{CHINESE_FULL}{CHINESE_ENDING.pick(key, 'ending')}{degree}{feeling}情绪。"


def caption(label: str, strong: bool, cues: Mapping[str, str], language: str, key: str) -> str:
    """The reference caption of a clip.

    Args:
        label: One of `EMOTION_LABELS`.
        strong: Whether the emotion is said to be strong.
        cues: Cue name to ``"high"`` or ``"low"``, at most three, as `ugsd_core.training.cues.named_cues` gives them.
        language: ``"en"`` or ``"zh"``.
        key: What the wording is hashed from: the clip id, perhaps with the number of a variant.

    Raises:
        OptionError: For an unknown label or language.
    """
    if label not in EMOTION_LABELS or language not in ("en", "zh"):
        raise OptionError(f"no caption can be written for label {label!r} in language {language!r}")
    # A strongly neutral voice is no meaning of anything.
    strong = strong and label != "neutral"
    return (_english if language == "en" else _chinese)(label, strong, cues, key)


def vocabulary() -> Iterator[str]:
    """Every word that a caption can hold, English ones with their leading space; the tokenizer is trained on these."""
    yield from ("In", " the", " audio", ",", " speaker", "'s", " voice", " is", " steady", " and", " with", ".")
    yield from (" Therefore", " feels", " very")
    english = [*ENGLISH_ADJECTIVES.values(), *ENGLISH_PHRASES.values(), *ENGLISH_EMOTIONS.values()]
    for words in english:
        for phrase in (words.main, words.other):
            yield from (f" {word}" for word in phrase.split())
    yield from ("说话人", CHINESE_FULL, "声音平稳", CHINESE_ENDING.main, CHINESE_ENDING.other, "强烈的", "情绪", "。")
    for words in [*CHINESE_CUES.values(), *CHINESE_EMOTIONS.values()]:
        yield from (words.main, words.other)
