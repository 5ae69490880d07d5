"""Help texts that name plug-ins, looked for only when the help is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ugsd_core.plugins import Kind

__all__ = ["WithPlugins"]


class WithPlugins(str):
    """A help text that ends with the plug-ins of a kind, if there are any.

    argparse fills help texts by ``text % values``, and only those that it prints.
    """

    __slots__ = ("_kind",)
    _kind: Kind

    def __new__(cls, kind: Kind, text: str) -> WithPlugins:
        """The text, and which plug-ins go with it."""
        made = super().__new__(cls, text)
        made._kind = kind
        return made

    def __mod__(self, values: Any) -> str:
        from ugsd_core.plugins import declared

        names = [name for name, entry in declared(self._kind).items() if not entry.problem]
        filled = super().__mod__(values)
        return f"{filled}; installed beside it: {', '.join(names)}" if names else filled
