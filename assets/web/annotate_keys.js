// Keys, help, views, and the beginning. In scope: annotate_work.js and what it has.
// ── Keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────
const guide = find(".ann-guide");
const KEYS = {
  a: () => form.setVerdict("accept"),
  f: () => form.setVerdict("flag"),
  s: () => decide("skipped"),
  u: undo,
  t: () => tokens.focus(),
  c: () => form.fields.corrected.focus(),
  n: () => form.fields.note.focus(),
  g: () => (guide.open = !guide.open),
  l: () => earlier.enter(),
  o: goBack,
  r: () => player.again(),
  b: () => player.start(),
  "-": () => player.faster(-1),
  "+": () => player.faster(1),
  "=": () => player.faster(1),
  "?": () => help(true),
};
SEVERITY_KEYS.forEach((key, place) => (KEYS[key] = () => form.setSeverity(place)));
for (let number = 1; number <= 9; number++) KEYS[String(number)] = () => form.toggleKind(number - 1);

const typing = (node) => node.matches?.("textarea, select, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio], [type=button])");

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  if (!person || view !== "work" || helpBox.open || !region.checkVisibility()) {
    const idle = person && view === "work" && !helpBox.open && nothing.checkVisibility() && !typing(event.target);
    if (idle && single && !event.ctrlKey && !event.metaKey && !event.altKey && "ulg?".includes(event.key)) {
      event.preventDefault();
      KEYS[event.key]();
    }
    return;
  }
  const inside = element.contains(event.target) || event.target === document.body;
  if (!inside) return;
  const command = event.ctrlKey || event.metaKey, field = typing(event.target);
  const done = (act) => {
    event.preventDefault();
    act();
  };
  // These work everywhere, also while typing.
  if (event.altKey && !command && event.code === "KeyK") return done(player.toggle);
  if (event.altKey && !command && event.code === "KeyJ") return done(player.again);
  if (command && !event.altKey && event.key === "Enter") return done(() => decide("submitted"));
  if (field) {
    if (event.key === "Escape") done(() => region.focus());
    return;
  }
  if (command && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "z") return done(undo);
  if (command || event.altKey) return;
  if (event.key === "Escape" && event.target.closest?.(".ann-tokens")) return done(() => region.focus());
  const pressing = event.target.closest?.("button, a, summary, select, input");
  if (event.key === "Enter" && !pressing) return event.repeat ? event.preventDefault() : done(() => decide("submitted"));
  if (event.key === " " && !pressing) return done(player.toggle);
  if (busy) return;
  const act = single && KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act && !(event.repeat && "asfu".includes(event.key))) done(act);
});

function drawKeys() {
  element.classList.toggle("without-keys", !single);
  find(".ann-single input").checked = single;
}
find(".ann-single input").addEventListener("change", (event) => {
  single = event.target.checked;
  store.set("ugsd-annotate-keys", single ? "on" : "off");
  drawKeys();
});
function help(open) {
  if (open) helpBox.showModal();
  else helpBox.close();
}
find(".ann-help-open").addEventListener("click", () => help(true));
find(".ann-help-close").addEventListener("click", () => help(false));
helpBox.addEventListener("close", () => region.checkVisibility() && region.focus({ preventScroll: true }));
const autoplay = find(".ann-autoplay input");
autoplay.checked = store.get("ugsd-annotate-autoplay") !== "off";
player.setAutoplay(autoplay.checked);
autoplay.addEventListener("change", () => {
  player.setAutoplay(autoplay.checked);
  store.set("ugsd-annotate-autoplay", autoplay.checked ? "on" : "off");
});

submit.addEventListener("click", () => decide("submitted"));
skip.addEventListener("click", () => decide("skipped"));
undoButton.addEventListener("click", undo);
find(".ann-nothing button").addEventListener("click", undo);
find(".ann-return").addEventListener("click", goBack);
// After a click the keys go on; whoever came by Tab stays where they are.
workView.addEventListener("click", (event) => {
  if (event.detail > 0 && event.target.closest(".choice, .flag-pick, [data-player], .ann-submit, .ann-skip, .ann-undo")) region.focus({ preventScroll: true });
});

// ── Views ─────────────────────────────────────────────────────────────────────────────────────────────────────────
for (const button of element.querySelectorAll("[data-view]")) button.addEventListener("click", () => look(button.dataset.view));
async function look(name) {
  view = name;
  for (const button of element.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
  [workView.hidden, reviewView.hidden] = [view !== "work", view !== "review"];
  player.finish();
  saveNow();
  if (view === "review" && rules) await attempt(() => reviewing.open(rules));
}

addEventListener("pagehide", saveNow);
document.addEventListener("visibilitychange", () => document.hidden && saveNow());
element.addEventListener("focusout", (event) => typing(event.target) && saveNow());
new IntersectionObserver(([seen]) => !seen.isIntersecting && !element.checkVisibility() && player.finish()).observe(element);
document.addEventListener("ugsd-locale", relabel);
const wide = matchMedia("(min-width: 1000px)");
guide.open = wide.matches;
relabel();
begin().catch(() => {
  drawDoor();
  find(".ann-door-problem").textContent = say("annotate.error.offline");
});
