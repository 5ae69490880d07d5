"""Parts of the page, each a pure function of what the events said and a little markup."""

from __future__ import annotations
