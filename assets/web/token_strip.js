// Draws the token strip into the markup of ui/components/strip_wire.py.
// In scope: element (the component's root), props (value, words, states, scope), watch(name, callback); and words.js,
// strip_value.js (unpack), strip_threshold.js (asker), strip_replay.js (player), which are put before it.
// Listeners sit on the root once; chips come and go below it. What a token is, is told to the inspector by an event.
const strip = element.querySelector(".strip");
const hint = element.querySelector(".strip-hint");
const note = element.querySelector(".strip-note");
const legend = element.querySelector(".legend");
const cells = []; // one a token: {key, token, block, lead, chip, tail}
let run = null, isolated = null, pinned = null, scheduled = false;
let wanted = null; // key of the token that the value wants pinned
let view = null; // what is drawn: the value itself, or a moment of its replay

// ── Legend ────────────────────────────────────────────────────────────────────────────────────────────────────────
const ramp = make("span", "ramp-line");
const [sure, scale, mark, unsure] = [make("span"), make("span", "ramp"), make("i"), make("span")];
scale.setAttribute("role", "img");
scale.append(mark);
ramp.append(sure, " ", scale, " ", unsure);
legend.append(ramp);
const counters = {};
for (const state of props.states) {
  const button = make("button", "legend-state");
  button.type = "button";
  button.dataset.state = state;
  button.setAttribute("aria-pressed", "false");
  const sample = make("span", "tok " + (state === "waiting" ? "drafted waiting" : state));
  const count = make("b", "", "0");
  button.append(sample, " ", count);
  legend.append(button);
  counters[state] = { count, button, sample };
}

function relabel() {
  hint.textContent = say("strip.hint");
  strip.setAttribute("aria-label", say("strip.label"));
  [sure.textContent, unsure.textContent] = [say("strip.sure"), say("strip.unsure")];
  for (const [state, { button, sample }] of Object.entries(counters)) {
    sample.textContent = say(`state.${state}`);
    button.title = `${say(`state.${state}.means`)} ${say("strip.alone")}`;
  }
  for (const cell of cells) cell.token = null;
  note.textContent = ""; // told again when the chips are drawn
  asker.relabel();
  player.relabel();
  schedule();
}

function isolate(state) {
  isolated = isolated === state ? null : state;
  for (const [name, { button }] of Object.entries(counters)) {
    button.setAttribute("aria-pressed", String(name === isolated));
  }
  dim();
}

function dim() {
  strip.classList.toggle("isolating", isolated !== null);
  for (const { chip } of cells) chip.classList.toggle("match", stateOf(chip) === isolated);
}

// The part of a range input left of its thumb is filled as on Gradio's sliders, by the same variable of page.css.
function fill(range) {
  const share = (range.value - range.min) / (range.max - range.min || 1);
  range.style.setProperty("--range_progress", `${100 * share}%`);
}

const stateOf = (chip) => (chip.dataset.waiting === "true" ? "waiting" : chip.dataset.state);

// ── Chips ─────────────────────────────────────────────────────────────────────────────────────────────────────────
function newCell(key) {
  const chip = make("span", "tok");
  chip.setAttribute("role", "listitem");
  chip.tabIndex = cells.length === 0 ? 0 : -1; // one stop for Tab, arrows within
  const cell = { key, token: null, block: null, chip, lead: document.createTextNode(""), tail: document.createTextNode("") };
  strip.append(cell.lead, chip, cell.tail);
  cells.push(cell);
  return cell;
}

// A block's fate is told by its chips too, so a chip is drawn anew when its block changes. What did not change is the
// same object as before.
function drawCell(cell, token, block) {
  if (cell.token === token && cell.block === block) return;
  [cell.token, cell.block] = [token, block];
  cell.lead.data = token.lead;
  cell.tail.data = token.tail;
  const { chip } = cell;
  chip.textContent = token.text;
  chip.className = ["tok", token.state, token.waiting && "waiting", token.blank && "blank", chip === pinned && "pinned"]
    .filter(Boolean).join(" ");
  chip.dataset.state = token.state;
  chip.dataset.waiting = String(token.waiting);
  chip.dataset.position = token.position;
  chip.dataset.block = token.block;
  chip.style.setProperty("--heat", token.heat);
  chip.setAttribute("aria-label", describe(token, block));
}

const share = (probability) => (probability === null ? "" : say("strip.share", { share: percent(probability) }));

function why(token, block) {
  if (view.mode === "cloud") return say("why.cloud");
  if (!block) return say("why.open");
  if (block.outcome === "unverified") return say("why.unverified");
  const fate = block.sent ? "why.sent" : "why.kept";
  if (block.score === null || block.threshold === null) {
    const reason = block.reason[locale()];
    return reason ? say(`${fate}.reason`, { reason }) : "";
  }
  return say(fate, { score: figure(block.score), threshold: figure(block.threshold) });
}

function describe(token, block) {
  const said = [say("strip.said", { name: nameOf(token), state: say(`state.${token.waiting ? "waiting" : token.state}`) })];
  if (token.rank !== null) said.push(say("strip.rank", { rank: token.rank, share: share(token.p) }));
  if (token.state === "rejected" && token.verifier_top.length) {
    const [text, probability] = token.verifier_top[0];
    const name = text.trim() ? say("strip.quoted", { text: text.trim() }) : say("strip.end");
    said.push(say("strip.preferred", { name, share: share(probability) }));
  }
  if (token.entropy !== null) said.push(say("strip.entropy", { nats: token.entropy.toFixed(2) }));
  said.push(why(token, block));
  return said.join(locale() === "zh" ? "" : " ").trim();
}

