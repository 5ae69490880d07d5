"""Options of a command from a TOML file: what is typed beats the file, and the file beats the defaults.

The keys are the options as they are typed, without the dashes in front; options of a group of the help stand in a
table by its name. All of it is read from the command's own parser, so that a new option is a key by itself. Secrets
are never among them: an access token comes from the environment, or from a file that is named here.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError

__all__ = ["add_config", "configured", "written"]

#: Names of options that would hold a secret themselves; a file must neither hold nor show one.
_SECRET = re.compile(r"(token|secret|password)$")
_WIDTH = 100


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config`` and ``--print-config`` to a command."""
    parser.add_argument(
        "--config", dest="config_file", metavar="FILE.toml", help="take options from a file; what is typed goes first"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the options as they are in effect, as such a file, and end"
    )


@dataclass(frozen=True, slots=True)
class _Key:
    """An option as a key of the file."""

    table: str
    name: str
    action: argparse.Action

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.name} in [{self.table}]" if self.table else self.name

    def is_called(self, name: str) -> bool:
        """Whether the option can be typed by this name; some have two."""
        return f"--{name}" in self.action.option_strings


def configured(parser: argparse.ArgumentParser, argv: Sequence[str], args: argparse.Namespace) -> argparse.Namespace:
    """The arguments again, with the file's values where nothing was typed.

    Args:
        parser: The one with all commands.
        args: What ``argv`` gave without the file; ``command`` and ``config_file`` are read.

    Raises:
        OptionError: If the file cannot be read, or holds what is no option or no value of one.
    """
    command = _command(parser, args.command)
    values = _read(Path(args.config_file).expanduser(), command)
    for key in _keys(command):  # what is typed takes the place of the file's list, and is not added to it
        if _appends(key.action) and getattr(args, key.action.dest) != key.action.default:
            values.pop(key.action.dest, None)
    command.set_defaults(**values)
    return parser.parse_args(argv)


