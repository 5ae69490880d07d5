"""Captions over a transport that fails, with verifiers that are killed and drained meanwhile; every one is checked.

    python -m tools.chaos --captions 10000 --seed 1                   # stand-ins for models, on two cores
    python -m tools.chaos --captions 300 --pair embedded --edges 2    # the embedded pair

Edges are threads with a faulty link each; the verifier is a process of its own, kept running by a keeper.
`tools/chaos/checks.py` says what is held. Exit code 1 if anything is not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tools.chaos.checks import all_judged, outcomes, problems
from ugsd_core.errors import UgsdError
from ugsd_core.messages import CaptionStarted, Event, FeaturesReady, FrameSent, VerifierLost
from ugsd_core.options import DecodingOptions
from ugsd_core.verifier import LocalLink, Verifier, VerifierLink
from ugsd_core.wire.breaker import Backoff
from ugsd_core.wire.faults import Faults, FaultyLink
from ugsd_core.wire.keeper import VerifierKeeper
from ugsd_core.wire.process import VerifierProcess
from ugsd_core.wire.reconnect import ReconnectingLink

__all__ = ["Report", "embedded_pair", "main", "scripted_pair", "soak"]

FAULTS = (
    "delay=0.02,drop=0.004,duplicate=0.004,reorder=0.004,cut=0.003,tear=0.001,half_open=0.002,slow=0.001,refuse=0.03"
)
BACKOFF = Backoff(first_s=0.02, most_s=0.5)
OPEN_TIMEOUT_S = 1.0
#: Most that a caption may take beyond its own work: its waits in vain, opening, and the machine's other work.
SLACK_S = 5.0


@dataclass
class Report:
    """What came of it.

    Attributes:
        captions: Finished captions.
        judged: Of those, with every block judged that wanted it.
        lost: Of those, with the verifier lost for a time at least.
        resumed: Of those, with a block judged behind one that was not.
        problems: What was wrong, and how often.
        faults: How often each fault did happen.
        codes: Acoustic codes that crossed; ``opens`` counts all openings.
        overdue: Captions that took longer than their bound.
        waits_s: The longest time a caption waited in vain; seconds.
    """

    seed: int
    captions: int = 0
    judged: int = 0
    lost: int = 0
    resumed: int = 0
    kills: int = 0
    drains: int = 0
    restarts: int = 0
    connections: int = 0
    opens: int = 0
    codes: int = 0
    overdue: int = 0
    unverified_blocks: int = 0
    longest_wait_s: float = 0.0
    took_s: float = 0.0
    problems: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    times_s: list[float] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not self.overdue

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times as quantiles."""
        cuts = statistics.quantiles(self.times_s, n=100) if len(self.times_s) > 1 else [0.0] * 99
        times = {"p50": cuts[49], "p99": cuts[98], "most": max(self.times_s, default=0.0)}
        values = {key: value for key, value in vars(self).items() if key != "times_s"}
        return values | {"caption_s": {key: round(value, 3) for key, value in times.items()}}


@dataclass(frozen=True)
class Pair:
    """Who captions what.

    Attributes:
        write: Events of caption number *n* over a link; ``patient`` lets the edge take its time.
        verifier: The same as the one that is served, in this process.
        command: Starts the one that is served; None is ``ugsd verifier``.
        bound_s: Longest a caption may take, its waits in vain left out.
        deadline_s: Its longest wait for one verdict.
    """

    write: Callable[[int, VerifierLink, bool], list[Event]]
    verifier: Verifier
    command: list[str] | None
    bound_s: float


def settings(n: int, deadline_s: float) -> DecodingOptions:
    """The settings of caption *n*: gates, rules and lengths take turns."""
    turns: tuple[dict[str, Any], ...] = (
        {"gate": "always", "acceptance": "greedy", "k": 2, "bonus": True},
        {"gate": "entropy", "tau": 1.0, "acceptance": "rank", "rank": 1, "k": 3},
        {"gate": "always", "acceptance": "rank", "rank": 2, "block_length": "adaptive", "k": 4},
        {"gate": "random", "escalation_probability": 0.5, "seed": n % 7, "acceptance": "probability", "k": 1},
        {"gate": "entropy", "tau": 0.5, "acceptance": "fused", "k": 4, "cut": "emotion"},
        {"gate": "always", "acceptance": "greedy", "k": 8},
    )
    chosen = turns[n % len(turns)]
    return DecodingOptions(**chosen, deadline_s=None if n % 4 == 3 else deadline_s, max_tokens=32)


