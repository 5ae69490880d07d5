"""The recording as the page tells of it: level, length, warnings, and what is wrong with one that can't be used."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.errors import AudioError

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance

__all__ = ["Recordings", "Speech", "describe"]

NO_SPEECH = '<p class="soft">Up to 30 s of speech. Record it, choose a file, or take an example.</p>'


@dataclass(frozen=True, slots=True)
class Speech:
    """What became of a recording.

    Attributes:
        usable: It can be captioned.
        too_long: It could be, if only its first 30 s were taken.
        html: What the page says of it.
    """

    usable: bool
    too_long: bool
    html: str


def describe(path: str | None, *, first_30_s: bool = False) -> Speech:
    """Read a recording and say how it is; never raises for a bad one."""
    from ugsd_core.audio import load_utterance

    if not path:
        return Speech(False, False, NO_SPEECH)
    try:
        utterance = load_utterance(path, first_30_s=first_30_s)
    except AudioError as error:
        html = f'<p class="message bad" role="alert">{escape(str(error))}</p>'
        return Speech(False, error.code == "too_long", html)
    return Speech(True, False, _facts(utterance))


def _facts(utterance: Utterance) -> str:
    level = "level good" if not utterance.warnings else "see below"
    # −60 dBFS … 0 dBFS; the scale on which speech levels are usually read.
    share = max(0.0, min(1.0, (utterance.level_dbfs + 60) / 60))
    said = f"average {utterance.level_dbfs:.0f} dBFS, highest {utterance.peak_dbfs:.0f} dBFS"
    meter = (
        f'<span class="meter" role="img" aria-label="Level: {said}" title="Level: {said}">'
        f'<i style="width:{100 * share:.0f}%"></i></span>'
    )
    facts = f'<p class="speech-facts"><span><b>{utterance.duration_s:.1f} s</b> of 30 s · {level}</span>{meter}</p>'
    return facts + "".join(f'<p class="message warn">{escape(warning)}</p>' for warning in utterance.warnings)


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
