"""What can be typed after ``ugsd annotations``. Imports nothing heavy."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_annotations"]

Actions = Any  # argparse has no public name for it


def add_annotations(commands: Actions) -> None:
    """Add the command and its actions."""
    parser = commands.add_parser(
        "annotations",
        help="campaigns in which people judge captions: create, export, agreement …",
        description="Campaigns in which people judge captions, without the page. docs/annotations.md explains all.",
        epilog="Each action has its own help: ugsd annotations create --help",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    _add_create(actions)
    _add(actions, "list", "list campaigns and how far they are", json=True)
    exporting = _add(actions, "export", "write a campaign as files for others", json=True)
    exporting.add_argument("campaign", metavar="CAMPAIGN")
    exporting.add_argument("out", metavar="OUT", help="a new folder")
    exporting.add_argument("--hash-annotators", action="store_true", help="pseudonyms in place of people's names")
    exporting.add_argument("--no-audio", action="store_true", help="leave recordings and runs out")
    importing = _add(actions, "import", "take in a campaign that was exported", json=True)
    importing.add_argument("folder", metavar="FOLDER", help="what export wrote")
    _add_agreement(actions)
    snapshot = _add(actions, "snapshot", "write every event of the store to one file")
    snapshot.add_argument("file", metavar="FILE.jsonl")
    restore = _add(actions, "restore", "put a snapshot into a new store")
    restore.add_argument("file", metavar="FILE.jsonl")
    verify = _add(actions, "verify", "check the store: structure, events, and what is kept beside them", json=True)
    verify.add_argument("--mend", action="store_true", help="build what follows from the events anew")
    _add_users(actions)
    forget = _add(actions, "forget", "delete what one person did, for good", json=True)
    forget.add_argument("person", metavar="PERSON", help="name of an annotator, or a visitor's id")
    forget.add_argument(
        "--snapshot", action="append", default=[], metavar="FILE", help="a copy of a snapshot that was moved (repeat)"
    )
    forget.add_argument("--yes", action="store_true", help="do it; without it, only say what would go")


def _add(actions: Actions, name: str, what: str, *, json: bool = False) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    parser.add_argument(
        "--store",
        metavar="ADDRESS",
        help="a file, sqlite:///FILE?volume=network, or postgresql://… ($UGSD_ANNOTATIONS, or annotations.db in the "
        "user's data folder)",
    )
    parser.add_argument("--media", metavar="DIR", help="folder of recordings and runs (beside the store's file)")
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def _add_create(actions: Actions) -> None:
    parser = _add(actions, "create", "make a campaign from captions that are there", json=True)
    parser.add_argument("campaign", metavar="CAMPAIGN", help="its name, for addresses and files")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", metavar="DIR", dest="run_folder", help="run folder of an evaluation")
    source.add_argument("--traces", nargs="+", metavar="PATH", help="traces, or folders of them")
    source.add_argument("--manifest", metavar="FILE", help="CSV or JSON lines: id, caption, and path, language, system")
    parser.add_argument("--system", action="append", default=[], metavar="NAME", help="of a run: only this (repeat)")
    parser.add_argument("--audio", metavar="DIR", help="folder of the recordings; they are copied")
    parser.add_argument("--title", default="", help="what people see (the name)")
    parser.add_argument("--guidelines", metavar="FILE.md", help="Markdown for annotators")
    parser.add_argument("--taxonomy", metavar="FILE.json", help="kinds of flags and severities (ours)")
    parser.add_argument("--gold", metavar="FILE.jsonl", help="expected answers of some captions")
    parser.add_argument("--overlap", type=int, default=1, metavar="K", help="annotators of each caption (1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everybody's order (0)")
    parser.add_argument(
        "--open", action="store_true", help="not blind: show the system, the run, and others' answers to what is done"
    )
    parser.add_argument(
        "--must-listen", type=float, default=0.9, metavar="X", help="share to be heard before a submit; 0 is off (0.9)"
    )


def _add_agreement(actions: Actions) -> None:
    parser = _add(actions, "agreement", "how far annotators agree, and how they work", json=True)
    parser.add_argument("campaign", metavar="CAMPAIGN")
    parser.add_argument("--draws", type=int, default=1000, metavar="N", help="bootstrap draws of an interval (1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (0)")


def _add_users(actions: Actions) -> None:
    parser = actions.add_parser("users", help="who may annotate", description="Who may annotate.")
    inner = parser.add_subparsers(dest="users_action", metavar="ACTION", title="actions", required=True)
    _add(inner, "list", "list people and roles", json=True)
    adding = _add(inner, "add", "add a person, or change role and password; asks for the password")
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("--role", choices=("annotator", "reviewer"), default="annotator", help="(annotator)")
    how = adding.add_mutually_exclusive_group()
    how.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    how.add_argument("--no-password", action="store_true", help="for people who sign in elsewhere (OAuth)")
    removing = _add(inner, "remove", "take a person's access away; answers stay")
    removing.add_argument("name", metavar="NAME")
