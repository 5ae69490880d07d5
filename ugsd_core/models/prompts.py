"""Prompts by name, and how a tokenizer turns one into ids.

Only the *name* of a prompt crosses the wire: each side renders it with its own tokenizer and chat template, because
two families neither share special tokens nor a default system turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ugsd_core.errors import CheckpointError, OptionError

__all__ = ["PROMPTS", "WORDINGS", "AudioMarkers", "Language", "Prompt", "prompt_ids", "prompt_names", "prompt_parts"]

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """An instruction in both caption languages."""

    en: str
    zh: str

    def text(self, language: Language) -> str:
        """The instruction that asks for a caption in ``language``."""
        if language not in ("en", "zh"):
            raise OptionError(f"captions are written in 'en' or 'zh', not {language!r}")
        return self.en if language == "en" else self.zh


WORDINGS = 6
"""How many wordings the embedded pair can be asked for."""

PROMPTS: dict[str, Prompt] = {
    # As short as a request can be.
    "brief": Prompt(en="Describe the emotion in this voice.", zh="描述这段语音的情感。"),
    # What a large, untrained-for-this model is asked: cues first, then the emotion, and the form of the answer.
    "paper": Prompt(
        en=(
            "You are an expert on emotion in speech. Listen only to how the speaker sounds: pitch, loudness, pace, "
            "pauses, voice quality. Describe these cues and then name the emotion they suggest. Answer with one short "
            'paragraph that begins with "In the audio,".'
        ),
        zh="你是语音情感专家。请只根据说话人的声音(音高、音量、语速、停顿、音色)描述听到的线索,并说明它们表达的情感。只用一句话回答。",
    ),
    # What the embedded pair is trained with: the request says which wording the caption takes (`training/grammar.py`).
    **{
        f"worded-{number}": Prompt(
            en=f"Describe the emotion in this voice, wording {number}.", zh=f"描述这段语音的情感，措辞{number}。"
        )
        for number in range(1, WORDINGS + 1)
    },
}


@dataclass(frozen=True, slots=True)
class AudioMarkers:
    """The special tokens around the audio of one model family, by string; ids are always looked up."""

    start: str
    pad: str
    end: str


def prompt_names() -> tuple[str, ...]:
    """Names that `prompt_ids` understands."""
    return tuple(PROMPTS)


def prompt_parts(
    tokenizer: Any, markers: AudioMarkers, name: str, language: Language
) -> tuple[list[int], int, list[int]]:
    """Token ids of a request before and behind its audio, and the id that stands for one vector of it.

    Args:
        tokenizer: A transformers tokenizer with a chat template.
        markers: The family's audio tokens.
        name: One of `prompt_names`.
        language: Language of the caption.

    Raises:
        OptionError: If there is no such prompt.
        CheckpointError: If the tokenizer lacks the family's special tokens or a chat template.
    """
    if name not in PROMPTS:
        raise OptionError(f"there is no prompt named {name!r}; choose one of {', '.join(PROMPTS)}")
    pad_id = tokenizer.convert_tokens_to_ids(markers.pad)
    if pad_id is None or pad_id == tokenizer.unk_token_id:
        raise CheckpointError(f"the tokenizer has no {markers.pad!r} token, so it cannot mark where the audio goes")
    content = f"{markers.start}{markers.pad}{markers.end}{PROMPTS[name].text(language)}"
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
    except ValueError as error:
        raise CheckpointError(f"the tokenizer has no usable chat template: {error}") from error
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if ids.count(pad_id) != 1:
        raise CheckpointError(f"the chat template kept {ids.count(pad_id)} audio placeholders where one was expected")
    where = ids.index(pad_id)
    return ids[:where], int(pad_id), ids[where + 1 :]


def prompt_ids(tokenizer: Any, markers: AudioMarkers, name: str, language: Language, n_audio: int) -> list[int]:
    """Token ids of a whole request, up to where the caption begins.

    Args:
        tokenizer, markers, name, language: As `prompt_parts` takes them.
        n_audio: Audio placeholders, one for each vector that the tower gives.

    Raises:
        OptionError, CheckpointError: As `prompt_parts`.
    """
    before, pad, behind = prompt_parts(tokenizer, markers, name, language)
    return [*before, *([pad] * n_audio), *behind]
