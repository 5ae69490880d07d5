"""Annotation: people judge captions, and nothing they did is lost. `docs/annotations.md` is the long form.

events.py       what happened: the only thing that is kept for good
state.py        the fold of the events: where an answer stands now
store.py        the append-only store; `sqlite.py` and `postgres.py` open one by address
campaign.py     what is asked: items, guidelines, flag taxonomy (`taxonomy.py`), overlap, blind mode, gold items
sources.py      a campaign's items from a run folder, traces or a manifest
answers.py      what an annotator says of a caption, checked against the taxonomy
queues.py       which item an annotator gets next
service.py      all of it for one signed-in person, with the access rules: what page and programs hold
agreement.py    percent agreement, Cohen's and Fleiss' κ, Krippendorff's α
review.py       disagreements, adjudication, time and rate
export.py, imports.py, snapshot.py, forget.py, identity.py, inbox.py, media.py
"""