def scripted_pair(token_s: float = 0.003, deadline_s: float = 0.25) -> Pair:
    """Stand-ins for models."""
    from tools.chaos.pair import PrefixDrafter, PrefixVerifier, code
    from ugsd_core.decoding import decode

    patient, quick = PrefixDrafter(token_s=token_s), PrefixDrafter()

    def write(n: int, link: VerifierLink, is_patient: bool) -> list[Event]:
        options = settings(n, deadline_s)
        speech, name = code(n), f"{n:016x}"
        events: list[Event] = [
            CaptionStarted(0.0, name, 0.5, 16_000, "en", "ugsd", options.to_dict(), {}, quick.info.vocabulary_size),
            FeaturesReady(0.0, 0.0, speech.n_frames, len(speech.payload), speech.sha256),
        ]
        return events + list(decode(speech, name, patient if is_patient else quick, link, options))

    command = [sys.executable, "-m", "tools.chaos", "--serve"]
    return Pair(write, PrefixVerifier(), command, OPEN_TIMEOUT_S + 2 * 5.0 + SLACK_S)


class _Napping:
    """A drafter that takes a nap before each token."""

    def __init__(self, drafter: Any, token_s: float) -> None:
        self._drafter = drafter
        self._token_s = token_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drafter, name)

    def begin(self, *args: Any) -> Any:
        """See `ugsd_core.drafter.Drafter`."""
        draft = self._drafter.begin(*args)
        following = draft.next

        def late(*args: Any, **named: Any) -> Any:
            time.sleep(self._token_s)
            return following(*args, **named)

        draft.next = late
        return draft


