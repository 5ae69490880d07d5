"""An endpoint for WebSocket conformance clients such as Autobahn|Testsuite, which know nothing of our subprotocol.

    python -m tools.chaos.conformance --port 9001             # the real endpoint
    python -m tools.chaos.conformance --port 9002 --echo      # the same settings of the same library, echoing

Between client and endpoint a relay writes the subprotocol into the opening handshake and strikes it from the answer;
everything else passes untouched. The endpoint answers the first message that is no ``hello`` with a refusal and ends
the connection, so that of a suite that expects echoes only the cases about control frames and closing say something of
it; ``--echo`` shows the rest for the settings we use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from ugsd_core.wire import server as wire_server
from ugsd_core.wire.frames import MAX_FRAME_BYTES
from ugsd_core.wire.protocol import SUBPROTOCOL

__all__ = ["main"]

_LINE = f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n".encode()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, head: Callable[[bytes], bytes]) -> None:
    """One direction, its first head rewritten."""
    with contextlib.suppress(OSError, EOFError):
        sink.write(head(await source.readuntil(b"\r\n\r\n")))
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.write_eof()


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(
        _pass_on(reader, far_writer, lambda head: head[:-2] + _LINE + b"\r\n"),
        _pass_on(far_reader, writer, lambda head: head.replace(_LINE, b"")),
    )
    for each in (writer, far_writer):
        with contextlib.suppress(OSError):
            each.close()


async def _echo(websocket: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in websocket:
            await websocket.send(message)


async def _main(port: int, echo: bool) -> None:
    async def listen(far: int) -> None:
        relay = await asyncio.start_server(lambda r, w: _relay(far, r, w), "127.0.0.1", port)
        print(f"ws://127.0.0.1:{port}", flush=True)
        await relay.serve_forever()

    if echo:
        async with serve(
            _echo,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=4,
            close_timeout=wire_server.CLOSE_TIMEOUT_S,
            server_header=None,
        ) as endpoint:
            await listen(next(iter(endpoint.sockets)).getsockname()[1])
    else:
        from tools.chaos.pair import PrefixVerifier

        found: asyncio.Queue[str] = asyncio.Queue()
        task = asyncio.create_task(wire_server.serve(PrefixVerifier(), on_ready=found.put_nowait))
        await listen(int((await found.get()).rsplit(":", 1)[1]))
        await task


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools.chaos.conformance", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--echo", action="store_true", help="echo instead of the verifier's protocol")
    args = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(args.port, args.echo))
    return 0


if __name__ == "__main__":
    sys.exit(main())
