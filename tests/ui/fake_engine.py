"""An engine without models: it plays a scripted stream, slowly enough to be watched."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.streams import END, StreamBuilder
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.messages import BlockEscalated, CaptionStarted, Event, TokenDrafted
from ugsd_core.wire.emulated import Conditions
from ui.runs import AS_IS

__all__ = ["FakeEngine", "english", "long", "main", "mandarin"]


def english(mode: str = "ugsd") -> list[Event]:
    """A caption that meets every state but *unverified*."""
    stream = StreamBuilder(mode)
    if mode == "cloud":
        return stream.generated("In", " the", " audio", ",", " the", " voice", " is", " low", ".", END).finish()
    if mode == "edge":
        return stream.kept("In", " the", " audio", ",").kept(" the", " voice", " is", " flat").kept(".", END).finish()
    stream.kept("In", " the", " audio", ",").kept(" the", " speaker", "'s", " voice")
    stream.judged(" is", " low", " and", accepted=3, bonus=" slow")
    stream.kept(",", " with", " long", " pauses").kept(".", " Therefore", ",", " the")
    stream.judged(" speaker", " feels", " calm", "ly", accepted=2, replacement=" sor")
    stream.kept("row", "ful").kept(".", END)
    return stream.finish()


def mandarin(mode: str = "ugsd") -> list[Event]:
    """A caption in Chinese; two of its tokens are parts of one character."""
    stream = StreamBuilder(mode, language="zh")
    stream.kept("说话人", "声音", "低").judged("沉", "，", "平静", accepted=2, replacement="")
    stream.kept("忧", "伤", "。", END)
    return stream.finish()


def dying(mode: str = "ugsd") -> list[Event]:
    """The verifier is lost in the middle."""
    stream = StreamBuilder(mode)
    stream.kept("The", " voice", " is", " low").judged(" and", " soft", accepted=1, replacement=" tense")
    stream.lost("the verifier closed the connection").unverified(", <b>so</b>", " sad", sent=True)
    stream.unverified(" and", " tired", sent=False).kept(".", END)
    return stream.finish()


def long(mode: str = "ugsd") -> list[Event]:
    """500 drafted tokens, far more than any caption has; every third block is sent, and every sixth is changed."""
    stream = StreamBuilder(mode)
    for block in range(125):
        words = [f" word{4 * block + place}" for place in range(4)]
        if block % 3:
            stream.kept(*words)
        elif block % 6:
            stream.judged(*words, accepted=4)
        else:
            stream.judged(*words, accepted=3, replacement=f" other{block}")
    return stream.kept(END).finish()


@dataclass
class FakeEngine:
    """Plays ``script(mode)``, pausing between events. One at a time, as the real one: two at once are a mistake.

    Attributes:
        pause_s: Between two events.
        events_per_s: An even pace instead of pauses.
        fails: Raise an error of the wire after this many events.
        gate: When set, the stream waits here before every event, so that a test decides when it goes on.
        hold: While there is such a file, only as many captions are begun as it says; the next one waits until it is
            gone. So a test in another process decides when it goes on.
        pace: While there is such a file, captions that begin pause for as many seconds as it says instead.
    """

    script: Callable[[str], list[Event]] = english
    pause_s: float = 0.0
    events_per_s: float | None = None
    fails: int | None = None
    gate: threading.Semaphore | None = None
    hold: Path | None = None
    pace: Path | None = None
    vocabulary_size: int = 620
    prepared: int = 0
    closed: int = 0
    interrupted: int = 0
    seen: list[Any] = field(default_factory=list)
    _playing: threading.Lock = field(default_factory=threading.Lock)
    _passed: int = 0

    def prepare(self) -> None:
        self.prepared += 1

    def interrupt(self) -> None:
        self.interrupted += 1

    def stream(self, utterance: Any, options: Any, link: Conditions = AS_IS) -> Iterator[Event]:
        self._wait_for_hold()
        assert self._playing.acquire(blocking=False), "two captions at once"
        self.seen.append((utterance, options))
        paced_s = float((self.pace and _said_in(self.pace)) or self.pause_s)
        script = mandarin if options.language == "zh" and self.script is english else self.script
        try:
            for index, event in enumerate(script(options.mode)):
                if self.gate is not None:
                    self.gate.acquire(timeout=20)
                if self.fails == index:
                    raise VerifierUnavailable("the verifier cannot be reached at ws://127.0.0.1:1; is it running?")
                if isinstance(event, CaptionStarted):
                    event = replace(event, utterance_id=utterance.id, options=options.to_dict())
                    event = replace(event, link="" if link.plain or options.mode == "edge" else str(link))
                yield event
                if self.events_per_s is not None:
                    time.sleep(1 / self.events_per_s)
                    continue
                pause_s = paced_s if isinstance(event, TokenDrafted) else paced_s / 3
                if isinstance(event, BlockEscalated):
                    pause_s = 10 * paced_s  # the verifier takes its time, or even a quick eye would see no wait
                if pause_s:
                    time.sleep(pause_s)
        finally:
            self.closed += 1
            self._playing.release()

    def _wait_for_hold(self) -> None:
        while self.hold is not None and (said := _said_in(self.hold)):
            if self._passed < int(said):
                self._passed += 1
                return
            time.sleep(0.01)
        self._passed = 0


def _said_in(path: Path) -> str:
    """What a file says; nothing if there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def main(argv: list[str]) -> int:
    """Serve the page with a fake engine: ``PORT [SCRIPT] [PAUSE_S] [CORPORA …]``; for the browser tests, for looking.

    ``CORPORA`` are folders below which corpora may be chosen. Files ``hold`` and ``pace`` where the page keeps its data
    hold the engine and slow it down.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from ui.demo import find_port, serve

    scripts: dict[str, Callable[[str], list[Event]]] = {"english": english, "dying": dying, "long": long}
    script = scripts[argv[1] if len(argv) > 1 else "english"]
    pause_s = float(argv[2]) if len(argv) > 2 else 0.05
    even = 120.0 if script is long else None
    corpora = [Path(folder) for folder in argv[3:]]
    port = find_port("127.0.0.1", int(argv[0]))
    kept = os.environ.get("XDG_DATA_HOME")
    files = {name: Path(kept) / name for name in ("hold", "pace")} if kept else {}
    return serve(lambda: FakeEngine(script, pause_s, even, **files), "127.0.0.1", port, corpora=corpora)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
