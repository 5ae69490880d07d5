"""Errors that a person meets, each with a message that says what to do.

    UgsdError
    ├── AudioError            the recording cannot be captioned (missing, damaged, silent, too short, too long …)
    ├── OptionError           a setting has no meaning or a combination makes no sense
    ├── CheckpointError       a model folder is missing, damaged, or unlike its partner
    ├── InstallationError     a part of the program, or a package that it needs, is not installed
    ├── TraceError            a trace file cannot be read
    ├── PluginError           something installed beside the program can't be used (`ugsd_core.plugins`)
    ├── AnnotationError       what a person did to an annotation cannot be kept (`ugsd_core.annotations.errors`)
    └── WireError             anything between edge and verifier
        ├── ProtocolError         a frame that does not follow the protocol
        │   └── VerifierBusy          not now: the verifier says when to ask again
        ├── HandshakeRefused      the other side said no (version, tokenizer, feature extractor, rule)
        ├── VerifierUnavailable   no connection, or it broke
        └── VerdictTimeout        no answer before the deadline

Every command line turns an `UgsdError` into one sentence on stderr and exit code 2; the page turns it into a
visible message. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

__all__ = [
    "AudioError",
    "CheckpointError",
    "HandshakeRefused",
    "InstallationError",
    "OptionError",
    "PluginError",
    "ProtocolError",
    "TraceError",
    "UgsdError",
    "VerdictTimeout",
    "VerifierBusy",
    "VerifierUnavailable",
    "WireError",
]


class UgsdError(Exception):
    """Base of all errors whose message is meant for a person."""


class AudioError(UgsdError):
    """The recording cannot be captioned.

    Attributes:
        code: A short stable name of the reason (``"missing"``, ``"silent"``, ``"too_long"`` …), for callers that
            react to one of them, such as the page's offer to take the first 30 seconds.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class OptionError(UgsdError):
    """A setting has no meaning, or a combination of settings makes no sense."""


class CheckpointError(UgsdError):
    """A model folder is missing, damaged, or does not fit its partner."""


class InstallationError(UgsdError):
    """A part of the program, or a package that it needs, is not installed."""


class PluginError(UgsdError):
    """A plug-in cannot be imported, has the wrong shape, or failed; the message names its distribution."""


class TraceError(UgsdError):
    """A trace file cannot be read."""


class WireError(UgsdError):
    """Anything that goes wrong between the edge and the verifier."""


class ProtocolError(WireError):
    """A frame that does not follow the protocol.

    Attributes:
        code: The error code that is sent to the other side.
    """

    def __init__(self, message: str, code: str = "bad_frame") -> None:
        super().__init__(message)
        self.code = code


class VerifierBusy(ProtocolError):
    """The verifier takes no more requests just now.

    Attributes:
        retry_after_s: When to ask again.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, "busy")
        self.retry_after_s = retry_after_s


class HandshakeRefused(WireError):
    """The other side refused the session, or a caption's settings.

    Attributes:
        code: ``"version"``, ``"tokenizer"``, ``"features"``, ``"token"``, ``"busy"``, ``"limited"`` (this client has
            as many sessions as it may), or ``"rule"``: the verifier does not have the acceptance rule that was asked
            for.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class VerifierUnavailable(WireError):
    """No connection to the verifier, or it broke."""


class VerdictTimeout(WireError):
    """The verifier did not answer before the deadline."""
