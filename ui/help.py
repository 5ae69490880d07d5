"""What the page says of itself, in plain words."""

from __future__ import annotations

__all__ = ["SUBTITLE", "TITLE", "WHAT_AM_I_LOOKING_AT"]

TITLE = "UGSD Studio"
SUBTITLE = (
    "A small model on this machine drafts; a large one is asked only where the draft is unsure. "
    "Your recording stays here."
)

WHAT_AM_I_LOOKING_AT = """
**Two models write one caption** about *how* something is said: the voice, and the feeling in it.

1. A small model, the *edge*, runs on this machine. It hears the recording and drafts the caption a few tokens at a
   time. A token is a word or a part of one. Four tokens or so make a *block*.
2. For each token the edge also knows how unsure it was: the *entropy* of its choice, in nats. The warmer the
   background, the less sure.
3. A *gate* looks at each block. If its score passes a threshold, the block is sent to the large model, the
   *verifier*, which runs as a separate program, here or on another machine. Otherwise the block stays as it is and
   nothing is asked.
4. The verifier judges a whole block at once. Tokens it would have chosen too (within its r best) are **accepted**. The
   first that fails is **rejected** and **corrected**; what was drafted after it is **ignored**, and the edge goes on
   from the correction.

**How often is it asked?** You choose what limits it. A *budget* is a share of the drafted tokens: the threshold follows
the voices it hears, so that no more is sent over many captions; one caption alone may spend more or less. A *promise*
is a share of captions in which an emotion may stay that the verifier would have changed; it was set on other
speakers, and is not certain for yours. τ is the threshold itself.

**Who names the emotion?** Some rules let the verifier alone decide, and *fused* multiplies both models' views: the edge
then sends its own, nine bytes, with the word.

**What is sent?** Once per recording the *acoustic code*, a coarse picture of the sound, and then only token numbers.
The recording itself is never sent. The code is not nothing, though: speech that can be understood may be made from it
again. *What left this machine* counts every byte.

**If the verifier is away** the edge goes on alone, and the tokens that should have been checked are marked
**unverified**.

**Reading the strip:** every state has a shape of its own, so colour is never needed to tell them apart. Press a state
in the legend to see its tokens alone. Point at a token, tap it, or walk with the arrow keys to read why it is there.

The captions are a research demonstration. A model's guess about a feeling can be wrong, and says nothing certain about
the person who spoke.
"""
