"""The server's side of the tab *Annotate*: who is signed in, what the page may ask, and what it is told."""
