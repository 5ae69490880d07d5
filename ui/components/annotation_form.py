"""The tab *Annotate* as one component: its markup; what it does is in ``assets/web/annotate*.js`` and ``review.js``.

It has no value: it asks the server below ``/annotate`` (`ui.annotation.routes`), so that a submit is one small request
and Gradio has nothing to draw anew between two clips. Words come by key (``data-say`` and the like) in both languages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ui.assets import web_asset
from ui.language import words

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["SCRIPTS", "annotation_form", "markup"]

#: In the order in which they need one another.
SCRIPTS: tuple[str, ...] = (
    "words.js", "annotate_client.js", "annotate_player.js", "annotate_form.js", "annotate_earlier.js", "review.js",
    "annotate.js", "annotate_work.js", "annotate_keys.js"
)  # fmt: skip

_DOOR = """
<section class="ann-door card">
  <h2 data-say="annotate.door.title"></h2>
  <p class="ann-lead"></p>
  <form>
    <label class="ann-name"><span data-say="annotate.door.name"></span>
      <input name="name" type="text" autocomplete="username" maxlength="99" required></label>
    <label class="ann-secret"><span data-say="annotate.door.password"></span>
      <input name="password" type="password" autocomplete="current-password">
      <small class="ann-secret-hint"></small></label>
    <fieldset class="ann-roles"><legend data-say="annotate.door.role"></legend>
      <label><input type="radio" name="role" value="annotator" checked>
        <span data-say="annotate.role.annotator"></span></label>
      <label><input type="radio" name="role" value="reviewer"> <span data-say="annotate.role.reviewer"></span></label>
    </fieldset>
    <p class="ann-door-problem" role="alert"></p>
    <button type="submit" class="ann-enter strong"></button>
    <a class="ann-oauth strong" data-say="annotate.door.oauth" hidden></a>
  </form>
</section>
"""

_BAR = """
<header class="ann-bar card">
  <label class="ann-pick"><span data-say="annotate.campaign"></span> <select class="ann-campaign"></select></label>
  <div class="ann-counts">
    <progress class="ann-progress" data-label="annotate.progress.label" value="0" max="1"></progress>
    <span class="ann-progress-text"></span>
  </div>
  <div class="ann-views" role="group" data-label="annotate.views">
    <button type="button" data-view="work" data-say="annotate.view.work" aria-pressed="true"></button>
    <button type="button" data-view="review" data-say="annotate.view.review" aria-pressed="false"></button>
  </div>
  <span class="ann-saved" data-state="saved"></span>
  <span class="ann-who"><span class="ann-person"></span>
    <button type="button" class="ann-leave plain" data-say="annotate.leave"></button>
    <button type="button" class="ann-help-open plain" data-label="annotate.keys.title">
      <kbd aria-hidden="true">?</kbd></button></span>
</header>
"""

_PLAYER = """
<div class="ann-player" role="group" data-label="annotate.player">
  <audio preload="auto"></audio>
  <div class="ann-sound">
    <button type="button" class="ann-play strong" data-player="play" aria-keyshortcuts="Space">▶</button>
    <canvas data-player="wave" aria-hidden="true"></canvas>
  </div>
  <div class="ann-transport">
    <input type="range" data-player="seek" min="0" max="1" step="0.01" value="0" data-label="annotate.player.seek">
    <span data-player="clock"></span>
    <button type="button" data-player="again" class="plain" aria-keyshortcuts="r"><kbd aria-hidden="true">R</kbd>
      <span data-say="annotate.player.again"></span></button>
    <label class="ann-speed"><span data-say="annotate.player.speed"></span>
      <select data-player="speed"></select></label>
    <label class="ann-autoplay"><input type="checkbox"> <span data-say="annotate.player.autoplay"></span></label>
    <span data-player="heard" class="ann-heard"></span>
  </div>
  <p data-player="missing" class="soft"></p>
