"""Malformed, truncated, oversized and wrongly ordered frames: the verifier's end of the wire must bear them all.

    python -m tools.chaos.fuzz --frames 100000 --seed 1          # a real server over WebSocket, and the parser alone
    python -m tools.chaos.fuzz --frames 20000 --token            # edges without the access token
    python -m tools.chaos.fuzz --guided-s 120                    # coverage-guided (needs the package atheris)

Held: every answer is a message of the protocol, about utterances that this session named; whoever has no token gets a
refusal and nothing else; nothing is logged that is not a line of ours; an honest session beside it gets the verdicts
it would get alone, and its acoustic code cannot be had by its SHA-256. Exit code 1 if anything of it is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tools.chaos.pair import INFO, PrefixVerifier, code
from ugsd_core.errors import ProtocolError
from ugsd_core.messages import GenerateRequest, OpenRequest, VerifyRequest
from ugsd_core.verifier import Verifier
from ugsd_core.wire import server as wire_server
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.frames import FRAME_SIZES, unpack_frame
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.messages import (
    Close,
    ErrorReply,
    Generate,
    Hello,
    NeedFeatures,
    Open,
    OpenedReply,
    Refused,
    UpMessage,
    Welcome,
)
from ugsd_core.wire.protocol import PROTOCOL_VERSION, SUBPROTOCOL, decode_down, decode_up, encode
from ugsd_core.wire.session import MAX_CODES, MAX_UTTERANCES, ServerSession

__all__ = ["Findings", "Mutator", "fuzz_parser", "fuzz_server", "main"]

TOKEN = "the-token-of-the-house"
PROBE = "probe"
HONEST = 63  # the code that only the honest session has sent
#: Codes of errors that an edge can cause; ``internal`` is not among them.
TYPED = frozenset(
    {
        "version",
        "tokenizer",
        "features",
        "token",
        "busy",
        "limited",
        "order",
        "sequence",
        "unknown_utterance",
        "refused",
    }
    | {"draining", "too_long"}
    | {f"bad_{what}" for what in ("frame", "message", "field", "ids", "verdict", "code", "open", "verify", "base")}
)


# ── Frames ────────────────────────────────────────────────────────────────────────────────────────────────────────


def opening(utterance: str, number: int, **changes: Any) -> OpenRequest:
    """What an edge opens."""
    request = OpenRequest(utterance, "en", None, code(number), "greedy", 1, 0.3, True, 2)
    return replace(request, **changes)


class Mutator:
    """Makes frames, most of them wrong, from a seed.

    Args:
        seed: The same seed makes the same frames.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def hello(self, token: str | None = None) -> bytes:
        """A right greeting."""
        info = INFO
        message = Hello(
            PROTOCOL_VERSION, info.tokenizer_fingerprint, info.feature_fingerprint, info.vocabulary_size, {}, token
        )
        return encode(message)[0]

    def message(self) -> UpMessage:
        """A right message that may come at a wrong time."""
        dice = self.dice
        name = str(dice.randrange(6))
        number = dice.choice([0, 1, 2, HONEST])
        draft = tuple(dice.randrange(INFO.vocabulary_size) for _ in range(dice.choice([1, 2, 4, 64])))
        choices: list[UpMessage] = [
            Open.of(opening(name, dice.randrange(3)), with_code=True),
            Open.of(opening(name, number, acceptance=dice.choice(["greedy", "rank", "moon"])), with_code=False),
            VerifyRequest(name, dice.randrange(5), 0, dice.choice([0, 0, 1, 9, 1024]), (), draft),
            VerifyRequest(name, dice.randrange(99), dice.randrange(3), 0, draft[:3], draft, (255, *[0] * 8)),
            Generate(dice.randrange(9), GenerateRequest(name, dice.choice([1, 30, 1024]), 0.0, 0)),
            Close(name),
            Hello(
                PROTOCOL_VERSION, "a" * 64, "b" * 64, INFO.vocabulary_size, {}, None, f"{dice.getrandbits(256):064x}"
            ),
        ]
        return dice.choice(choices)

    def frame(self) -> tuple[bytes | str, bool]:
        """The next frame: right, if perhaps out of order, or wrong; and whether it is meant to be right."""
        if self.dice.random() < 0.6:
            return encode(self.message())[0], True
        return self.wrong(), False

    def wrong(self) -> bytes | str:
        """A frame that is meant to be wrong; now and then it is not."""
        dice = self.dice
        kind = dice.randrange(4, 14)
        frame = encode(self.message())[0]
        if kind == 4:
            return frame[: dice.randrange(len(frame) + 1)]
        if kind == 5:
            return dice.randbytes(dice.choice([0, 1, 127, 128, 256, 1024, 4096, FRAME_SIZES[-1] + dice.choice([0, 1])]))
        if kind == 6:
            flipped = bytearray(frame)
            for _ in range(dice.choice([1, 1, 2, 16])):
                flipped[dice.randrange(min(len(flipped), 400))] ^= 1 << dice.randrange(8)
            return bytes(flipped)
        if kind == 7:
            return dice.choice(["", "hello", "\0" * 200, '{"type": "hello"}'])
        if kind == 8:
            return frame + bytes(dice.choice([1, 128, 5000]))
        if kind == 9:
            return padded(msgpack.packb(self.wild(0)))
        values = unpack_frame(frame)[0]
        for _ in range(dice.choice([1, 1, 2])):
            self.spoil(values)
        return padded(msgpack.packb(values))

    def spoil(self, values: dict[Any, Any]) -> None:
        """Put something wrong into a message's map."""
        dice = self.dice
        key = dice.choice(list(values)) if values else "type"
        how = dice.randrange(5)
        if how == 0:
            values.pop(key, None)
        elif how == 1:
            values[dice.choice(["waveform", "name", "", "type", 7])] = self.wild(0)
        elif how == 2 and isinstance(values.get(key), dict):
            self.spoil(values[key])
        else:
            values[key] = self.wild(0)

    def wild(self, depth: int) -> Any:
        """Some value."""
        dice = self.dice
        plain: list[Any] = [None, True, 0, -1, 1 << 31, (1 << 64) - 1, -(1 << 63), 0.5, float("nan"), float("inf")]
        plain += ["", "1", "verify", "x" * 600, "\u202e\0", b"", b"\xff" * 300, "a" * 64, msgpack.ExtType(1, b"x")]
        kind = dice.randrange(8)
        if depth > 2 or kind < 5 + depth:
            return dice.choice(plain)
        if kind == 5:
            return [self.wild(depth + 1) for _ in range(dice.choice([0, 1, 3, 70]))]
        if kind == 6:
            return {str(n): self.wild(depth + 1) for n in range(dice.choice([0, 1, 3, 70]))}
        nested: Any = []
        for _ in range(dice.choice([10, 400])):
            nested = [nested]
        return nested


