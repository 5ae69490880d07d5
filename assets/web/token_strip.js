// Draws the token strip into the markup of ui/components/token_strip.py.
// In scope: element (the component's root), props (value, words, states, scope), watch(name, callback); and words.js.
// Listeners sit on the root once; chips come and go below it. What a token is, is told to the inspector by an event.
const strip = element.querySelector(".strip");
const hint = element.querySelector(".strip-hint");
const note = element.querySelector(".strip-note");
const legend = element.querySelector(".legend");
const cells = []; // one a token: {key, drawn, token, lead, chip, tail}
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
  for (const cell of cells) cell.drawn = null;
  note.textContent = ""; // told again when the chips are drawn
  askers.relabel();
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
  const cell = { key, drawn: null, token: null, chip, lead: document.createTextNode(""), tail: document.createTextNode("") };
  strip.append(cell.lead, chip, cell.tail);
  cells.push(cell);
  return cell;
}

// A block's fate is told by its chips too, so a chip is drawn anew when its block changes.
function drawCell(cell, token, block) {
  if (cell.token === token && cell.block === block && cell.drawn !== null) return;
  const signature = JSON.stringify([token, block]);
  [cell.token, cell.block] = [token, block];
  if (cell.drawn === signature) return;
  cell.drawn = signature;
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

function draw() {
  scheduled = false;
  const value = props.value;
  if (!value || !value.tokens) return;
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
  strip.lang = value.language;
  strip.classList.toggle("live", view.live);
  strip.classList.toggle("alone", value.mode === "cloud"); // every token is the verifier's: no need to mark each
  hint.hidden = view.tokens.length > 0 || view.live || player.open();
  strip.hidden = !hint.hidden;
  const found = counts(view.tokens);
  for (const [state, { count, button }] of Object.entries(counters)) {
    count.textContent = found[state] ?? 0;
    button.classList.toggle("none", !found[state]);
  }
  mark.hidden = value.tau === null;
  mark.style.left = `${Math.min(100, (100 * (value.tau ?? 0)) / value.scale_nats)}%`;
  ramp.title = say("strip.ramp", { nats: value.scale_nats });
  scale.setAttribute("aria-label", ramp.title);
  if (isolated) dim();
  askers.draw(view);
  player.draw();
  if (wanted !== null && cells.some((cell) => cell.key === wanted)) {
    pin(cells.find((cell) => cell.key === wanted).chip);
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

// ── Another threshold ─────────────────────────────────────────────────────────────────────────────────────────────
// The same count as ugsd_core.what_if: blocks whose score lies above the slider; without a score, those that were sent.
const askers = (() => {
  const line = element.querySelector(".what-if");
  const [title, slider, number, said, reset] = ["what-if-ask", "", "what-if-at", "what-if-said", "what-if-reset"].map(
    (name, i) => make(["label", "input", "b", "span", "button"][i], name),
  );
  slider.type = "range";
  slider.step = "any";
  slider.id = `what-if-${props.scope}`;
  title.htmlFor = slider.id;
  reset.type = "button";
  line.append(title, slider, number, said, reset);
  let tried = null; // null: the run's own threshold

  const would = (block) => (block.score === null ? block.sent : block.score > tried);
  slider.addEventListener("input", () => {
    tried = Number(slider.value);
    draw(view);
  });
  reset.addEventListener("click", () => {
    tried = null;
    draw(view);
    slider.focus();
  });

  function draw(shown) {
    const blocks = shown ? Object.values(shown.blocks) : [];
    const scored = blocks.filter((block) => block.score !== null);
    const own = scored.length ? scored[scored.length - 1].threshold : null;
    line.hidden = !scored.length || own === null || shown.live;
    if (line.hidden) tried = null;
    const asks = new Set();
    if (!line.hidden) {
      const highest = Math.max(...scored.map((block) => block.score));
      slider.min = 0;
      slider.max = Math.max(1.1 * highest, 1.5 * own, 0.01).toFixed(3);
      const at = tried ?? own;
      slider.value = at;
      fill(slider);
      number.textContent = figure(at);
      slider.setAttribute("aria-label", say("whatif.label"));
      if (tried === null) said.textContent = say("whatif.ran");
      else {
        const chosen = blocks.filter(would);
        for (const block of chosen) asks.add(block.n);
        const sum = (list) => list.reduce((total, block) => total + block.length, 0);
        said.textContent = chosen.length
          ? say("whatif.would", {
              blocks: chosen.length, of_blocks: blocks.length, tokens: sum(chosen), of_tokens: sum(blocks),
            })
          : say("whatif.none", { highest: figure(highest) });
        Object.assign(line.dataset, { blocks: chosen.length, tokens: sum(chosen) });
      }
      reset.hidden = tried === null;
    }
    strip.classList.toggle("trying", tried !== null);
    for (const { chip, token } of cells) chip.classList.toggle("would", asks.has(token.block));
  }
  const relabel = () => {
    title.textContent = say("whatif.ask");
    reset.textContent = say("whatif.reset");
  };
  return { draw, relabel };
})();

// ── Replay ────────────────────────────────────────────────────────────────────────────────────────────────────────
// A frame holds what one event changed, so that a moment is the sum of the frames up to it. Times are the recorded ones.
const player = (() => {
  const bar = element.querySelector(".replay");
  const [back, play, on] = ["back", "play", "on"].map((name) => make("button", `replay-${name}`));
  const time = make("input", "replay-time");
  const [told, speed] = [make("span", "replay-told"), make("select", "replay-speed")];
  for (const button of [back, play, on]) button.type = "button";
  Object.assign(time, { type: "range", min: 0, step: "any" });
  for (const factor of [0.1, 0.25, 0.5, 1, 2]) speed.append(new Option(`${factor} ×`, factor, factor === 1, factor === 1));
  bar.append(back, play, on, time, told, speed);
  let frames = null, at = -1, shown = null, playing = null;

  const last = () => frames.length - 1;
  const ended = () => frames === null || at >= last();

  function blank() {
    return { tokens: [], blocks: {}, live: true, at: -1 };
  }

  function moveTo(index) {
    index = Math.max(0, Math.min(last(), index));
    if (!shown || index < shown.at) shown = blank();
    for (let i = shown.at + 1; i <= index; i++) {
      const frame = frames[i];
      for (const [place, token] of Object.entries(frame.tokens)) shown.tokens[place] = token;
      Object.assign(shown.blocks, frame.blocks);
      shown.live = frame.live;
    }
    shown.at = at = index;
    schedule();
  }

  function stop() {
    if (playing !== null) cancelAnimationFrame(playing);
    playing = null;
    drawBar();
  }

  function start() {
    if (ended()) moveTo(0);
    let clock = frames[at].t, before = null;
    const tick = (now) => {
      clock += before === null ? 0 : (Number(speed.value) * (now - before)) / 1000;
      before = now;
      let to = at;
      while (to < last() && frames[to + 1].t <= clock) to++;
      if (to !== at) moveTo(to);
      if (ended()) stop();
      else playing = requestAnimationFrame(tick);
    };
    playing = requestAnimationFrame(tick);
    drawBar();
  }

  function step(by) {
    stop();
    moveTo(at + by);
  }

  play.addEventListener("click", () => (playing === null ? start() : stop()));
  back.addEventListener("click", () => step(-1));
  on.addEventListener("click", () => step(1));
  time.addEventListener("input", () => {
    const wanted = Number(time.value); // stopping draws the bar, and so moves the slider back
    stop();
    let to = 0;
    while (to < last() && frames[to + 1].t <= wanted) to++;
    moveTo(to);
  });
  bar.addEventListener("keydown", (event) => {
    if (event.target === speed) return;
    const moves = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), " ": () => play.click() };
    if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    moves[event.key]();
  });

  function drawBar() {
    bar.hidden = frames === null;
    if (bar.hidden) return;
    play.textContent = playing === null ? "▶" : "❚❚";
    play.setAttribute("aria-label", say(playing === null ? "replay.play" : "replay.pause"));
    time.max = frames[last()].t;
    time.value = frames[at].t;
    fill(time);
    const event = say(`event.${frames[at].kind}`);
    time.setAttribute("aria-valuetext", `${frames[at].t.toFixed(2)} s, ${event}`);
    told.textContent = `${frames[at].t.toFixed(2)} s · ${event}`;
    bar.dataset.at = at;
    bar.dataset.last = last();
  }

  return {
    // A new run: nothing of the old one is replayed on.
    load() {
      stop();
      [frames, shown, at] = [null, null, -1];
    },
    // Frames come with the last update of a run.
    refresh(value) {
      if (frames !== null || !value.frames || !value.frames.length || value.live) return;
      frames = value.frames;
      at = last();
      if (value.at !== null) moveTo(value.at);
    },
    view: (value) => (ended() ? value : { ...value, ...shown, tau: value.tau }),
    open: () => frames !== null,
    draw: drawBar,
    relabel() {
      bar.title = say("replay.help");
      back.textContent = "◂";
      on.textContent = "▸";
      back.setAttribute("aria-label", say("replay.back"));
      on.setAttribute("aria-label", say("replay.on"));
      time.setAttribute("aria-label", say("replay.at"));
      speed.setAttribute("aria-label", say("replay.speed"));
    },
  };
})();

watch("value", schedule);
document.addEventListener("ugsd-locale", relabel);
relabel();
draw();