</div>
"""

_FORM = """
<div class="ann-form">
  <div class="ann-verdicts" data-form="verdicts" role="group" data-label="annotate.verdict">
    <button type="button" class="choice" data-verdict="accept" aria-keyshortcuts="a"><kbd aria-hidden="true">A</kbd>
      <span data-say="annotate.verdict.accept"></span></button>
    <button type="button" class="choice" data-verdict="flag" aria-keyshortcuts="f"><kbd aria-hidden="true">F</kbd>
      <span data-say="annotate.verdict.flag"></span></button>
    {skip}
  </div>
  <div class="ann-flags">
    <p class="ann-label" id="{name}-kinds" data-say="annotate.kinds"></p>
    <div class="ann-kinds" data-form="kinds" role="group" aria-labelledby="{name}-kinds"></div>
    <p class="ann-label" id="{name}-severities" data-say="annotate.severities"></p>
    <div class="ann-severities" data-form="severities" role="group" aria-labelledby="{name}-severities"></div>
    <ul class="ann-flag-list" data-form="flags" data-label="annotate.flags" hidden></ul>
  </div>
  <div class="ann-texts">
    <label><span class="ann-label"><kbd aria-hidden="true">C</kbd> <span data-say="annotate.corrected"></span></span>
      <textarea data-form="corrected" rows="2" maxlength="4000" aria-keyshortcuts="c"></textarea></label>
    <label><span class="ann-label"><kbd aria-hidden="true">N</kbd> <span data-say="annotate.note"></span></span>
      <textarea data-form="note" rows="2" maxlength="4000" data-hint="annotate.note.hint"
        aria-keyshortcuts="n"></textarea></label>
  </div>
  <p class="ann-problem" data-form="problem" role="alert"></p>
</div>
"""

_SKIP = """<button type="button" class="ann-skip choice" aria-keyshortcuts="s"><kbd aria-hidden="true">S</kbd>
      <span data-say="annotate.skip"></span></button>"""

_WORK = """
<div class="ann-work">
  <div class="ann-main card">
    <div class="ann-nothing" hidden><p></p><button type="button" class="plain" data-say="annotate.undo"></button></div>
    <div class="ann-item" tabindex="-1" role="region" data-label="annotate.item" hidden>
      <div class="ann-conflict message" role="alert" hidden><span data-say="annotate.conflict.told"></span>
        <button type="button" class="ann-mine plain" data-say="annotate.conflict.mine"></button>
        <button type="button" class="ann-theirs plain" data-say="annotate.conflict.theirs"></button></div>
      <div class="ann-revisit message" hidden><span></span>
        <button type="button" class="ann-return plain" aria-keyshortcuts="o"><kbd aria-hidden="true">O</kbd>
          <span data-say="annotate.earlier.back"></span></button></div>
      {player}
      <p class="ann-system soft" hidden></p>
      <div class="ann-caption">
        <p class="ann-label"><kbd aria-hidden="true">T</kbd>
          <span class="by-mouse" data-say="annotate.tokens.hint"></span>
          <span class="by-finger" data-say="annotate.tokens.touch"></span></p>
        <div class="ann-tokens" role="listbox" aria-multiselectable="true" aria-orientation="horizontal"
          data-label="annotate.tokens"></div>
      </div>
      {form}
      <div class="ann-actions">
        <button type="button" class="ann-submit strong"><kbd aria-hidden="true">↵</kbd>
          <span data-say="annotate.submit"></span></button>
        <button type="button" class="ann-undo plain" aria-keyshortcuts="u Control+z"><kbd aria-hidden="true">U</kbd>
          <span data-say="annotate.undo"></span></button>
      </div>
    </div>
  </div>
  <aside class="ann-side">
    <details class="ann-guide card"><summary><kbd aria-hidden="true">G</kbd>
      <span data-say="annotate.guidelines"></span></summary>
      <div class="ann-guidelines"></div><p class="ann-rules soft"></p></details>
    <details class="ann-earlier card"><summary><kbd aria-hidden="true">L</kbd> <span></span></summary>
      <ul class="ann-earlier-list"></ul><button type="button" class="ann-earlier-more plain" hidden></button></details>
  </aside>