def written(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str:
    """The options of a command as they are in effect, as a file that gives the same.

    Args:
        parser: The one with all commands.
    """
    command = _command(parser, args.command)
    lines = [f"# {' '.join(command.prog.split())} --config FILE: what is typed beats this file."]
    table = ""
    for key in _keys(command):
        if key.table != table:
            table = key.table
            lines += ["", f"[{table}]"]
        value = getattr(args, key.action.dest)
        what = str(key.action.help or "").replace("%%", "%")
        lines += ["", *textwrap.wrap(what, _WIDTH, initial_indent="# ", subsequent_indent="# ")]
        # None is no value of TOML: what nobody chose stands as a comment.
        lines.append(f"# {key.name} =" if value is None else f"{key.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _command(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found: argparse.ArgumentParser = action.choices[name]
            return found
    return parser


def _keys(parser: argparse.ArgumentParser) -> Iterator[_Key]:
    """Keys in the order of the help, those without a table first."""
    groups = [(_table(parser, group), group) for group in parser._action_groups]
    for table, group in sorted(groups, key=lambda pair: bool(pair[0])):
        for action in group._group_actions:
            name = next((word[2:] for word in action.option_strings if word.startswith("--")), None)
            if name is None or action.dest in ("help", "config_file", "print_config") or _SECRET.search(name):
                continue
            yield _Key(table, name, action)


def _table(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> str:
    """Name of a group's table; options of no group stand in none."""
    if group in (parser._positionals, parser._optionals):
        return ""
    return re.sub(r"[^a-z0-9]+", "-", str(group.title).lower()).strip("-")


def _read(path: Path, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Values by the names that the parser gives them."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"the file {path} cannot be read ({getattr(error, 'strerror', None) or error})") from error
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{path} is no TOML: {error}") from error
    keys = list(_keys(parser))
    values: dict[str, Any] = {}
    for table, name, value in _entries(found, {key.table for key in keys}):
        key = next((key for key in keys if key.table == table and name and key.is_called(name)), None)
        place = f"{path}{_line(text, table, name)}"
        if key is None:
            raise OptionError(f"{place}: {_unknown(table, name, keys)}")
        values[key.action.dest] = _value(place, key, value)
    return values


def _entries(found: dict[str, Any], tables: set[str]) -> Iterator[tuple[str, str, Any]]:
    for name, value in found.items():
        if isinstance(value, dict):
            if name not in tables:
                yield name, "", None
            for inner, entry in value.items():
                yield name, inner, entry
        else:
            yield "", name, value


def _unknown(table: str, name: str, keys: list[_Key]) -> str:
    """What is wrong with a key that does not exist, and what was probably meant."""
    if _SECRET.search(name):
        return f"a secret does not belong into this file ({name}); it comes from the environment or a file of its own"
    if not name:
        tables = sorted({key.table for key in keys if key.table})
        near = difflib.get_close_matches(table, tables, 1, 0.5)
        return f"there is no table [{table}]; " + (f"[{near[0]}] is near" if near else f"there are {_listed(tables)}")
    same = next((key for key in keys if key.is_called(name.replace("_", "-"))), None)
    if same is not None:
        where = f"in [{same.table}]" if same.table else "above the first table"
        return f"{name} stands {where}, as {same.name}"
    by_name = {key.name: key for key in keys}
    near = difflib.get_close_matches(name.replace("_", "-"), by_name, 1, 0.5)
    hint = f"; {by_name[near[0]].place} is near" if near else "; --print-config lists all"
    return f"there is no option {name}{hint}"


def _value(place: str, key: _Key, value: Any) -> Any:
    """A value as the parser would give it."""
    action = key.action
    if action.nargs == 0:  # a switch
        return _checked(place, key, value, isinstance(value, bool), "true or false")
    if isinstance(action, argparse.BooleanOptionalAction):
        return _checked(place, key, value, isinstance(value, bool), "true or false")
    several = action.nargs in ("+", "*") or isinstance(action.nargs, int) or _appends(action)
    if not several:
        return _single(place, key, value)
    _checked(place, key, value, isinstance(value, list), "a list")
    return [_single(place, key, entry) for entry in value]


def _appends(action: argparse.Action) -> bool:
    return isinstance(action, argparse._AppendAction | argparse._ExtendAction)


def _single(place: str, key: _Key, value: Any) -> Any:
    """One value, of the option's type and among its choices."""
    kind = key.action.type
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        _checked(place, key, value, isinstance(value, int) and number, "a whole number")
    elif kind is float:
        _checked(place, key, value, number, "a number")
        value = float(value)
    elif kind is None or kind in (str, Path):
        _checked(place, key, value, isinstance(value, str), "a text in quotes")
        value = kind(value) if isinstance(kind, type) else value
    else:  # it reads what is typed
        _checked(place, key, value, number or isinstance(value, str), "a text in quotes, or a number")
        try:
            value = kind(str(value))  # type: ignore[operator]
        except (argparse.ArgumentTypeError, ValueError, TypeError) as error:
            raise OptionError(f"{place}: {key.name} cannot be {json.dumps(value)} ({error})") from error
    if key.action.choices is not None and value not in key.action.choices:
        choices = [str(choice) for choice in key.action.choices]
        near = difflib.get_close_matches(str(value), choices, 1, 0.5)
        hint = f"; {near[0]} is near" if near else ""
        raise OptionError(f"{place}: {key.name} is one of {_listed(choices)}, not {_shown(value)}{hint}")
    return value


def _checked(place: str, key: _Key, value: Any, fits: bool, what: str) -> Any:
    if not fits:
        raise OptionError(f"{place}: {key.name} is {what}, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)[:60]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _line(text: str, table: str, name: str) -> str:
    """``, line 7`` of a key or, without one, of its table; nothing if it is written in some other way."""
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*[\"']?([^\]\"']+?)[\"']?\s*\]", line)
        if header:
            inside = header[1]
            if not name and inside == table:
                return f", line {number}"
        elif name and inside == table and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return f", line {number}"
    return ""


def _toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)  # TOML's basic strings escape as JSON's do
