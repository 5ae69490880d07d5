"""SIGKILL to the verifier while captions are under way: all of them finish, none has a token lost or doubled.

    python -m tools.chaos.kill --captions 50                    # stand-ins for models
    python -m tools.chaos.kill --captions 50 --pair embedded    # the embedded pair

The verifier is a process of its own, and is started again by its keeper. It is killed when half of the captions
have had a verdict of it; the report says whether one was finished by then. `--term` drains it (SIGTERM) instead.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from typing import Any

from tools.chaos.checks import outcomes, problems
from tools.chaos.soak import BACKOFF, Pair, embedded_pair, scripted_pair
from ugsd_core.errors import UgsdError
from ugsd_core.messages import BlockJudged, BlockUnverified, Event, Verdict, VerifyRequest
from ugsd_core.verifier import LocalLink
from ugsd_core.wire.keeper import VerifierKeeper
from ugsd_core.wire.process import VerifierProcess
from ugsd_core.wire.reconnect import ReconnectingLink

__all__ = ["Asking", "checked", "kill", "main"]


class Asking(ReconnectingLink):
    """A link that says when its first verdict has come."""

    asked: threading.Event

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        """Ask, and say so when there is an answer."""
        try:
            return super().judge(request, deadline_s)
        finally:
            self.asked.set()


def kill(pair: Pair, captions: int, *, drain: bool = False) -> dict[str, Any]:
    """Kill the verifier under live captions; gives the counts.

    Raises:
        UgsdError: If the verifier does not start.
    """
    written: dict[int, list[Event] | str] = {}
    asked = [threading.Event() for _ in range(captions)]
    with VerifierKeeper(lambda: VerifierProcess(command=pair.command, wait=False), backoff=BACKOFF) as keeper:
        keeper.wait_ready()

        def one(n: int) -> None:
            link = Asking(keeper.addresses, backoff=BACKOFF)
            link.asked = asked[n]
            with link:
                try:
                    written[n] = pair.write(n, link, True)
                except UgsdError as error:
                    written[n] = f"{type(error).__name__}: {error}"
            asked[n].set()

        threads = [threading.Thread(target=one, args=(n,)) for n in range(captions)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while not written and sum(event.is_set() for event in asked) * 2 < captions:
            time.sleep(0.005)
        finished, answered = len(written), sum(event.is_set() for event in asked)
        os.kill(keeper.child.pid, signal.SIGTERM if drain else signal.SIGKILL)
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - began
        restarts = keeper.restarts
    return {
        "captions": captions,
        "finished_before_the_kill": finished,
        "with_a_verdict_before_the_kill": answered,
        "restarts": restarts,
        "took_s": round(took_s, 1),
    } | checked(pair, written)


def checked(pair: Pair, written: dict[int, list[Event] | str]) -> dict[str, Any]:
    """What became of captions, by their numbers; a text says why there is none."""
    wrong: list[str] = []
    resumed, unverified, judged = 0, 0, 0
    for n, events in sorted(written.items()):
        if isinstance(events, str):
            wrong.append(events)
            continue
        calm = pair.write(n, LocalLink(pair.verifier), False)
        wrong += problems(events, calm, lambda link, n=n: pair.write(n, link, False), pair.verifier)  # type: ignore[misc]
        states = [state for _, state in sorted(outcomes(events).items())]
        resumed += False in states and True in states[states.index(False) :]
        unverified += sum(isinstance(event, BlockUnverified) for event in events)
        judged += sum(isinstance(event, BlockJudged) for event in events)
    return {
        "finished": sum(not isinstance(events, str) for events in written.values()),
        "captions_taken_up_again": resumed,
        "blocks_judged": judged,
        "blocks_unverified": unverified,
        "problems": wrong,
    }


def main(words: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools.chaos.kill", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--captions", type=int, default=50, metavar="N")
    parser.add_argument("--pair", choices=("scripted", "embedded"), default="scripted")
    parser.add_argument("--term", action="store_true", help="drain instead of killing")
    args = parser.parse_args(words)
    pair = scripted_pair(token_s=0.2, deadline_s=2.0) if args.pair == "scripted" else embedded_pair(1.0, 10.0)
    report = kill(pair, args.captions, drain=args.term)
    print(json.dumps(report, indent=1))
    return 0 if not report["problems"] and report["finished"] == args.captions else 1


if __name__ == "__main__":
    raise SystemExit(main())