function clear() {
  strip.replaceChildren();
  cells.length = 0;
  pinned = null;
  tell(null);
}

function counts(tokens) {
  const found = {};
  for (const token of tokens) {
    const state = token.waiting ? "waiting" : token.state;
    found[state] = (found[state] ?? 0) + 1;
  }
  return found;
}

// What is as it was is left alone: whatever is set, even to the same, is laid out again.
function drawLegend() {
  const found = counts(view.tokens);
  for (const [state, { count, button }] of Object.entries(counters)) {
    const number = String(found[state] ?? 0);
    if (count.textContent !== number) count.textContent = number;
    button.classList.toggle("none", number === "0");
  }
  mark.hidden = view.tau === null;
  mark.style.left = `${Math.min(100, (100 * (view.tau ?? 0)) / view.scale_nats)}%`;
  const title = say("strip.ramp", { nats: view.scale_nats });
  if (ramp.title === title) return;
  ramp.title = title;
  scale.setAttribute("aria-label", title);
}

function draw() {
  scheduled = false;
  if (!props.value || !props.value.tokens) return;
  const value = unpack.view(props.value);
  if (value.run !== run) {
    player.load();
    wanted = value.pin;
  }
  player.refresh(value);
  view = player.view(value);
  const shorter = cells.length > view.tokens.length || cells.some((cell, i) => cell.key !== view.tokens[i].key);
  if (value.run !== run || shorter) clear();
  run = value.run;
  view.tokens.forEach((token, i) => drawCell(cells[i] || newCell(token.key), token, view.blocks[token.block] ?? null));
  if (strip.lang !== value.language) strip.lang = value.language;
  strip.classList.toggle("live", view.live);
  strip.classList.toggle("alone", value.mode === "cloud"); // every token is the verifier's: no need to mark each
  hint.hidden = view.tokens.length > 0 || view.live || player.open();
  strip.hidden = !hint.hidden;
  drawLegend();
  if (isolated) dim();
  asker.draw(view);
  player.draw();
  const sought = wanted === null ? undefined : cells.find((cell) => cell.key === wanted);
  if (sought) {
    pin(sought.chip);
    wanted = null;
  } else if (!note.textContent || view.tokens.length === 0 || pinned) tell(null);
  element.dataset.updates = Number(element.dataset.updates || 0) + 1;
}

// At most one drawing a frame; it reads the value when it draws, so that the last one always shows.
function schedule() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(draw, 0);
  else requestAnimationFrame(draw);
}
document.addEventListener("visibilitychange", () => scheduled && draw());

// ── What a chip says of itself ────────────────────────────────────────────────────────────────────────────────────
function tell(chip) {
  const shown = chip || pinned;
  note.textContent = shown ? shown.getAttribute("aria-label") : cells.length ? say("strip.point") : "";
  note.classList.toggle("quiet", !shown);
  const cell = shown && cells.find((one) => one.chip === shown);
  const detail = { scope: props.scope, token: null, pinned: Boolean(pinned) };
  if (cell) {
    const before = view.tokens.filter((token) => token.position === cell.token.position);
    Object.assign(detail, { token: cell.token, block: cell.block, before, why: why(cell.token, cell.block) });
    Object.assign(detail, { vocabulary: view.vocabulary, posterior: view.posterior, pinned: shown === pinned });
  }
  document.dispatchEvent(new CustomEvent("ugsd-inspect", { detail }));
}

function pin(chip) {
  if (pinned) pinned.classList.remove("pinned");
  pinned = pinned === chip ? null : chip;
  if (pinned) pinned.classList.add("pinned");
  tell(null);
}

const chipOf = (event) => (event.target.closest ? event.target.closest(".strip .tok") : null);
element.addEventListener("pointerover", (event) => chipOf(event) && tell(chipOf(event)));
element.addEventListener("pointerout", (event) => chipOf(event) && tell(null));
element.addEventListener("focusin", (event) => {
  const chip = chipOf(event);
  if (!chip) return;
  for (const cell of cells) cell.chip.tabIndex = cell.chip === chip ? 0 : -1;
  tell(chip);
});
element.addEventListener("focusout", (event) => chipOf(event) && tell(null));
element.addEventListener("click", (event) => {
  const button = event.target.closest(".legend-state");
  if (button) return isolate(button.dataset.state);
  const chip = chipOf(event);
  if (chip) {
    pin(chip);
    chip.focus();
  }
});
element.addEventListener("keydown", (event) => {
  const chip = chipOf(event);
  if (!chip) return;
  const at = cells.findIndex((cell) => cell.chip === chip);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: cells.length - 1 }[event.key];
  if (to !== undefined && cells[to]) {
    event.preventDefault();
    cells[to].chip.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    pin(chip);
  } else if (event.key === "Escape" && pinned) pin(pinned);
});
document.addEventListener("ugsd-unpin", (event) => event.detail.scope === props.scope && pinned && pin(pinned));

watch("value", schedule);
document.addEventListener("ugsd-locale", relabel);
relabel();
draw();