def embedded_pair(token_s: float = 0.0, deadline_s: float = 2.0) -> Pair:
    """The embedded checkpoints and their example recordings."""
    from pathlib import Path

    from ugsd_core.audio import load_utterance
    from ugsd_core.captioner import Captioner
    from ugsd_core.verifier import TorchVerifier

    folder = Path(__file__).resolve().parents[2] / "assets" / "examples"
    clips = [load_utterance(path) for path in sorted(folder.glob("*.flac"))]
    quick = Captioner.load().drafter
    patient: Any = _Napping(quick, token_s) if token_s else quick

    def write(n: int, link: VerifierLink, is_patient: bool) -> list[Event]:
        drafter = patient if is_patient else quick
        return list(Captioner(drafter, link).stream(clips[n % len(clips)], settings(n // len(clips), deadline_s)))

    return Pair(write, TorchVerifier.load(), None, OPEN_TIMEOUT_S + 2 * 5.0 + 60.0)


def soak(
    pair: Pair,
    captions: int,
    *,
    seed: int = 0,
    edges: int = 8,
    faults: Faults | None = None,
    end_every: int = 0,
    told: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Write captions under faults, and check each.

    Args:
        end_every: The verifier is ended each time so many captions are done: killed and drained by turns; 0 never.
        told: Called after each caption.

    Raises:
        UgsdError: If the verifier does not start.
    """
    report = Report(seed)
    lock = threading.Lock()
    numbers = itertools.count()
    calm: dict[int, list[Event]] = {}
    broken: list[BaseException] = []
    began = time.monotonic()
    with VerifierKeeper(lambda: VerifierProcess(command=pair.command, wait=False), backoff=BACKOFF) as keeper:
        keeper.wait_ready()

        def edge(number: int) -> None:
            faulty = FaultyLink(keeper.wait_ready(), faults or Faults.parse(FAULTS), seed * 1000 + number)

            def address() -> tuple[str]:
                faulty.retarget(keeper.addresses()[0])
                return (faulty.address,)

            link = ReconnectingLink(
                address, open_timeout_s=OPEN_TIMEOUT_S, heartbeat_s=1.0, floor_s=0.2, ceiling_s=1.0, backoff=BACKOFF
            )
            with faulty, link:
                while (n := next(numbers)) < captions and not broken:
                    one(n, link)
                report.connections += link.connections
                report.faults += faulty.happened

        def one(n: int, link: ReconnectingLink) -> None:
            started = time.monotonic()
            try:
                events = pair.write(n, link, True)
            except UgsdError as error:
                with lock:
                    report.captions += 1
                    report.problems[f"{type(error).__name__}: {error}"] += 1
                return
            took_s = time.monotonic() - started
            if n not in calm:
                calm[n] = pair.write(n, LocalLink(pair.verifier), False)
            wrong = problems(events, calm.pop(n), lambda again: pair.write(n, again, False), pair.verifier)
            with lock:
                _count(report, events, took_s, wrong, pair)
                if end_every and report.captions % end_every == 0:
                    _end(keeper, report)
                told(report)

        def guarded(number: int) -> None:
            try:
                edge(number)
            except BaseException as error:
                broken.append(error)

        threads = [threading.Thread(target=guarded, args=(number,)) for number in range(edges)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report.restarts = keeper.restarts
    report.took_s = round(time.monotonic() - began, 1)
    if broken:
        raise broken[0]
    return report


def _count(report: Report, events: list[Event], took_s: float, wrong: list[str], pair: Pair) -> None:
    report.captions += 1
    report.judged += all_judged(events)
    report.lost += any(isinstance(event, VerifierLost) for event in events)
    judged = [state for _, state in sorted(outcomes(events).items())]
    report.resumed += False in judged and True in judged[judged.index(False) :]
    report.unverified_blocks += judged.count(False)
    opens = [event for event in events if isinstance(event, FrameSent) and event.message == "open"]
    report.opens += len(opens)
    report.codes += sum(event.traffic == "acoustic_code" for event in opens)
    waited_s = sum(getattr(event, "waited_ms", 0.0) for event in events) / 1e3
    report.longest_wait_s = round(max(report.longest_wait_s, waited_s), 3)
    report.overdue += took_s > pair.bound_s
    report.times_s.append(took_s)
    report.problems.update(wrong)


def _end(keeper: VerifierKeeper, report: Report) -> None:
    drains = report.drains < report.kills
    os.kill(keeper.child.pid, signal.SIGTERM if drains else signal.SIGKILL)
    report.drains += drains
    report.kills += not drains


def serve() -> int:
    """The stand-in verifier as a program."""
    from tools.chaos.pair import PrefixVerifier
    from ugsd_core.wire.foreground import run_server

    return run_server(PrefixVerifier(), announce=True, exit_with_parent=True)


def main(words: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools.chaos", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--captions", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--edges", type=int, default=16, metavar="N", help="how many caption at a time")
    parser.add_argument("--faults", default=FAULTS, help=f"probability of each a message ({FAULTS})")
    parser.add_argument("--pair", choices=("scripted", "embedded"), default="scripted")
    parser.add_argument(
        "--end-every", type=int, default=500, metavar="N", help="kill or drain the verifier after so many captions"
    )
    parser.add_argument("--json", metavar="FILE", help="write the report there, too")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    if args.serve:
        return serve()
    pair = scripted_pair() if args.pair == "scripted" else embedded_pair()
    began = time.monotonic()

    def told(report: Report) -> None:
        if report.captions % 100 == 0:
            wrong = sum(report.problems.values())
            print(f"{report.captions} captions, {time.monotonic() - began:.0f} s, {wrong} problems", file=sys.stderr)

    report = soak(
        pair,
        args.captions,
        seed=args.seed,
        edges=args.edges,
        faults=Faults.parse(args.faults),
        end_every=args.end_every,
        told=told,
    )
    text = json.dumps(report.to_dict(), indent=1)
    print(text)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    return 0 if report.fine else 1
