"""A report's tables as LaTeX, to be read with ``\\input``: booktabs rules, nothing else is needed.

Everything that TeX would take for a command is escaped. Signs outside ASCII that the reports use are written as TeX
commands; Chinese names of corpora or systems stay as they are and need XeLaTeX or LuaLaTeX with a Chinese font.
"""

from __future__ import annotations

import re

from ugsd_core.evaluation.document import Document, Section, Table

__all__ = ["as_latex", "tex"]

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}\allowbreak{}",
    '"': "''",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≠": r"$\neq$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "ε": r"$\varepsilon$",
    "σ": r"$\sigma$",
    "Σ": r"$\Sigma$",
    "Δ": r"$\Delta$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "½": r"$\frac{1}{2}$",
    "→": r"$\rightarrow$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\u00a0": "~",
    "\u202f": r"\,",
}
RAISED = {**{sign: str(number) for number, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}, "ᵃ": "a", "ᵇ": "b"}


def tex(text: str) -> str:
    """Text with nothing left that TeX would take for a command."""

    def raised(found: re.Match[str]) -> str:
        return rf"\textsuperscript{{{''.join(RAISED[sign] for sign in found.group())}}}"

    quoted = re.sub(r"(?<!\w)'([^']+)'(?!\w)", r"‘\1’", text)
    escaped = "".join(SPECIAL.get(sign, sign) for sign in quoted)
    return re.sub(f"[{''.join(RAISED)}]+", raised, escaped)


def as_latex(document: Document) -> str:
    """All tables of a report, one ``table`` environment each, and its definitions as lists."""
    head = (
        f"% {tex(document.title)}\n"
        "% Needs \\usepackage{booktabs} and, for the wide tables, \\usepackage{graphicx}.\n\n"
    )
    tables = [_table(table) for table in document.tables if table.rows]
    lists = [_list(section) for section in document.sections if section.lines]
    return head + "\n".join([*tables, *lists])


def _list(section: Section) -> str:
    items = [rf"\item[{{{tex(name)}}}] {tex(text)}" for name, text in section.lines]
    begin = [rf"\paragraph{{{tex(section.title)}}}", r"\begin{description}\small\raggedright"]
    return "\n".join([*begin, *items, r"\end{description}", ""])


def _table(table: Table) -> str:
    columns = "l" * table.texts + "r" * (len(table.head) - table.texts)
    tabular = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _row(table.head),
        r"\midrule",
        *(_row(row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if len(table.head) > 6:
        tabular = [r"\resizebox{\linewidth}{!}{%", *tabular[:-1], tabular[-1] + "}"]
    notes = [rf"\par\smallskip{{\footnotesize\raggedright {tex(note)}\par}}" for note in table.notes]
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{tex(table.title)}}}",
            rf"\label{{tab:{re.sub('[^a-z0-9]+', '-', table.name.lower())}}}",
            *tabular,
            *notes,
            r"\end{table}",
            "",
        ]
    )


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(tex(cell) for cell in cells) + r" \\"
