// Draws the token strip into the markup of ui/components/token_strip.py.
// In scope: element (the component's root), props (value, legend), watch(name, callback), trigger(event, data).
// Listeners sit on the root once; chips come and go below it.
const strip = element.querySelector(".strip");
const hint = element.querySelector(".strip-hint");
const note = element.querySelector(".strip-note");
const legend = element.querySelector(".legend");
const cells = []; // one a token: {key, drawn, lead, chip, tail}
let run = null, isolated = null, pinned = null, scheduled = false;
const NOTE = "Point at a token, tap it, or move with the arrow keys to see why it is there.";

const make = (tag, className) => Object.assign(document.createElement(tag), { className });

// ── Legend ────────────────────────────────────────────────────────────────────────────────────────────────────────
const ramp = make("span", "ramp-line");
ramp.innerHTML = 'sure <span class="ramp" role="img"><i hidden></i></span> unsure <span class="ramp-tau"></span><span class="ramp-for"></span>';
legend.append(ramp);
const counters = {};
for (const { state, word, means } of props.legend) {
  const button = make("button", "legend-state");
  button.type = "button";
  button.dataset.state = state;
  button.title = means + " Press to see these alone.";
  button.setAttribute("aria-pressed", "false");
  const sample = make("span", "tok " + (state === "waiting" ? "drafted waiting" : state));
  sample.textContent = word;
  const count = make("b", "");
  count.textContent = "0";
  button.append(sample, " ", count);
  legend.append(button);
  counters[state] = { count, button };
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

const stateOf = (chip) => (chip.dataset.waiting === "true" ? "waiting" : chip.dataset.state);

// ── Chips ─────────────────────────────────────────────────────────────────────────────────────────────────────────
function newCell(key) {
  const chip = make("span", "tok");
  chip.setAttribute("role", "listitem");
  chip.tabIndex = cells.length === 0 ? 0 : -1; // one stop for Tab, arrows within
  const cell = { key, drawn: "", chip, lead: document.createTextNode(""), tail: document.createTextNode("") };
  strip.append(cell.lead, chip, cell.tail);
  cells.push(cell);
  return cell;
}

function drawCell(cell, token) {
  const signature = JSON.stringify(token);
  if (cell.drawn === signature) return;
  cell.drawn = signature;
  cell.lead.data = token.lead;
  cell.tail.data = token.tail;
  const { chip } = cell;
  chip.textContent = token.text;
  chip.className = ["tok", token.state, token.waiting ? "waiting" : "", token.blank ? "blank" : ""].join(" ").trim();
  chip.dataset.state = token.state;
  chip.dataset.waiting = String(token.waiting);
  chip.dataset.position = token.position;
  chip.dataset.block = token.block;
  chip.style.setProperty("--heat", token.heat);
  chip.setAttribute("aria-label", token.note);
}

function clear() {
  strip.replaceChildren();
  cells.length = 0;
  pinned = null;
  tell(null);
}

function draw() {
  scheduled = false;
  const value = props.value;
  if (!value || !value.tokens) return;
  const keys = value.tokens.map((token) => token.key);
  if (value.run !== run || cells.some((cell, i) => cell.key !== keys[i])) clear();
  run = value.run;
  value.tokens.forEach((token, i) => drawCell(cells[i] || newCell(token.key), token));
  strip.lang = value.language;
  strip.classList.toggle("live", value.live);
  strip.classList.toggle("alone", value.mode === "cloud"); // every token is the verifier's: no need to mark each
  hint.hidden = value.tokens.length > 0 || value.live;
  strip.hidden = value.tokens.length === 0 && !value.live;
  hint.textContent = value.hint;
  for (const [state, { count, button }] of Object.entries(counters)) {
    count.textContent = value.counts[state] ?? 0;
    button.classList.toggle("none", !value.counts[state]);
  }
  const mark = ramp.querySelector("i");
  mark.hidden = value.tau === null;
  mark.style.left = `${Math.min(100, (100 * (value.tau ?? 0)) / value.scale_nats)}%`;
  ramp.querySelector(".ramp-tau").textContent = value.tau === null ? "" : `τ = ${value.tau}`;
  ramp.querySelector(".ramp-for").textContent = value.tau_for ? ` (${value.tau_for})` : "";
  ramp.title = `Entropy of the draft, from 0 to ${value.scale_nats} nats and more.`;
  ramp.querySelector(".ramp").setAttribute("aria-label", ramp.title);
  if (isolated) dim();
  if (!note.textContent || value.tokens.length === 0) tell(null);
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
  note.textContent = shown ? shown.getAttribute("aria-label") : cells.length ? NOTE : "";
  note.classList.toggle("quiet", !shown);
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
  }
});

watch("value", schedule);
draw();