def padded(payload: bytes) -> bytes:
    """A payload with zero bytes up to the smallest size that holds it, as far as there is one."""
    size = next((size for size in FRAME_SIZES if size >= len(payload)), len(payload))
    return payload + bytes(size - len(payload))


# ── What is found ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Findings:
    """Counts, and what must not be.

    Attributes:
        frames: Sent; ``sessions`` is how many connections they took.
        answers: By kind, errors by code.
        closes: WebSocket close codes.
        wrong: What was found; empty is what is wanted.
    """

    frames: int = 0
    sessions: int = 0
    honest_verdicts: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    closes: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(vars(self))


class _Listener(logging.Handler):
    """Hears everything that is logged."""

    def __init__(self, findings: Findings) -> None:
        super().__init__(logging.WARNING)
        self.findings = findings

    def emit(self, record: logging.LogRecord) -> None:
        """Count what is no ordinary line."""
        ours = record.name == "ugsd_core.wire.connection" and record.levelno == logging.WARNING and not record.exc_info
        if not ours:
            self.findings.wrong[f"logged by {record.name}: {record.getMessage()[:300]}"] += 1


# ── The parser and the session, without I/O ───────────────────────────────────────────────────────────────────────


def fuzz_parser(frames: int, seed: int) -> Findings:
    """Frames straight into parser and session."""
    findings, mutator = Findings(), Mutator(seed)
    began = time.monotonic()
    while findings.frames < frames:
        findings.sessions += 1
        session = ServerSession(INFO, kept=KeptCodes())
        try:
            session.receive(decode_up(mutator.hello(), INFO.vocabulary_size)[0])
            while findings.frames < frames:
                findings.frames += 1
                frame = mutator.frame()[0]
                if not isinstance(frame, bytes):
                    continue
                step = session.receive(decode_up(frame, INFO.vocabulary_size)[0])
                for reply in step.replies:
                    findings.answers[type(reply).__name__] += 1
                    decode_down(encode(reply, INFO.vocabulary_size)[0], INFO.vocabulary_size)
                if len(session._utterances) > MAX_UTTERANCES or len(session._codes) > MAX_CODES:
                    findings.wrong["a session grew beyond its limits"] += 1
        except ProtocolError as error:
            findings.answers[f"ended: {error.code}"] += 1
            if error.code not in TYPED:
                findings.wrong[f"an error of unknown type {error.code!r}"] += 1
        except Exception as error:
            findings.wrong[f"{type(error).__name__}: {error}"[:300]] += 1
    findings.took_s = round(time.monotonic() - began, 1)
    return findings


