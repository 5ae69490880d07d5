"""Errors of the annotation side, each with a sentence that says what to do.

UgsdError
└── AnnotationError       base; ``code`` is a short stable name of the reason
    ├── AnswerError           an answer does not fit the campaign (a kind of flag it does not know, an empty flag …)
    ├── AccessDenied          this person may not see or do that
    ├── EventConflict         an event id was used twice, or another window was faster
    └── StoreError            the store can't be opened, is damaged, or was written by a newer version
"""

from __future__ import annotations

from ugsd_core.errors import UgsdError

__all__ = ["AccessDenied", "AnnotationError", "AnswerError", "EventConflict", "StoreError"]


class AnnotationError(UgsdError):
    """Base of what goes wrong with annotations.

    Attributes:
        code: A short stable name of the reason (``"unknown_campaign"``, ``"not_heard"``, ``"full"`` …), for callers
            that react to one of them.
    """

    def __init__(self, message: str, code: str = "annotation") -> None:
        super().__init__(message)
        self.code = code


class AnswerError(AnnotationError):
    """An answer that can't be taken as it is.

    Attributes:
        field: The part of the form that it is about: ``"verdict"``, ``"flags"``, ``"corrected"``, ``"listened"`` …
    """

    def __init__(self, message: str, field: str, code: str = "answer") -> None:
        super().__init__(message, code)
        self.field = field


class AccessDenied(AnnotationError):
    """This person may not see or do that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "denied")


class EventConflict(AnnotationError):
    """An event that contradicts one that is kept already; nothing was written.

    ``code`` is ``"event_id"`` (another content under the same id), ``"revision"`` (another window was faster) or
    ``"undo"`` (there is nothing to take back, or something newer).
    """


class StoreError(AnnotationError):
    """The store can't be opened, is damaged, or was written by a newer version."""

    def __init__(self, message: str, code: str = "store") -> None:
        super().__init__(message, code)
