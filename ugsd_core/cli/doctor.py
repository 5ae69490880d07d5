"""``ugsd doctor``: what is installed and found here, and what mends what is missing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from ugsd_core import __version__
from ugsd_core.cli.edge_access import edge_token
from ugsd_core.cli.progress import progress
from ugsd_core.doctor.finding import Finding, healthy
from ugsd_core.doctor.table import table

__all__ = ["findings", "run"]


def run(args: argparse.Namespace) -> int:
    """Look, and print; 0 if nothing that is needed is missing, else 1.

    Raises:
        InstallationError: With ``--requirements``, if the program is not installed, so that nobody knows.
    """
    if args.requirements:
        from ugsd_core.requirements import requirements_of

        print("\n".join(requirements_of(args.requirements)))
        return 0
    found = list(findings(args))
    if args.json:
        told = {"program": __version__, "healthy": healthy(found), "findings": [entry.to_dict() for entry in found]}
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        print(f"UGSD Studio {__version__}\n")
        print(table(found))
    return 0 if healthy(found) else 1


def findings(args: argparse.Namespace) -> Iterator[Finding]:
    """All checks, quick ones first."""
    from ugsd_core.doctor.audio import check_audio
    from ugsd_core.doctor.captioning import check_captioning
    from ugsd_core.doctor.files import check_corpora, check_data_folder, check_files
    from ugsd_core.doctor.machine import check_browser, check_devices, check_edge_backend, check_memory
    from ugsd_core.doctor.packages import check_packages, check_python

    yield check_python()
    yield from check_packages()
    yield check_memory()
    with progress("loading PyTorch", quiet=args.json):
        yield check_devices()
    yield check_edge_backend()
    yield check_browser()
    yield from check_audio()
    yield from check_files()
    yield check_data_folder()
    with progress("reading corpora", quiet=args.json or not args.corpus):
        yield from check_corpora(Path(folder).expanduser() for folder in args.corpus)
    if not args.quick:
        if args.verifier:
            from ugsd_core.doctor.verifier import check_ready

            yield check_ready(args.verifier)
        with progress("captioning an example clip", quiet=args.json):
            yield check_captioning(args.verifier, edge_token())
