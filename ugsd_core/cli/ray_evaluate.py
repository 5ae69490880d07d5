"""``ugsd evaluate --ray``: clips shared out among workers of a Ray cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ugsd_core.cli.edge_access import edge_token
from ugsd_core.errors import OptionError

if TYPE_CHECKING:
    from ugsd_core.evaluation.ray_workers import RayWorkers
    from ugsd_core.wire.emulated import Conditions

__all__ = ["check_cluster", "workers_for"]


def check_cluster(args: argparse.Namespace) -> None:
    """Find what can't be before anything is started.

    Raises:
        OptionError: With a sentence for a person.
    """
    if not args.ray:
        if args.ray_workers is not None or args.ray_gpus is not None:
            raise OptionError("--ray-workers and --ray-gpus need --ray ADDRESS")
        return
    if args.ray_cpus < 1 or (args.ray_workers is not None and args.ray_workers < 1):
        raise OptionError("--ray-workers and --ray-cpus take at least 1")
    from ugsd_core.wire.ray_service import need_ray

    need_ray()


@contextmanager
def workers_for(args: argparse.Namespace, needs_verifier: bool, conditions: Conditions) -> Iterator[RayWorkers]:
    """Workers as they were asked for, which end behind it.

    Raises:
        OptionError, WireError: If there is no cluster, or no room on it.
    """
    from ugsd_core.evaluation.clip_worker import WorkerSettings
    from ugsd_core.evaluation.ray_workers import RayWorkers
    from ugsd_core.wire.ray_service import ray_running

    cpus = max(os.cpu_count() or 1, (args.ray_workers or 1) * args.ray_cpus)
    gpus = args.ray_gpus if args.ray_gpus is not None else float(args.device != "cpu")
    settings = WorkerSettings(
        edge=args.edge,
        verifier=args.verifier,
        verifier_checkpoint=args.verifier_checkpoint,
        device=args.device,
        dtype=args.dtype,
        needs_verifier=needs_verifier,
        access_token=edge_token(),
        backend=args.edge_backend,
        conditions=None if conditions.plain else conditions,
        threads=args.ray_cpus,
    )

    def told(sentence: str) -> None:
        print(f"\n{sentence}", file=sys.stderr)

    with ray_running(args.ray, cpus), RayWorkers(settings, args.ray_workers, gpus=gpus, told=told) as workers:
        yield workers
