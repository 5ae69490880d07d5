"""A checkpoint's tokenizer through the package *tokenizers* alone, for an edge without transformers.

Answers the questions that this program asks of a tokenizer, with the names and the results that transformers has for
them; a test compares the two on the embedded checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError

__all__ = ["PlainTokenizer"]


class PlainTokenizer:
    """The tokenizer and the chat template of a checkpoint folder.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """

    #: No checkpoint of ours has a token for what it does not know: every byte has one.
    unk_token_id: int | None = None

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        try:
            self._backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._config: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            template = folder / "chat_template.jinja"
            self._template: str | None = (
                template.read_text(encoding="utf-8") if template.is_file() else self._config.get("chat_template")
            )
        except Exception as error:  # tokenizers raises plain Exception; the person needs one sentence
            raise CheckpointError(f"{folder} cannot be used: its tokenizer cannot be loaded ({error})") from error

    def __len__(self) -> int:
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    @cached_property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Tokens that are not of the base vocabulary, by id."""
        return dict(self._backend.get_added_tokens_decoder())

    @cached_property
    def all_special_ids(self) -> list[int]:
        """Ids of the tokens that are no text."""
        return [i for i, token in self.added_tokens_decoder.items() if token.special]

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> Any:
        """The string of a token, or of each."""
        if isinstance(ids, int):
            return self._backend.id_to_token(ids)
        return [self._backend.id_to_token(int(i)) for i in ids]

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """Id of a token's string; None if there is none."""
        found: int | None = self._backend.token_to_id(token)
        return found

    def __call__(self, text: str | Sequence[str], *, add_special_tokens: bool = True) -> dict[str, Any]:
        """Ids of a text, or of each, under ``input_ids``."""
        if isinstance(text, str):
            return {"input_ids": self._backend.encode(text, add_special_tokens=add_special_tokens).ids}
        encoded = self._backend.encode_batch(list(text), add_special_tokens=add_special_tokens)
        return {"input_ids": [entry.ids for entry in encoded]}

    def decode(
        self, ids: Sequence[int], *, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool = False
    ) -> str:
        """Text of ids; spaces are never cleaned up."""
        del clean_up_tokenization_spaces
        text: str = self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, add_generation_prompt: bool = False, tokenize: bool = False
    ) -> str:
        """A conversation as the model was trained to read it.

        Raises:
            ValueError: If there is no template, or it cannot be rendered.
        """
        del tokenize
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        if self._template is None:
            raise ValueError("tokenizer.chat_template is not set")
        try:
            template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(self._template)
            return template.render(messages=conversation, add_generation_prompt=add_generation_prompt)
        except TemplateError as error:
            raise ValueError(str(error)) from error
