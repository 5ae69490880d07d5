"""What can be typed behind ``ugsd checkpoints``."""

from __future__ import annotations

import argparse

__all__ = ["add_checkpoints"]


def add_checkpoints(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "checkpoints",
        help="say what the embedded checkpoints are, check them, copy them for others",
        description="The embedded checkpoints: what there is, whether every byte is as it was shipped, and copies that "
        "any program opens with transformers.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="names, sizes, licences, and what each is for")
    listed.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    show = actions.add_parser("show", help="everything of one: class, files with SHA-256, where its card is")
    show.add_argument("name", metavar="NAME", help="edge, verifier, or a folder")
    show.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    verify = actions.add_parser(
        "verify",
        help="compare every file with the shipped SHA-256, then open the model",
        description="Compare every file with the shipped SHA-256, then open the model. Exit code 1 says that a file "
        "differs. A folder of your own has no shipped SHA-256 and is only opened.",
    )
    verify.add_argument("names", nargs="*", metavar="NAME", help="edge, verifier, or a folder (both embedded ones)")
    verify.add_argument("--no-open", action="store_true", help="compare files only")
    export = actions.add_parser(
        "export",
        help="copy one as plain floats, for stock transformers",
        description="Copy a checkpoint as plain floats into a new folder, which from_pretrained of transformers opens "
        "without anything else. In float32 its outputs equal those here.",
    )
    export.add_argument("name", metavar="NAME", help="edge, verifier, or a folder")
    export.add_argument("folder", metavar="DIR", help="a new or empty folder")
    export.add_argument(
        "--dtype", default="float32", help="float32, or the half as large bfloat16 or float16 (float32)"
    )
    gguf = actions.add_parser(
        "gguf",
        help="make a folder that llama.cpp computes, for a large edge on a CPU",
        description="Write a Qwen2.5-Omni checkpoint for llama.cpp: its decoder as decoder.gguf, its audio "
        "tower in eight bits. Any command takes the folder as --edge. Reading takes 2 bytes of memory a weight.",
    )
    gguf.add_argument("name", metavar="CKPT", help="edge, verifier, a folder, or a hub name")
    gguf.add_argument("folder", metavar="DIR", help="a new or empty folder")
    gguf.add_argument("--dtype", default="int4", help="of the decoder: int4, int8, or float32 to compare (int4)")
