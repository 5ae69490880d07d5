"""Reference captions: an emotion label, its intensity and the named cues of a clip, put into words.

There are six *wordings* a language: a sentence, an order of the cues, and one word for each meaning. Which of them a
caption takes is part of the request (`worded-1` … `worded-6` in `ugsd_core.models.prompts`), and the edge chooses it
from the utterance. So captions vary from utterance to utterance, while within one caption nothing is left to chance but
what is heard: a model that may choose its own words token by token is unsure of its words, and that entropy drowns the
entropy of what it means. Two of the six wordings name the emotion first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.models.prompts import WORDINGS

__all__ = ["Words", "caption", "cue_tokens", "emotion_choices", "vocabulary"]


@dataclass(frozen=True, slots=True)
class Words:
    """Words of one meaning; a wording takes one of them."""

    all: tuple[str, ...]

    def of(self, wording: int) -> str:
        """The word of a wording, counted from 1."""
        return self.all[(wording - 1) % len(self.all)]


def _words(*words: str) -> Words:
    return Words(words)


Cue = tuple[str, str]

ENGLISH_ADJECTIVES: dict[Cue, Words] = {
    ("pitch", "high"): _words("high", "raised", "high"),
    ("pitch", "low"): _words("low", "deep", "low"),
    ("pitch_range", "high"): _words("lively", "varied", "lively"),
    ("pitch_range", "low"): _words("flat", "monotone", "flat"),
    ("rate", "high"): _words("fast", "quick", "hurried"),
    ("rate", "low"): _words("slow", "unhurried", "slow"),
    ("brightness", "high"): _words("bright", "sharp", "bright"),
    ("brightness", "low"): _words("soft", "mellow", "dark"),
}
ENGLISH_PHRASES: dict[Cue, Words] = {
    ("pauses", "high"): _words("long pauses", "clear pauses", "many pauses"),
}
ENGLISH_EMOTIONS: dict[str, Words] = {
    "anger": _words("angry", "irritated", "annoyed"),
    "boredom": _words("bored", "weary", "listless"),
    "calm": _words("calm", "relaxed", "peaceful"),
    "disgust": _words("disgusted", "repulsed", "revolted"),
    "fear": _words("afraid", "fearful", "scared"),
    "happiness": _words("happy", "joyful", "cheerful"),
    "neutral": _words("neutral", "unemotional", "indifferent"),
    "sadness": _words("sad", "sorrowful", "unhappy"),
    "surprise": _words("surprised", "astonished", "amazed"),
}
ENGLISH_DEGREES = _words("very", "deeply", "truly")
ENGLISH_SENTENCES: tuple[str, ...] = (
    "In the audio, the speaker's voice is {voice}{extras}. Therefore, the speaker feels {emotion}.",
    "The voice sounds {voice}{extras}, like that of someone who is {emotion}.",
    "The speaker talks in a {voice} voice{extras} and seems {emotion}.",
    "The tone is {voice}{extras}; this person is {emotion}.",
    "The speaker sounds {emotion}: the voice is {voice}{extras}.",
    "This is someone {emotion}, with a {voice} voice{extras}.",
)
CHINESE_CUES: dict[Cue, Words] = {
    ("pitch", "high"): _words("声音高亢", "声音尖高", "音调偏高"),
    ("pitch", "low"): _words("声音低沉", "声音浑厚", "音调偏低"),
    ("pitch_range", "high"): _words("语调起伏", "语调多变", "语调丰富"),
    ("pitch_range", "low"): _words("语调平直", "语调单一", "语调平缓"),
    ("rate", "high"): _words("语速急促", "语速较快", "语速偏快"),
    ("rate", "low"): _words("语速缓慢", "语速较慢", "语速偏慢"),
    ("pauses", "high"): _words("停顿较长", "停顿明显", "停顿较多"),
    ("brightness", "high"): _words("音色明亮", "音色尖锐", "音色清亮"),
    ("brightness", "low"): _words("音色柔和", "音色暗淡", "音色低柔"),
}
CHINESE_EMOTIONS: dict[str, Words] = {
    "anger": _words("愤怒", "生气", "恼怒"),
    "boredom": _words("厌倦", "无聊", "倦怠"),
    "calm": _words("平静", "放松", "从容"),
    "disgust": _words("厌恶", "反感", "嫌恶"),
    "fear": _words("恐惧", "害怕", "惊恐"),
    "happiness": _words("高兴", "快乐", "愉快"),
    "neutral": _words("中性", "平淡", "平淡"),
    "sadness": _words("悲伤", "难过", "伤心"),
    "surprise": _words("惊讶", "吃惊", "诧异"),
}
CHINESE_DEGREES = _words("强烈的", "十分", "非常")
CHINESE_SENTENCES: tuple[str, ...] = (
    "说话人{voice}，流露出{emotion}情绪。",
    "{voice}，听起来{emotion}。",
    "这段语音{voice}，说话人显得{emotion}。",
    "带着{emotion}情绪，{voice}。",
    "{voice}，让人觉得{emotion}。",
    "说话人{emotion}，{voice}。",
)
# Of a voice without any cue worth naming.
PLAIN = {"en": _words("ordinary", "unremarkable", "plain"), "zh": _words("声音平常", "嗓音一般", "声音如常")}
CHINESE_COMMA = "\uff0c"

# Half of the wordings begin with pitch, half with pace: the order is the wording's, so that a model knows which cue is
# next and never names one twice.
PITCH_FIRST = ("pitch", "pitch_range", "rate", "pauses", "brightness")
PACE_FIRST = ("rate", "pauses", "brightness", "pitch", "pitch_range")


def emotion_choices(language: str) -> dict[str, Words]:
    """The words of each label in the captions of a language."""
    return ENGLISH_EMOTIONS if language == "en" else CHINESE_EMOTIONS


def cue_tokens() -> list[str]:
    """The words for cues of either language, each spelt as its one token inside a sentence."""
    words = [f" {word}" for entry in ENGLISH_ADJECTIVES.values() for word in entry.all]
    return sorted({*words, *(word for entry in CHINESE_CUES.values() for word in entry.all)})


def _listed(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _chosen(table: Mapping[Cue, Words], cues: Mapping[str, str], wording: int) -> list[str]:
    """The words of the named cues that a table has, in the wording's order."""
    order = PITCH_FIRST if wording % 2 else PACE_FIRST
    return [table[(cue, cues[cue])].of(wording) for cue in order if (cue, cues.get(cue, "")) in table]


