"""``ugsd demo`` and ``app.py``: starts (or connects to) a verifier and serves the page until it is stopped."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.cli.edge_access import add_edge_access, take_edge_access
from ugsd_core.cli.edge_parser import add_edge_backend
from ugsd_core.cli.link_parser import add_link

if TYPE_CHECKING:
    from ugsd_core.wire.emulated import Conditions
    from ui.annotation.routes import Annotating
    from ui.language import Locale
    from ui.runs import Engine

__all__ = ["check_mcp", "find_port", "main", "serve"]

DEFAULT_PORT = 7860
#: Addresses that only this machine reaches.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Gradio looks for something to do after each such pause. Its own choice, 1 ms, takes 7 % of a processor core where
#: nobody uses the page; what is pressed begins at most this much later.
QUEUE_LOOK_S = 0.01


def build_parser() -> argparse.ArgumentParser:
    """The command line of the page."""
    parser = argparse.ArgumentParser(prog="ugsd demo", description="UGSD Studio, the page, on this machine.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port; 0 takes a free one ({DEFAULT_PORT})")
    parser.add_argument(
        "--verifier",
        metavar="URL[,URL]",
        help="a running verifier, such as ws://gpu:8765, and others to turn to; else one is started",
    )
    add_edge_access(parser)
    parser.add_argument("--edge", metavar="CKPT", help="edge checkpoint: a folder or a hub name (the embedded one)")
    parser.add_argument("--verifier-checkpoint", metavar="CKPT", help="what the verifier started here loads")
    add_link(parser)
    parser.add_argument("--device", default="cpu", help="where the models run: cpu, cuda, cuda:1 … (cpu)")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (float32)")
    add_edge_backend(parser)
    parser.add_argument(
        "--share", choices=("on", "off"), default="off", help="a public link through Gradio's tunnel (off)"
    )
    parser.add_argument("--no-models", action="store_true", help="only look at recorded runs; starts at once")
    parser.add_argument("--traces", metavar="FOLDER", type=Path, help="where kept runs go (~/.local/share/ugsd/traces)")
    parser.add_argument("--runs", metavar="FOLDER", type=Path, help="where evaluations go (~/.local/share/ugsd/runs)")
    parser.add_argument(
        "--corpora",
        metavar="FOLDER",
        type=Path,
        nargs="+",
        default=[],
        help="folders below which visitors may choose corpora to evaluate; none but uploads unless named",
    )
    parser.add_argument(
        "--annotations", metavar="STORE", nargs="?", const="",
        help="keep annotations: a file or postgresql://… (that of ugsd annotations); without it, a trial",
    )  # fmt: skip
    parser.add_argument(
        "--annotation-media", metavar="FOLDER", type=Path, help="recordings of campaigns (beside STORE)"
    )
    parser.add_argument(
        "--annotators", choices=("listed", "open", "oauth"), default="listed",
        help="who annotates: people with a password, anybody by a name (local page only), Hugging Face users (listed)",
    )  # fmt: skip
    parser.add_argument(
        "--notice", metavar="FILE.md", type=Path, help="what visitors are told first; FILE.zh.md beside it in Chinese"
    )
    parser.add_argument("--mcp", action="store_true", help="let agents call the page's functions over MCP")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the page until it is interrupted; returns the exit code."""
    from ugsd_core.errors import UgsdError
    from ugsd_core.wire.emulated import Conditions

    args = build_parser().parse_args(argv)
    take_edge_access(args)
    try:
        if args.mcp:
            check_mcp()
        port = find_port(args.host, args.port)
        link = Conditions.parse(args.link)

        def load() -> Engine | None:
            if args.no_models:
                return None
            print(
                "Loading the models …" if args.verifier else "Starting the verifier and loading the models …",
                flush=True,
            )
            from ui.engine import LiveEngine

            pairs = (("--checkpoint", args.verifier_checkpoint), ("--device", args.device), ("--dtype", args.dtype))
            verifier_args = [word for name, value in pairs if value for word in (name, value)]
            return LiveEngine(
                args.edge,
                verifier=args.verifier,
                verifier_args=verifier_args,
                device=args.device,
                dtype=args.dtype,
                backend=args.edge_backend,
            )

        return serve(
            load,
            args.host,
            port,
            share=args.share == "on",
            browser=not args.no_browser,
            traces=args.traces,
            runs=args.runs,
            corpora=args.corpora,
            mcp=args.mcp,
            annotations=_annotations(args),
            notice=args.notice,
            link=link,
        )
    except UgsdError as error:
        print(f"ugsd: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _annotations(args: argparse.Namespace) -> Callable[[ExitStack], Annotating] | None:
    """Opens the store that was asked for; None leaves it at a trial."""
    if args.annotations is None:
        return None

    def opened(ending: ExitStack) -> Annotating:
        from ugsd_core.cli.annotations import default_store
        from ui.annotation.opening import open_annotations

        local = args.share == "off" and args.host in LOOPBACK
        address = args.annotations or default_store()
        return open_annotations(address, args.annotators, args.annotation_media, local=local, ending=ending)

    return opened


def _trial(ending: ExitStack) -> Annotating:
    """A store with the example captions that goes with the page. Not among the uploads, which Gradio serves."""
    from ui.annotation.opening import open_trial

    folder = tempfile.TemporaryDirectory(prefix="ugsd-trial-", ignore_cleanup_errors=True)
    return open_trial(Path(ending.enter_context(folder)), ending=ending)


def serve(
    load: Callable[[], Engine | None],
    host: str,
    port: int,
    *,
    share: bool = False,
    browser: bool = False,
    traces: Path | None = None,
    runs: Path | None = None,
    corpora: Sequence[Path] = (),
    mcp: bool = False,
    annotations: Callable[[ExitStack], Annotating] | None = None,
    notice: Path | None = None,
    link: Conditions | None = None,
) -> int:
    """Load an engine, launch the page, wait for Ctrl-C or SIGTERM, and leave nothing behind but runs that were kept.

    Args:
        load: Gives the engine, or None for a page without models.
        traces, runs, corpora: See `ui.page.build_page`.
        mcp: Serve the page's functions to agents.
        annotations: Opens what the tab *Annotate* works on; None is a trial that goes with the page.
        notice: A Markdown file with what visitors are told first.
        link: What link to the verifier is emulated until a visitor chooses another; None leaves it as it is.
    """
    # Before gradio is imported: no telemetry, and uploads in a folder of their own that goes when we go.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    ended = threading.Event()
    for name in ("SIGTERM", "SIGINT"):
        if threading.current_thread() is threading.main_thread():
            signal.signal(getattr(signal, name), lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="ugsd-uploads-", ignore_cleanup_errors=True) as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        ending = ExitStack()
        engine = None
        try:
            annotating = (annotations or _trial)(ending)  # before the models: a mistyped address is told at once
            told = _told(notice)
            engine = load()
            if ended.is_set():
                return 0
            from ui.page import build_page, launch_settings

            page = build_page(
                engine,
                upload_folder=Path(uploads),
                traces=traces,
                runs_folder=runs,
                corpora=corpora,
                annotating=annotating,
                notice=told,
                **({} if link is None else {"link": link}),
            )
            page.queue(api_open=False)
            page._queue.sleep_when_free = QUEUE_LOOK_S
            _, address, public = page.launch(
                server_name=host, server_port=port, share=share, inbrowser=browser, mcp_server=mcp,
                prevent_thread_lock=True,
                **launch_settings(page),
            )  # fmt: skip
            if page.mcp_error:
                print(f"ugsd: {page.mcp_error}", file=sys.stderr)
            print(f"UGSD Studio is at {address}" + (f" and {public}" if public else ""), flush=True)
            ended.wait()
            if page.jobs is not None:
                page.jobs.close()
            page.close(verbose=False)
        finally:
            close = getattr(engine, "close", None)
            if close is not None:
                close()
            ending.close()
    return 0


def _told(notice: Path | None) -> dict[Locale, str] | None:
    """What visitors are told, by language."""
    if notice is None:
        return None
    from ui.notice import read_notice

    return read_notice(notice)


def check_mcp() -> None:
    """See that Gradio's MCP server could be started, before the models are loaded.

    Raises:
        OptionError: If its package is missing.
    """
    from ugsd_core.errors import OptionError
    from ugsd_core.parts import install_line

    if importlib.util.find_spec("mcp") is None:
        raise OptionError(f"--mcp needs a package that is not installed; type {install_line('mcp')}")


def find_port(host: str, port: int) -> int:
    """The port to use; 0 finds a free one.

    Raises:
        OptionError: If the port is taken or may not be used, or there is no such address here.
    """
    from ugsd_core.errors import OptionError

    if not 0 <= port <= 65535:
        raise OptionError(f"a port lies in 0…65535, not {port}")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OptionError(
                f"port {port} on {host} cannot be used ({reason}); choose another with --port, or --port 0"
            ) from error
        return int(probe.getsockname()[1])
