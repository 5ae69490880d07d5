// Draws what is known of one token into the markup of ui/components/inspector.py.
// In scope: element, props (words, labels, scope); and words.js. The strip of the same scope says which token.
const panel = element.querySelector(".inspector");
let told = { token: null, pinned: false };

const milliseconds = (value) => (value === null ? "–" : `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ms`);

function bars(title, top, chosen, kind) {
  const section = make("section", `bars ${kind}`);
  section.append(make("h3", "", title));
  for (const [text, probability] of top) {
    const row = make("p", text === chosen ? "hit" : "");
    const bar = make("u");
    bar.style.width = `${Math.max(1, 100 * probability)}%`;
    const track = make("span", "track");
    track.append(bar);
    row.append(make("span", "word", wordOf(text)), track, make("span", "share", percent(probability)));
    section.append(row);
  }
  return section;
}

// The emotions at an emotion word: what the draft's words add up to, and what the sound alone says.
function labels(token, posterior) {
  const total = token.mass.reduce((sum, mass) => sum + mass, 0);
  const section = make("section", "bars labels");
  section.append(make("h3", "", say("inspect.labels")));
  const shares = props.labels.map((label, i) => [label, total ? token.mass[i] / total : 0, posterior ? posterior[i] : null]);
  shares.sort((one, other) => Math.max(other[1], other[2] ?? 0) - Math.max(one[1], one[2] ?? 0));
  for (const [label, text, head] of shares.slice(0, 4)) {
    const row = make("p");
    const track = make("span", "track two");
    for (const [kind, value] of [["text", text], ["head", head]]) {
      if (value === null) continue;
      const bar = make("u", kind);
      bar.style.width = `${Math.max(1, 100 * value)}%`;
      track.append(bar);
    }
    const said = head === null ? percent(text) : `${percent(text)} · ${percent(head)}`;
    row.append(make("span", "word", say(`label.${label}`)), track, make("span", "share", said));
    section.append(row);
  }
  const key = make("p", "bars-key");
  key.append(make("i", "text"), ` ${say("inspect.labels.text")} `);
  if (posterior) key.append(make("i", "head"), ` ${say("inspect.labels.head")}`);
  section.append(key);
  return section;
}

function figures(token, block) {
  const rows = [];
  const add = (key, value) => value !== null && value !== undefined && rows.push([key, value]);
  const nats = (value) => (value === null || value === undefined ? null : say("inspect.nats", { value: value.toFixed(2) }));
  const seconds = (value) => (value === null ? null : `+${Math.round(value)} ms`);
  add("entropy", nats(token.entropy));
  add("label_entropy", nats(token.label_entropy));
  add("margin", token.margin === null ? null : token.margin.toFixed(2));
  add("nll", nats(token.nll));
  add("mc", nats(token.mc));
  add("rank", token.rank === null ? null
    : say("inspect.rank.of", { rank: token.rank, size: told.vocabulary.toLocaleString("en") }));
  add("probability", token.p === null ? null : percent(token.p));
  if (block && block.score !== null) {
    const against = block.threshold === null ? "" : ` ${block.score > block.threshold ? ">" : "≤"} ${figure(block.threshold)}`;
    add("score", figure(block.score) + against);
  }
  add("drafted", seconds(token.drafted_ms));
  add("decided", seconds(token.decided_ms));
  const list = make("dl");
  const means = make("ul");
  for (const [key, value] of rows) {
    const term = make("dt", "", say(`inspect.${key}`));
    term.title = say(`inspect.${key}.means`);
    list.append(term, make("dd", "", value));
    const item = make("li");
    item.append(make("b", "", say(`inspect.${key}`)), `: ${term.title}`);
    means.append(item);
  }
  const more = make("details", "more");
  more.append(make("summary", "", say("inspect.means")), means);
  return [list, more];
}

function history(before, token) {
  if (before.length < 2) return [];
  const list = make("ol", "history");
  for (const one of before) {
    const item = make("li", one.key === token.key ? "this" : "");
    const chip = make("span", `tok ${one.state}`, one.text);
    item.append(chip, ` ${say(`state.${one.state}`)} · ${say("inspect.revision", { number: one.revision })}`);
    list.append(item);
  }
  return [make("h3", "", say("inspect.history")), list];
}

function timings(block) {
  if (!block || block.draft === null) return [];
  const parts = Object.fromEntries(
    ["draft", "network", "queued", "verify", "merge"].map((name) => [name, milliseconds(block[name])]),
  );
  const key = block.verify === null ? "inspect.block.kept" : "inspect.block";
  return [make("p", "timings", say(key, { number: block.n + 1, ...parts }))];
}

function draw() {
  const { token, block, before, why, posterior, pinned } = told;
  panel.classList.toggle("pinned", Boolean(token) && pinned);
  panel.classList.toggle("open", Boolean(token));
  if (!token) return panel.replaceChildren(make("p", "soft", say("inspect.empty")));
  const head = make("h2", "", say("inspect.title", { number: token.position + 1, name: nameOf(token) }));
  const close = make("button", "inspector-close", "×");
  close.type = "button";
  close.setAttribute("aria-label", say("inspect.close"));
  close.hidden = !pinned;
  const top = make("header");
  top.append(head, close);
  const parts = [top];
  if (pinned) parts.push(make("p", "pin-note", say("inspect.pinned")));
  if (why) parts.push(make("p", "why", why));
  // A corrected token was not drafted: the draft it replaced stood at the same position.
  const draft = token.draft_top.length ? token : [...before].reverse().find((one) => one.draft_top.length);
  parts.push(draft ? bars(say("inspect.draft"), draft.draft_top, draft.raw, "draft")
    : make("p", "soft", say("inspect.notdrafted")));
  parts.push(token.verifier_top.length ? bars(say("inspect.verifier"), token.verifier_top, token.raw, "verifier")
    : make("p", "soft", say("inspect.notjudged")));
  if (draft && draft.mass) parts.push(labels(draft, posterior));
  parts.push(...figures(token, block), ...timings(block), ...history(before, token));
  panel.replaceChildren(...parts);
}

document.addEventListener("ugsd-inspect", (event) => {
  if (event.detail.scope !== props.scope) return;
  const same = ["token", "block", "pinned", "why"].every((name) => event.detail[name] === told[name]);
  told = event.detail;
  if (!same) draw(); // a button that is drawn anew while it is pressed would not be clicked
});
document.addEventListener("ugsd-locale", draw);
element.addEventListener("click", (event) => {
  if (event.target.closest(".inspector-close")) {
    document.dispatchEvent(new CustomEvent("ugsd-unpin", { detail: { scope: props.scope } }));
  }
});
draw();
