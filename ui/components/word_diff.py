"""Two captions word against word, so that the eye finds what one model changed of the other's."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from html import escape

__all__ = ["pieces", "word_diff"]

# A Latin word with what is glued to it, one Han character, white space, or any other mark.
_PIECE = re.compile(r"[A-Za-z0-9À-ɏ]+(?:['’-][A-Za-z]+)*|[\u3400-\u9fff]|\s+|.", re.DOTALL)


def pieces(text: str) -> list[str]:
    """Words, characters of Chinese, marks and white space; joined they are the text."""
    return _PIECE.findall(text)


def word_diff(base: str, other: str) -> str:
    """Markup of ``other``: what it has and ``base`` lacks in ``<ins>``, what it lacks in ``<del>`` where it stood."""
    one, two = pieces(base), pieces(other)
    parts = []
    for kind, i, j, k, m in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        gone, new = "".join(one[i:j]), "".join(two[k:m])
        if kind == "equal":
            parts.append(escape(new))
            continue
        if gone.strip():
            parts.append(f"<del>{escape(gone.strip())}</del>")
            parts.append(" " if gone.strip() and new[:1] not in (" ", "") and gone.isascii() else "")
        if new:
            parts.append(f"<ins>{escape(new)}</ins>" if new.strip() else escape(new))
    return "".join(parts)