</div>
"""

_REVIEW = """
<div class="ann-review" hidden>
  <section class="card"><h2 data-say="annotate.review.agreement"></h2><div class="rev-agreement"></div></section>
  <div class="rev-columns">
    <section class="card"><div class="rev-lists" role="group" data-label="annotate.review.lists">
        <button type="button" data-list="disagreements" aria-pressed="true"></button>
        <button type="button" data-list="answered" aria-pressed="false"></button></div>
      <ul class="rev-list"></ul></section>
    <section class="rev-panel card" tabindex="-1" data-label="annotate.review.item" hidden>
      <h3 class="rev-title"></h3><p class="rev-about soft"></p><ul class="rev-references"></ul>
      <audio controls preload="metadata" data-label="annotate.player"></audio>
      <div class="rev-gold"></div><div class="rev-answers"></div><p class="rev-problem" role="alert"></p>
      <details class="more"><summary data-say="annotate.review.own"></summary>
        <div class="rev-tokens ann-tokens" role="listbox" aria-multiselectable="true" aria-orientation="horizontal"
          data-label="annotate.tokens"></div>{form}
        <button type="button" class="rev-own strong" data-say="annotate.review.own_submit"></button></details>
    </section>
  </div>
  <section class="card"><h2 data-say="annotate.review.people"></h2><div class="rev-people"></div></section>
  <section class="card"><h2 data-say="annotate.review.files"></h2>
    <div class="rev-files"><label><input type="checkbox"> <span data-say="annotate.review.hashed"></span></label>
      {files}</div></section>
</div>
"""

_HELP = """
<dialog class="ann-help" data-label="annotate.keys.title">
  <h2 data-say="annotate.keys.title"></h2>
  <div class="ann-keys" tabindex="0" role="region" data-label="annotate.keys.title"><dl>{keys}</dl></div>
  <p class="soft" data-say="help.annotate.typing"></p>
  <p class="soft" data-say="help.annotate.saving"></p>
  <label class="ann-single"><input type="checkbox"> <span data-say="annotate.keys.single"></span></label>
  <button type="button" class="ann-help-close strong" data-say="annotate.keys.close"></button>
</dialog>
"""

#: What the help lists: keys, and the word of each.
KEYS: tuple[tuple[str, str], ...] = (
    ("A", "accept"), ("F", "flag"), ("S", "skip"), ("1 … 9", "kind"), ("Q W E", "severity"), ("↵", "submit"),
    ("U, Ctrl Z", "undo"), ("␣", "play"), ("R", "again"), ("B", "start"), ("− +", "speed"), ("T, ← →, ⇧ ← →", "tokens"),
    ("C", "corrected"), ("N", "note"), ("G", "guidelines"), ("L", "earlier"), ("O", "back"),
    ("Alt K", "play_typing"), ("Alt J", "again_typing"),
    ("Ctrl ↵", "submit_typing"), ("Esc", "leave_field"), ("?", "help"),
)  # fmt: skip
FORMATS: tuple[str, ...] = ("latest", "events", "csv", "dataset")


def markup() -> str:
    """All of it; nothing depends on who is looking, so Gradio never draws it anew."""
    caps = {word: "".join(f"<kbd>{key}</kbd> " for key in names.split(", ")) for names, word in KEYS}
    keys = "".join(f'<dt>{cap}</dt><dd data-say="help.annotate.{word}"></dd>' for word, cap in caps.items())
    files = "".join(
        f'<a class="plain" data-format="{name}" data-say="annotate.export.{name}" href="#"></a>' for name in FORMATS
    )
    work = _WORK.format(player=_PLAYER, form=_FORM.format(name="ann", skip=_SKIP))
    review = _REVIEW.format(form=_FORM.format(name="rev", skip=""), files=files)
    none = (
        '<p class="ann-none card" hidden><span data-say="annotate.no_campaigns"></span>'
        " <code>ugsd annotations create</code></p>"
    )
    desk = f'<section class="ann-desk" hidden>{_BAR}{none}{work}{review}</section>'
    live = '<p class="ann-live" role="status" aria-live="polite"></p>'
    return f'<div class="ann">{_DOOR}{desk}{_HELP.format(keys=keys)}{live}</div>'


def annotation_form(**settings: Any) -> gr.HTML:
    """The component."""
    import gradio as gr

    return gr.HTML(
        value="",
        html_template=markup(),
        js_on_load="\n".join(web_asset(name) for name in SCRIPTS),
        apply_default_css=False,
        words=words("annotate.", "help.annotate.", "state."),
        elem_id=settings.pop("elem_id", "annotate"),
        **settings,
    )
