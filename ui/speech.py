"""The recording as the page tells of it: level, length, warnings, and what is wrong with one that can't be used."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ugsd_core.errors import AudioError
from ui.engine_words import problem, told
from ui.language import Locale, say

__all__ = ["Recordings", "Speech", "describe"]


@dataclass(frozen=True, slots=True)
class Speech:
    """What became of a recording; nothing is known of one that is not there.

    Attributes:
        error: Why it can't be captioned.
        duration_s, level_dbfs, peak_dbfs, warnings: As of `ugsd_core.audio.Utterance`.
    """

    error: AudioError | None = None
    duration_s: float = 0.0
    level_dbfs: float = 0.0
    peak_dbfs: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """It can be captioned."""
        return self.duration_s > 0

    @property
    def too_long(self) -> bool:
        """It could be captioned if only its first 30 s were taken."""
        return self.error is not None and self.error.code == "too_long"

    def html(self, locale: Locale) -> str:
        """What the page says of it."""
        if self.error is not None:
            return f'<p class="message bad" role="alert">{problem(locale, self.error).html}</p>'
        if not self.usable:
            return f'<p class="soft">{escape(say(locale, "speech.none"))}</p>'
        warnings = (told(locale, warning).html for warning in self.warnings)
        return self._facts(locale) + "".join(f'<p class="message warn">{warning}</p>' for warning in warnings)

    def _facts(self, locale: Locale) -> str:
        # −60 dBFS … 0 dBFS; the scale on which speech levels are usually read.
        share = max(0.0, min(1.0, (self.level_dbfs + 60) / 60))
        level = say(locale, "speech.level", average=f"{self.level_dbfs:.0f}", highest=f"{self.peak_dbfs:.0f}")
        meter = (
            f'<span class="meter" role="img" aria-label="{escape(level)}" title="{escape(level)}">'
            f'<i style="width:{100 * share:.0f}%"></i></span>'
        )
        length = say(locale, "speech.length", seconds=f"<b>{self.duration_s:.1f} s</b>")
        judged = escape(say(locale, "speech.warned" if self.warnings else "speech.good"))
        return f'<p class="speech-facts"><span>{length} · {judged}</span>{meter}</p>'


def describe(path: str | None, *, first_30_s: bool = False) -> Speech:
    """Read a recording and say how it is; never raises for a bad one."""
    from ugsd_core.audio import load_utterance
    from ugsd_core.speech_presence import listened

    if not path:
        return Speech()
    try:
        utterance = listened(load_utterance(path, first_30_s=first_30_s))
    except AudioError as error:
        return Speech(error)
    return Speech(None, utterance.duration_s, utterance.level_dbfs, utterance.peak_dbfs, utterance.warnings)


class Recordings:
    """Forgets visitors' recordings: a session's last one goes when the next comes, and all when it leaves.

    Files are shared by content, so one that another session still holds stays. Safe for many threads.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or Path(tempfile.gettempdir())).resolve()
        self._held: dict[str, Path] = {}
        self._lock = threading.Lock()

    def hold(self, session: str, path: str | None) -> None:
        """The session's recording is now this one."""
        new = Path(path).resolve() if path else None
        with self._lock:
            old = self._held.pop(session, None)
            if new is not None:
                self._held[session] = new
            still_held = set(self._held.values())
        if old is not None and old not in still_held and old.is_relative_to(self._folder):
            old.unlink(missing_ok=True)

    def leave(self, session: str) -> None:
        """The session is over."""
        self.hold(session, None)
