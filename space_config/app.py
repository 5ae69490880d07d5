"""Entry of the Space: the verifier and the page in one container, told what to do by environment variables.

This file is copied into the Space's folder as it stands. README.md there lists the variables.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

__all__ = ["SETTINGS", "arguments", "data_folder", "main", "prepare_annotations"]

HERE = Path(__file__).resolve().parent
#: Where a Space has its persistent storage, if it has one.
STORAGE = Path("/data")
#: Beside this file: what a variable is where it isn't set, by variant.
SETTINGS = "space.json"
#: Options of ``ugsd demo``, by the variable that sets each.
VARIABLES = {
    "UGSD_EDGE": "--edge",
    "UGSD_VERIFIER": "--verifier",
    "UGSD_VERIFIER_CHECKPOINT": "--verifier-checkpoint",
    "UGSD_DEVICE": "--device",
    "UGSD_DTYPE": "--dtype",
}


def data_folder(environ: Mapping[str, str], storage: Path = STORAGE) -> Path | None:
    """Where annotations, kept runs and evaluations survive a restart; None where nothing does."""
    if environ.get("UGSD_DATA"):
        return Path(environ["UGSD_DATA"])
    return storage if storage.is_dir() and os.access(storage, os.W_OK) else None


def arguments(environ: Mapping[str, str], data: Path | None, notice: Path = HERE / "notice.md") -> list[str]:
    """The command line of ``ugsd demo``.

    Args:
        environ: ``os.environ``.
        data: As `data_folder` gives it.
        notice: What visitors are told; ``UGSD_NOTICE`` names another file.
    """
    words = ["--host", environ.get("GRADIO_SERVER_NAME", "0.0.0.0")]
    words += ["--port", environ.get("GRADIO_SERVER_PORT", "7860"), "--no-browser"]
    for variable, option in VARIABLES.items():
        if variable == "UGSD_VERIFIER_CHECKPOINT" and environ.get("UGSD_VERIFIER"):
            continue  # a running verifier has its checkpoint loaded
        if environ.get(variable):
            words += [option, environ[variable]]
    words += ["--notice", environ.get("UGSD_NOTICE") or str(notice)]
    if data is not None:
        words += ["--traces", str(data / "traces"), "--runs", str(data / "runs")]
        words += ["--annotations", _store(environ, data), "--annotators", _way(environ)]
        words += ["--annotation-media", str(data / "annotations.media")]
    return words


def _store(environ: Mapping[str, str], data: Path) -> str:
    """A file that this one container has to itself: the locks of mounted storage can't be trusted."""
    return environ.get("UGSD_ANNOTATIONS") or f"sqlite:///{data.absolute()}/annotations.db?volume=exclusive"


def _way(environ: Mapping[str, str]) -> str:
    """With Hugging Face accounts where the Space has ``hf_oauth``, else by name and password."""
    return environ.get("UGSD_ANNOTATORS") or ("oauth" if environ.get("OAUTH_CLIENT_ID") else "listed")


def prepare_annotations(environ: Mapping[str, str], data: Path) -> None:
    """Add the people of ``UGSD_PEOPLE``, and a campaign with the example clips if there is none at all.

    ``UGSD_PEOPLE`` is a secret with a line a person: name, role (annotator or reviewer) and, where people don't sign in
    with Hugging Face, a password.

    Raises:
        UgsdError: With one sentence for whoever set the variable.
    """
    from ugsd_core.annotations.identity import add_user
    from ugsd_core.annotations.media import Media
    from ugsd_core.annotations.store import open_store
    from ugsd_core.errors import OptionError
    from ui.annotation.opening import add_examples

    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ending:
        store = ending.enter_context(open_store(_store(environ, data)))
        for number, line in enumerate(environ.get("UGSD_PEOPLE", "").splitlines(), 1):
            fields = line.split(maxsplit=2)
            if not fields:
                continue
            if len(fields) < 2 or fields[1] not in ("annotator", "reviewer"):
                raise OptionError(f"UGSD_PEOPLE, line {number}: it takes NAME annotator|reviewer [PASSWORD]")
            add_user(store, fields[0], fields[1], fields[2] if len(fields) > 2 else None)  # type: ignore[arg-type]
        with store.reading() as reader:
            begun = bool(reader.campaigns())
        if not begun:
            add_examples(store, Media(data / "annotations.media"))


def main() -> int:
    """Serve the page until the container is stopped."""
    from ugsd_core.errors import UgsdError
    from ui import demo

    for variable, value in json.loads((HERE / SETTINGS).read_text(encoding="utf-8"))["defaults"].items():
        if not os.environ.get(variable):
            os.environ[variable] = value
    data = data_folder(os.environ)
    if data is not None:
        os.environ.setdefault("HF_HOME", str(data / ".huggingface"))  # checkpoints outlive a restart
        try:
            prepare_annotations(os.environ, data)
        except UgsdError as error:
            print(f"ugsd: {error}", file=sys.stderr)
            return 2
    os.environ.pop("UGSD_PEOPLE", None)  # no child process needs the passwords
    kept = f"in {data}" if data is not None else "nowhere: no persistent storage; the tab Annotate is a trial"
    print(f"Annotations, kept runs and evaluations are kept {kept}", flush=True)
    return demo.main(arguments(os.environ, data))


if __name__ == "__main__":
    sys.exit(main())