def _english(label: str, strong: bool, cues: Mapping[str, str], wording: int) -> str:
    phrases = _chosen(ENGLISH_PHRASES, cues, wording)
    emotion = ENGLISH_EMOTIONS[label].of(wording)
    return ENGLISH_SENTENCES[wording - 1].format(
        voice=_listed(_chosen(ENGLISH_ADJECTIVES, cues, wording) or [PLAIN["en"].of(wording)]),
        extras=f", with {_listed(phrases)}" if phrases else "",
        emotion=f"{ENGLISH_DEGREES.of(wording)} {emotion}" if strong else emotion,
    )


def _chinese(label: str, strong: bool, cues: Mapping[str, str], wording: int) -> str:
    emotion = CHINESE_EMOTIONS[label].of(wording)
    return CHINESE_SENTENCES[wording - 1].format(
        voice=CHINESE_COMMA.join(_chosen(CHINESE_CUES, cues, wording) or [PLAIN["zh"].of(wording)]),
        emotion=f"{CHINESE_DEGREES.of(wording)}{emotion}" if strong else emotion,
    )


def caption(label: str, strong: bool, cues: Mapping[str, str], language: str, wording: int) -> str:
    """The reference caption of a clip.

    Args:
        label: One of `EMOTION_LABELS`.
        strong: Whether the emotion is said to be strong.
        cues: Cue name to ``"high"`` or ``"low"``, as `ugsd_core.training.cues.named_cues` gives them.
        language: ``"en"`` or ``"zh"``.
        wording: 1 to `WORDINGS`.

    Raises:
        OptionError: For an unknown label, language or wording.
    """
    if label not in EMOTION_LABELS or language not in ("en", "zh") or not 1 <= wording <= WORDINGS:
        raise OptionError(f"no caption can be written for label {label!r} in {language!r}, wording {wording}")
    # A strongly neutral voice is no meaning of anything.
    strong = strong and label != "neutral"
    return (_english if language == "en" else _chinese)(label, strong, cues, wording)


def vocabulary() -> Iterator[str]:
    """Every word that a caption can hold, English ones with their leading space; the tokenizer is trained on these."""
    for sentence in ENGLISH_SENTENCES:
        yield from _pieces(sentence)
    yield from (",", " with", " and")
    cues = [*ENGLISH_ADJECTIVES.values(), *ENGLISH_PHRASES.values(), PLAIN["en"]]
    for words in [*cues, *ENGLISH_EMOTIONS.values(), ENGLISH_DEGREES]:
        for phrase in words.all:
            yield from (f" {word}" for word in phrase.split())
    for sentence in CHINESE_SENTENCES:
        bare = sentence.replace("{voice}", CHINESE_COMMA).replace("{emotion}", CHINESE_COMMA).replace("。", "，。")
        yield from (part for part in bare.split(CHINESE_COMMA) if part)
    yield CHINESE_COMMA
    for words in [*CHINESE_CUES.values(), *CHINESE_EMOTIONS.values(), PLAIN["zh"], CHINESE_DEGREES]:
        yield from words.all


def _pieces(sentence: str) -> Iterator[str]:
    """Words and marks of an English sentence form, its slots left out."""
    for slot in ("voice", "extras", "emotion"):
        sentence = sentence.replace(f"{{{slot}}}", " ")
    for word in sentence.replace("speaker's", "speaker 's").split():
        mark = word[-1] if word[-1] in ",.;:" else ""
        stem = word.removesuffix(mark)
        if stem:
            yield stem if stem == "'s" or (stem[0].isupper() and sentence.startswith(stem)) else f" {stem}"
        if mark:
            yield mark
