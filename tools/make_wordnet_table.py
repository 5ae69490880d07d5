"""Make ``ugsd_core/data/wordnet/synonyms.txt.gz`` from the data files of WordNet 3.0.

    python -m tools.make_wordnet_table /usr/share/wordnet

The folder has ``data.{noun,verb,adj,adv}`` and ``{noun,verb,adj,adv}.exc``: WordNet's own distribution, or the Debian
package ``wordnet-base``. One line a synset: ``n`` ``v`` ``a`` or ``r`` and its lemmas of one word; one line an
irregular form: ``x``, part of speech, form and base forms. The same files always give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
TARGET = Path(__file__).resolve().parents[1] / "ugsd_core/data/wordnet/synonyms.txt.gz"


def irregular_forms(folder: Path) -> list[tuple[str, ...]]:
    """Part of speech, a form of one word, and its base forms."""
    rows = []
    for name, part in PARTS.items():
        for line in (folder / f"{name}.exc").read_text(encoding="utf-8").splitlines():
            form, *bases = line.split() or [""]
            if form and "_" not in form:
                rows.append((part, form, *bases))
    return rows


def synset_lines(folder: Path, kept: set[str]) -> Iterator[str]:
    """Every synset with a lemma of one word, those lemmas and ``kept`` ones; format of the files: wndb(5WN)."""
    for name, part in PARTS.items():
        for line in (folder / f"data.{name}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):  # the licence
                continue
            columns = line.split(" ")
            count = int(columns[3], 16)
            # "(p)", "(a)" and "(ip)" say where an adjective may stand; they are no part of the word.
            words = [re.sub(r"\(\w+\)$", "", word) for word in columns[4 : 4 + 2 * count : 2]]
            if any("_" not in word for word in words):
                yield " ".join((part, *(word for word in words if "_" not in word or word in kept)))


def main() -> None:
    """Write the table and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where data.noun lies")
    folder = parser.parse_args().folder
    forms = irregular_forms(folder)
    # "comics" is an irregular form of "comic_strip": without that expression its synonyms could not be found.
    kept = {base for _, _, *bases in forms for base in bases if "_" in base}
    synsets, irregular = list(synset_lines(folder, kept)), [" ".join(("x", *form)) for form in forms]
    packed = gzip.compress("\n".join([*synsets, *irregular]).encode(), compresslevel=9, mtime=0)
    TARGET.write_bytes(packed)
    print(f"{TARGET.name}: {len(synsets)} synsets, {len(irregular)} irregular forms, {len(packed)} bytes")


if __name__ == "__main__":
    main()