# ── A real server ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _serving(verifier: Verifier, token: str | None) -> Iterator[str]:
    ready, found = threading.Event(), {}

    async def main() -> None:
        stop = asyncio.Event()
        found["end"] = lambda: loop.call_soon_threadsafe(stop.set)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: logging.getLogger("asyncio").error("%s", context.get("message")))

        def on_ready(address: str) -> None:
            found["address"] = address
            ready.set()

        await wire_server.serve(verifier, on_ready=on_ready, stop=stop, access_token=token)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(30.0)
    try:
        yield found["address"]
    finally:
        found["end"]()
        thread.join(30.0)


def fuzz_server(frames: int, seed: int, *, token: bool = False, clients: int = 4) -> Findings:
    """Frames to a real server, while an honest session goes on beside.

    Args:
        token: The server asks for an access token, and those who fuzz have none.
    """
    findings = Findings()
    listener = _Listener(findings)
    root = logging.getLogger()
    root.addHandler(listener)
    began = time.monotonic()
    try:
        with _serving(PrefixVerifier(), TOKEN if token else None) as address:
            done = threading.Event()
            honest = threading.Thread(target=_honest, args=(address, TOKEN if token else None, findings, done))
            honest.start()
            try:
                asyncio.run(_attack(address, frames, seed, clients, findings, token))
            finally:
                done.set()
                honest.join(30.0)
    finally:
        root.removeHandler(listener)
    findings.took_s = round(time.monotonic() - began, 1)
    return findings


def _honest(address: str, token: str | None, findings: Findings, done: threading.Event) -> None:
    """An edge that behaves; its verdicts must be those it gets alone."""
    try:
        with WebSocketLink(address, access_token=token) as link:
            link.connect(INFO, {})
            sequence = 0
            while not done.is_set():
                if sequence % 20 == 0:
                    request = opening(f"honest {sequence}", HONEST)
                    alone = PrefixVerifier().open(request)
                    link.open(request)
                asked = VerifyRequest(request.utterance, sequence, 0, 0, (), (sequence % 20, 1, 2))
                verdict, wanted = link.judge(asked, 60.0), alone.judge(asked)
                if replace(verdict, queued_ms=0.0) != replace(wanted, queued_ms=0.0):
                    findings.wrong["the honest session got another verdict"] += 1
                findings.honest_verdicts += 1
                sequence += 1
                done.wait(0.005)
    except Exception as error:
        findings.wrong[f"the honest session failed: {type(error).__name__}: {error}"] += 1


async def _attack(address: str, frames: int, seed: int, clients: int, findings: Findings, token: bool) -> None:
    async def one(number: int) -> None:
        mutator = Mutator(seed * 1000 + number)
        while findings.frames < frames:
            findings.sessions += 1
            try:
                async with connect(
                    address, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, proxy=None, close_timeout=1.0
                ) as websocket:
                    await _session(websocket, mutator, frames, findings, token)
            except (InvalidHandshake, OSError, TimeoutError) as error:
                findings.wrong[f"no connection: {type(error).__name__}"] += 1
                await asyncio.sleep(0.1)

    await asyncio.gather(*(one(number) for number in range(clients)))


async def _session(websocket: ClientConnection, mutator: Mutator, frames: int, findings: Findings, token: bool) -> None:
    """Frames until the server ends the connection; looks at every answer.

    Behind each frame goes a question whose answer is known, so that the frame has been dealt with when that comes.
    """
    named = {str(n) for n in range(6)} | {PROBE}
    begun = mutator.dice.random() < 0.9 and not token
    probe = encode(VerifyRequest(PROBE, 0, 0, 0, (), (1,)))[0]
    try:
        async with asyncio.timeout(30.0):
            if begun:
                await websocket.send(mutator.hello())
                _look(await websocket.recv(), named, begun, findings, token)  # larger frames go after the welcome
            for _ in range(mutator.dice.choice([1, 5, 50])):
                if findings.frames >= frames:
                    break
                findings.frames += 1
                frame = mutator.frame()[0]
                named.add(_named(frame))
                await websocket.send(frame)
                await websocket.send(probe)
                while not _look(await websocket.recv(), named, begun, findings, token):
                    pass
            await websocket.close()
    except (ConnectionClosed, AttributeError):  # the latter of websockets 17's client, about a transport that has ended
        pass
    except TimeoutError:
        findings.wrong["a session neither answered nor ended"] += 1
    findings.closes[str(websocket.close_code)] += 1


def _named(frame: bytes | str) -> str:
    """The utterance that a frame names, if it can be read so far."""
    try:
        assert isinstance(frame, bytes)
        return str(unpack_frame(frame)[0].get("utterance"))
    except (ProtocolError, AssertionError):
        return PROBE


