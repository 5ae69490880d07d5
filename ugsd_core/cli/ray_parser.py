"""Options of ``ugsd verifier`` and ``ugsd evaluate`` that spread them over a Ray cluster."""

from __future__ import annotations

import argparse

from ugsd_core.errors import OptionError

__all__ = ["add_ray_evaluation", "add_ray_replicas", "least_and_most"]

_ADDRESS = "a Ray cluster ('auto', HOST:PORT, ray://HOST:10001), or 'local' for one of our own on this machine"


def add_ray_replicas(parser: argparse.ArgumentParser) -> None:
    """Add the options of a verifier with several replicas."""
    group = parser.add_argument_group(
        "replicas", "Several copies of the verifier behind one address; see docs/how-to/past-one-machine.md."
    )
    group.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help=f"{_ADDRESS}, the default")
    group.add_argument("--replicas", type=int, metavar="N", help="how many (2)")
    group.add_argument(
        "--autoscale", metavar="MIN,MAX", help="as many as 32 connections each need, within these bounds"
    )
    group.add_argument(
        "--cpus-each", type=float, default=1.0, metavar="N", help="processors Ray sets aside for one (1)"
    )
    group.add_argument("--gpus-each", type=float, metavar="N", help="GPUs (0 on the CPU, else 1)")


def add_ray_evaluation(parser: argparse.ArgumentParser) -> None:
    """Add the options of an evaluation on several workers."""
    group = parser.add_argument_group(
        "cluster", "Clips are shared out to workers; the captions are the same. See docs/how-to/past-one-machine.md."
    )
    group.add_argument("--ray", metavar="ADDRESS", help=_ADDRESS)
    group.add_argument("--ray-workers", type=int, metavar="N", help="how many (as many as the cluster has room for)")
    group.add_argument("--ray-cpus", type=int, default=1, metavar="N", help="processors and threads of each (1)")
    group.add_argument("--ray-gpus", type=float, metavar="N", help="GPUs of each (0 on the CPU, else 1)")


def least_and_most(args: argparse.Namespace) -> tuple[int, int | None]:
    """How many replicas, and up to how many if they follow the load.

    Raises:
        OptionError: If that can't be read, or both ways are named.
    """
    if args.autoscale is None:
        return 2 if args.replicas is None else args.replicas, None
    if args.replicas is not None:
        raise OptionError("name --replicas or --autoscale, not both")
    least, comma, most = args.autoscale.partition(",")
    if not comma or not least.strip().isdecimal() or not most.strip().isdecimal():
        raise OptionError(f"--autoscale takes two numbers such as 1,4, not {args.autoscale!r}")
    return int(least), int(most)
