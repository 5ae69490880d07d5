"""One of each kind of plug-in, as `docs/plugins.md` shows them."""