def _look(frame: bytes | str, named: set[str], begun: bool, findings: Findings, token: bool) -> bool:
    """An answer must be a message, and about nothing but this session; whether it is the one to the known question."""
    try:
        assert isinstance(frame, bytes)
        message = decode_down(frame, INFO.vocabulary_size)[0]
    except Exception as error:
        findings.wrong[f"an answer is no message: {error}"] += 1
        return False
    kind = type(message).__name__
    if isinstance(message, ErrorReply | Refused):
        kind += f" {message.code}"
        if message.code not in TYPED:
            findings.wrong[f"an answer of unknown type: {kind}"] += 1
    utterance = getattr(message, "utterance", None)
    if utterance != PROBE:
        findings.answers[kind] += 1
    if utterance is not None and utterance not in named:
        findings.wrong["an answer about an utterance that this session did not name"] += 1
    if token and not isinstance(message, Refused):
        findings.wrong[f"an edge without a token got {kind}"] += 1
    if isinstance(message, Welcome | NeedFeatures | OpenedReply) and token:
        findings.wrong["an edge without a token was let in"] += 1
    return utterance == PROBE


def steal(address: str) -> str:
    """What a session gets that opens another's acoustic code by its SHA-256."""
    with WebSocketLink(address) as link:
        link.connect(INFO, {})
        assert link.session is not None
        link.session._sent_codes[code(HONEST).sha256] = None  # as if it had sent it
        link.open(opening("stolen", HONEST))
        for _ in range(100):
            link.poll()
            down = [frame.message for frame in link.take_frames() if frame.direction == "down"]
            if "need_features" in down or "opened" in down:
                return next(name for name in down if name in ("need_features", "opened"))
            time.sleep(0.02)
    return "nothing"


# ── Coverage-guided ───────────────────────────────────────────────────────────────────────────────────────────────

GUIDED = """
import sys
import atheris
with atheris.instrument_imports(include=["ugsd_core.wire", "ugsd_core.acoustic", "msgpack"]):
    from ugsd_core.wire.protocol import decode_up, encode
    from ugsd_core.wire.session import ServerSession
    from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.errors import ProtocolError
from tools.chaos.fuzz import Mutator, padded
from tools.chaos.pair import INFO

HELLO = decode_up(Mutator(0).hello(), INFO.vocabulary_size)[0]

def one(data):
    session = ServerSession(INFO, kept=KeptCodes())
    session.receive(HELLO)
    try:
        for part in data.split(b"\\xc1next")[:8]:
            step = session.receive(decode_up(padded(part), INFO.vocabulary_size)[0])
            for reply in step.replies:
                encode(reply, INFO.vocabulary_size)
    except ProtocolError:
        pass

atheris.Setup(sys.argv, one)
atheris.Fuzz()
"""


def guided(seconds: int, seed: int) -> int:
    """Let libFuzzer look for inputs that reach new branches of parser and session; its figures go to stderr."""
    with tempfile.TemporaryDirectory() as folder:
        mutator = Mutator(seed)
        for number in range(200):
            frames = [encode(mutator.message())[0].rstrip(b"\0") for _ in range(number % 4 + 1)]
            (Path(folder) / str(number)).write_bytes(b"\xc1next".join(frames))
        options = [f"-max_total_time={seconds}", f"-seed={seed + 1}", "-max_len=4096", "-print_final_stats=1", folder]
        return subprocess.run([sys.executable, "-c", GUIDED, *options], check=False).returncode


def main(words: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools.chaos.fuzz", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--frames", type=int, default=100_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--token", action="store_true", help="the server asks for a token that those who fuzz lack")
    parser.add_argument("--parser-only", action="store_true", help="no server")
    parser.add_argument("--guided-s", type=int, metavar="S", help="coverage-guided for so long, and nothing else")
    args = parser.parse_args(words)
    if args.guided_s:
        return guided(args.guided_s, args.seed)
    found = {"parser": fuzz_parser(args.frames, args.seed)}
    if not args.parser_only:
        found["server"] = fuzz_server(args.frames, args.seed, token=args.token)
        with _serving(PrefixVerifier(), None) as address, WebSocketLink(address) as honest:
            honest.connect(INFO, {})
            honest.open(opening("mine", HONEST))
            honest.opened("mine", 30.0)
            got = steal(address)
        if got != "need_features":
            found["server"].wrong[f"another's code answered to its SHA-256 with {got}"] += 1
    print(json.dumps({name: findings.to_dict() for name, findings in found.items()}, indent=1))
    return 1 if any(findings.wrong for findings in found.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
