"""``ugsd caption``: caption a recording, from the file to the last figure."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ugsd_core.cli.edge_access import edge_token
from ugsd_core.cli.output import progress, show
from ugsd_core.errors import OptionError, VerifierUnavailable
from ugsd_core.options import PRESETS, DecodingOptions, preset
from ugsd_core.traces import TraceWriter

if TYPE_CHECKING:
    from ugsd_core.verifier import VerifierLink
    from ugsd_core.wire.emulated import Conditions
    from ugsd_core.wire.process import VerifierProcess

__all__ = ["options_from", "run"]

#: Options of the command line that have the name of the setting they set.
SAME_NAME = (
    "mode",
    "language",
    "prompt",
    "gate",
    "tau",
    "budget",
    "promise",
    "cut",
    "acceptance",
    "rank",
    "probability",
    "fusion",
    "k_short",
    "k_long",
    "bonus",
    "temperature",
    "seed",
    "escalation_probability",
    "mc_dropout_samples",
    "max_tokens",
    "top_k",
    "deadline_s",
    "ahead",
)


def options_from(args: argparse.Namespace) -> DecodingOptions:
    """The preset with what was typed replaced. ``--block-length 8`` is short for fixed blocks of 8.

    Raises:
        OptionError: If a value has no meaning.
    """
    changes = {name: getattr(args, name) for name in SAME_NAME}
    changes |= {"block_length": args.block_length, "k": args.k}
    if args.block_length is not None and args.block_length not in ("fixed", "adaptive", "delay"):
        try:
            length = int(args.block_length)
        except ValueError:
            raise OptionError(
                f"the block length is a number, 'adaptive', 'delay' or 'fixed', not {args.block_length!r}"
            ) from None
        if args.k not in (None, length):
            raise OptionError(f"--block-length {length} and --k {args.k} contradict each other; give one of them")
        changes |= {"block_length": "fixed", "k": length}
    if args.block_length == "adaptive" and args.k is None:
        changes["k"] = PRESETS["paper"].k  # another preset's fixed k is no k0
    return preset(args.preset, **changes)


def _check_names(options: DecodingOptions) -> None:
    """Find a mistyped name now, not after the models were loaded."""
    from ugsd_core.acceptance import acceptance_rule
    from ugsd_core.gate import gate
    from ugsd_core.models.prompts import prompt_names

    gate(options, "")
    acceptance_rule(options.acceptance, rank=options.rank, probability=options.probability)
    if options.prompt is not None and options.prompt not in prompt_names():
        raise OptionError(f"there is no prompt named {options.prompt!r}; choose one of {', '.join(prompt_names())}")


def run(args: argparse.Namespace) -> int:
    """Caption a recording.

    Raises:
        UgsdError: With one sentence for a person; whatever was started has been ended.
    """
    options = options_from(args)
    _check_names(options)
    conditions = _conditions(args, options)
    if options.mode == "edge" and (args.verifier or args.verifier_checkpoint):
        raise OptionError("--mode edge asks no verifier; leave out --verifier and --verifier-checkpoint")
    if args.verifier and args.verifier_checkpoint:
        raise OptionError("a running verifier has its checkpoint loaded; leave out --verifier-checkpoint")
    with progress("reading the recording", quiet=args.quiet):
        from ugsd_core.audio import load_utterance
        from ugsd_core.speech_presence import listened

        utterance = listened(load_utterance(args.clip, first_30_s=args.first_30_s))
    with ExitStack() as stack:
        trace = stack.enter_context(TraceWriter(args.trace)) if args.trace else None
        # A verifier of our own loads its model in its process while this one loads the edge.
        own = None if options.mode == "edge" or args.verifier else stack.enter_context(_own_verifier(args))
        link = _link(args.verifier, conditions, stack) if args.verifier else None
        with progress("loading the edge model", quiet=args.quiet):
            from ugsd_core.captioner import Captioner

            captioner = Captioner.load(
                args.edge, link=link, device=args.device, dtype=args.edge_dtype or args.dtype, backend=args.edge_backend
            )
            captioner.emulated = "" if conditions.plain else str(conditions)
        if own is not None:
            with progress("starting a verifier", quiet=args.quiet):
                captioner.link = _link(_address(own), conditions, stack)
        show(captioner.stream(utterance, options), args, trace)
    return 0


def _conditions(args: argparse.Namespace, options: DecodingOptions) -> Conditions:
    """What the link is to be like.

    Raises:
        OptionError: If it has no meaning, or there is no link.
    """
    from ugsd_core.wire.emulated import Conditions

    found = Conditions.parse(args.link)
    if options.mode == "edge" and not found.plain:
        raise OptionError("--mode edge asks no verifier, so there is no link to emulate; leave out --link")
    return found


def _link(address: str, conditions: Conditions, stack: ExitStack) -> VerifierLink:
    """A link that lives as long as the stack."""
    from ugsd_core.wire.reconnect import ReconnectingLink
    from ugsd_core.wire.shaped import ShapedLink

    if conditions.plain:
        link = ReconnectingLink(address, access_token=edge_token())
        stack.callback(link.close)
        return link
    return stack.enter_context(ShapedLink(address, conditions, access_token=edge_token()))


def _own_verifier(args: argparse.Namespace) -> VerifierProcess:
    from ugsd_core.wire.process import VerifierProcess

    words = ["--device", args.device, "--dtype", args.dtype]
    if args.verifier_checkpoint:
        words += ["--checkpoint", args.verifier_checkpoint]
    return VerifierProcess(words, wait=False)


def _address(own: VerifierProcess) -> str:
    """Where our verifier listens, once it does."""
    try:
        return own.address
    except VerifierUnavailable as error:
        # What a person can mend, the child has said in one sentence, in the way of every command here.
        said = [line.removeprefix("ugsd: ") for line in str(error).splitlines() if line.startswith("ugsd: ")]
        if said:
            raise VerifierUnavailable(f"the verifier could not start: {said[-1]}") from error
        raise
