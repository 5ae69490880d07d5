"""The edges of `tools.verifier_load`: many sessions in one process, each repeating recorded requests.

    python -m tools.verifier_edges ADDRESS SCRIPTS --sessions 64 --seconds 30 --workload blocks

Nothing is drafted here, and answers are looked at only as far as needed, so that the verifier is what is measured.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tools.verifier_script import Block, Script, read
from ugsd_core.messages import VerifierInfo
from ugsd_core.wire.frames import MAX_FRAME_BYTES, pack_frame, unpack_frame
from ugsd_core.wire.protocol import PROTOCOL_VERSION, SUBPROTOCOL

__all__ = ["Tally", "drive"]


class Tally:
    """What came of it, from the moment that counting began."""

    def __init__(self) -> None:
        self.counting = False
        self.verdict_ms: list[float] = []
        self.open_ms: list[float] = []
        self.verify_ms: list[float] = []
        self.queued_ms: list[float] = []
        self.captions = 0
        self.errors: Counter[str] = Counter()

    def verdict(self, took_ms: float, answer: dict[str, Any]) -> None:
        """A block was judged."""
        if self.counting:
            self.verdict_ms.append(took_ms)
            self.verify_ms.append(answer["verify_ms"])
            self.queued_ms.append(answer["queued_ms"])


class Edge:
    """One session: opens clip after clip and repeats their blocks, or, for ``blocks``, stays with its first clip."""

    def __init__(
        self, number: int, address: str, scripts: list[Script], stay: bool, tally: Tally, info: VerifierInfo
    ) -> None:
        self.address, self.stay, self.tally, self.info = address, stay, tally, info
        self.scripts = scripts[number % len(scripts) :] + scripts[: number % len(scripts)]
        self.utterance = 0
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Ask until cancelled; whatever goes wrong is counted."""
        from websockets.asyncio.client import connect
        from websockets.typing import Subprotocol

        try:
            async with connect(
                self.address,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=MAX_FRAME_BYTES,
                proxy=None,
                open_timeout=120.0,
                ping_timeout=120.0,
            ) as self.websocket:
                await self.say(
                    type="hello",
                    version=PROTOCOL_VERSION,
                    tokenizer_fingerprint=self.info.tokenizer_fingerprint,
                    feature_fingerprint=self.info.feature_fingerprint,
                    vocabulary_size=self.info.vocabulary_size,
                    options={},
                    access_token=None,
                )
                answer = await self.hear()
                if answer["type"] != "welcome":
                    self.tally.errors[f"refused: {answer.get('code')}"] += 1
                    return
                while True:
                    for script in self.scripts:
                        await self.caption(script)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.tally.errors[type(error).__name__] += 1

    async def caption(self, script: Script) -> None:
        """One clip; with ``stay`` it is asked about for ever."""
        self.utterance += 1
        name = str(self.utterance)
        began = time.perf_counter()
        while True:
            await self.say(**script.open, utterance=name)
            answer = await self.hear()
            if answer["type"] == "opened":
                break
            await self.trouble(answer)
        if self.tally.counting:
            self.tally.open_ms.append((time.perf_counter() - began) * 1e3)
        self.ready.set()
        sequence = 0
        while True:
            for block in script.blocks:
                await self.judge(name, sequence, block, script)
                sequence += 1
            self.tally.captions += self.tally.counting
            if not self.stay:
                await self.say(type="close", utterance=name)
                return

    async def judge(self, name: str, sequence: int, block: Block, script: Script) -> None:
        """One block, asked again while the verifier is busy."""
        began = time.perf_counter()
        while True:
            await self.say(**block.fields, utterance=name, sequence=sequence, revision=0)
            answer = await self.hear()
            while answer["type"] == "need_features":
                await self.say(**script.open, utterance=name)
                answer = await self.hear()
            while answer["type"] == "opened":
                answer = await self.hear()
            if answer["type"] == "verdict":
                break
            await self.trouble(answer)
        self.tally.verdict((time.perf_counter() - began) * 1e3, answer)
        if answer["sequence"] != sequence or block.decision != tuple(
            answer[key] for key in ("accepted", "replacement", "bonus")
        ):
            self.tally.errors["another decision than recorded"] += 1

    async def trouble(self, answer: dict[str, Any]) -> None:
        """Back-pressure is counted and waited for; anything else ends the session."""
        self.tally.errors[str(answer.get("code", answer["type"]))] += 1
        if answer.get("code") != "busy":
            raise RuntimeError
        await asyncio.sleep(answer["retry_after_ms"] / 1e3)

    async def say(self, **fields: Any) -> None:
        await self.websocket.send(pack_frame(fields)[0])

    async def hear(self) -> dict[str, Any]:
        frame = await self.websocket.recv()
        assert isinstance(frame, bytes)
        return unpack_frame(frame)[0]


async def drive(
    address: str, scripts: list[Script], info: VerifierInfo, sessions: int, seconds: float, workload: str
) -> dict[str, Any]:
    """Run sessions until all stand, then count for a while."""
    tally = Tally()
    edges = [Edge(number, address, scripts, workload == "blocks", tally, info) for number in range(sessions)]
    tasks = [asyncio.create_task(edge.run()) for edge in edges]
    standing = [asyncio.create_task(edge.ready.wait()) for edge in edges]
    await asyncio.wait(standing, timeout=300.0)
    ready = sum(task.done() for task in standing)
    await asyncio.sleep(min(2.0, seconds / 4))
    print("counting", file=sys.stderr, flush=True)
    tally.counting = True
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    tally.counting = False
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    for task in (*tasks, *standing):
        task.cancel()
    await asyncio.gather(*tasks, *standing, return_exceptions=True)
    verdicts = len(tally.verdict_ms)
    return {
        "sessions": sessions,
        "ready": ready,
        "seconds": round(took_s, 2),
        "verdicts": verdicts,
        "verdicts_per_s": round(verdicts / took_s, 1),
        "captions": tally.captions,
        "captions_per_s": round(tally.captions / took_s, 2),
        "verdict_ms": quantiles(tally.verdict_ms),
        "open_ms": quantiles(tally.open_ms),
        "verify_ms": quantiles(tally.verify_ms),
        "queued_ms": quantiles(tally.queued_ms),
        "edges_cpu_s": round(cpu_s, 2),
        "errors": dict(tally.errors),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and the largest."""
    if not values:
        return {}
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": round(ordered[-1], 2)}


def main() -> int:
    """Drive and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("scripts", type=Path)
    parser.add_argument("--info", required=True, help="the edge's fingerprints, as JSON")
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--workload", choices=("blocks", "captions"), required=True)
    args = parser.parse_args()
    info = VerifierInfo(**json.loads(args.info))
    found = asyncio.run(drive(args.address, read(args.scripts), info, args.sessions, args.seconds, args.workload))
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
