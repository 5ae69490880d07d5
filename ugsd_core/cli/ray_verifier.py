"""``ugsd verifier --ray``: several replicas of a verifier behind one address."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.batching import BatchLimits
from ugsd_core.cli.output import progress
from ugsd_core.cli.ray_parser import least_and_most
from ugsd_core.errors import OptionError

if TYPE_CHECKING:
    from ugsd_core.wire.door import Access

__all__ = ["check_no_replicas", "run_on_ray"]


def check_no_replicas(args: argparse.Namespace) -> None:
    """Without --ray there is one.

    Raises:
        OptionError: If several were asked for.
    """
    if args.replicas is not None or args.autoscale is not None:
        raise OptionError("--replicas and --autoscale need --ray; several verifiers without it are --verifier A,B")


def run_on_ray(args: argparse.Namespace, limits: BatchLimits, access: Access) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        OptionError: If a setting has no meaning, or Ray is not installed.
        WireError: If the cluster is not there, or the replicas do not start.
    """
    from dataclasses import asdict

    from ugsd_core.wire.ray_replica import ReplicaSettings
    from ugsd_core.wire.ray_service import Scale, need_ray, serving

    need_ray()
    if args.metrics_port is not None:
        raise OptionError("--metrics-port is of one process; behind Ray the cluster has metrics of its own")
    least, most = least_and_most(args)
    gpus = args.gpus_each if args.gpus_each is not None else float(args.device != "cpu")
    scale = Scale(least, most, args.cpus_each, gpus)
    settings = ReplicaSettings(
        checkpoint=args.checkpoint,
        device=args.device,
        dtype=args.dtype,
        batched=not args.unbatched,
        workers=args.workers,
        threads=max(1, int(args.cpus_each)) if args.device == "cpu" else 0,
        limits=asdict(limits),
        host=args.host,
        needs_token=access.tokens is not None,
        token_file=None if args.token_file is None else str(Path(args.token_file).absolute()),
        client_limits=None if access.limits is None else asdict(access.limits),
        trusted_proxies=tuple(str(network) for network in access.trusted_proxies),
        allowed_hosts=access.allowed_hosts,
        origins=access.origins,
        grace_s=args.grace_s,
    )
    tls = None if args.tls_cert is None else (args.tls_cert, args.tls_key)
    many = f"{least} replica{'s' if least > 1 else ''}" if most is None else f"{least} to {most} replicas"
    with ExitStack() as stack:
        with progress(f"starting Ray and {many}", quiet=args.announce):
            running = serving(settings, scale, address=args.ray, host=args.host, port=args.port, tls=tls)
            address = stack.enter_context(running)
        ended = stack.enter_context(_ended())  # only now: Ray installs handlers of its own when it starts
        if args.announce:
            print(json.dumps({"address": address, "replicas": least}), flush=True)
        else:
            print(f"{many}: {address}", file=sys.stderr, flush=True)
        ended.wait()
    return 0


@contextmanager
def _ended() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second SIGINT interrupts."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def end(number: int, frame: object) -> None:
        event.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, end)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
