"""``ugsd verifier``: a verifier process that answers edges over WebSocket."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.batching import BatchLimits
from ugsd_core.cli.output import progress
from ugsd_core.cli.ray_verifier import check_no_replicas, run_on_ray
from ugsd_core.cli.vllm_parser import vllm_verifier
from ugsd_core.errors import OptionError
from ugsd_core.logs import adopt, set_up, told

if TYPE_CHECKING:
    from ugsd_core.verifier import Verifier

__all__ = ["limits_of", "run"]

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Load the checkpoint and serve it until stopped.

    Raises:
        CheckpointError: If the checkpoint can't be loaded.
        OptionError: If a setting has no meaning.
        WireError: If the port is in use, or the host is not of this machine.
    """
    if args.verifier_command == "token":
        from ugsd_core.cli.verifier_access import print_token

        return print_token(args.name)
    if args.workers < 1:
        raise OptionError(f"the verifier needs at least 1 worker, not {args.workers}")
    if args.grace_s < 0.0:
        raise OptionError(f"--grace-s is a time, not {args.grace_s:g} s")
    from ugsd_core.cli.verifier_access import access_of

    limits_of(args)  # before minutes are spent on loading
    set_up(args.log_format, args.log_level or ("warning" if args.announce else "info"))
    access = access_of(args, os.environ)
    if args.ray is not None:
        if args.vllm:
            raise OptionError("--vllm and --ray don't go together: replicas hold the model themselves")
        return run_on_ray(args, limits_of(args), access)
    check_no_replicas(args)
    with _loading(args):
        from ugsd_core.wire.endpoints import MetricsAddress
        from ugsd_core.wire.foreground import run_server

        adopt()
        verifier = vllm_verifier(args) if args.vllm else _loaded(args)
    return run_server(
        verifier,
        args.host,
        args.port,
        announce=args.announce,
        exit_with_parent=args.exit_with_parent,
        workers=args.workers,
        limits=limits_of(args),
        access=access,
        grace_s=args.grace_s,
        metrics=None if args.metrics_port is None else MetricsAddress(args.metrics_port, args.metrics_host),
    )


def _loaded(args: argparse.Namespace) -> Verifier:
    """The checkpoint, in this process."""
    from ugsd_core.batched_verifier import load_verifier
    from ugsd_core.models.loading import default_checkpoint

    verifier = load_verifier(
        args.checkpoint or default_checkpoint("verifier"),
        device=args.device,
        dtype=args.dtype,
        batched=not args.unbatched,
    )
    verifier.warm_up()  # before it is announced: the first edge finds it ready
    return verifier


def limits_of(args: argparse.Namespace) -> BatchLimits:
    """What was typed, and the defaults for the rest; ``--memory-mb auto`` looks at what is free now.

    Raises:
        OptionError: If a limit has no meaning.
    """
    typed = {
        "rows": args.batch_rows,
        "tokens": args.batch_tokens,
        "window_ms": args.batch_window_ms,
        "memory_mb": _free_mb(args.device) if args.memory_mb == "auto" else args.memory_mb,
        "waiting": args.waiting,
        "waiting_each": args.waiting_each,
    }
    return BatchLimits(**{name: value for name, value in typed.items() if value is not None})


def _free_mb(device: str) -> float | None:
    from ugsd_core.models.fitting import budget_mb

    return budget_mb(device)


@contextmanager
def _loading(args: argparse.Namespace) -> Iterator[None]:
    """Say what is being loaded, how large it is, and at last how long it took."""
    name = Path(args.checkpoint).name if args.checkpoint else "the embedded verifier"
    what = f"loading {name} on {args.device} in {args.dtype}{_size(args.checkpoint)}"
    began_s = time.monotonic()
    extra = told("loading", device=args.device, dtype=args.dtype)
    with progress(what, say=lambda sentence: logger.info("%s", sentence, extra=extra)):
        yield
    took_s = time.monotonic() - began_s
    logger.info("Loaded in %.1f s.", took_s, extra=told("loaded", seconds=round(took_s, 1)))


def _size(checkpoint: str | None) -> str:
    """Size of the files, where they are on this machine; without anything heavy."""
    folder = Path(checkpoint).expanduser() if checkpoint else None
    if folder is None or not folder.is_dir():
        return ""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return f", {size / 1e9:.1f} GB of files" if size > 5e7 else ""
