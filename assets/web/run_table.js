// Draws one page of a run's rows into the markup of ui/components/run_table.py, and asks for another.
// In scope: element, props (value: JSON, words), trigger(name, data), watch(name, callback); and words.js.
const tools = element.querySelector(".rows-tools");
const told = element.querySelector(".rows-said");
const region = element.querySelector(".rows-scroll");
const [head, body] = [element.querySelector("thead"), element.querySelector("tbody")];
const pager = element.querySelector(".rows-pages");
const SORTS = ["transmission_rate", "total_s", "run"];
let value = { run: "" }, query = {}, look = 0, asked = 0, playing = "", timer = 0;

// A name of the tables; what they do not know keeps its own.
const named = (prefix, name) => {
  const text = say(`${prefix}.${name}`);
  return text === `${prefix}.${name}` ? name : text;
};
const sortName = (name) => (SORTS.includes(name) ? say(`rows.sort.${name}`) : named("name.metric", name));
const seconds = (s) => (s === null || s === undefined ? "–" : s < 9.9995 ? `${Math.round(1000 * s)} ms` : `${s.toFixed(1)} s`);
const number = (n) => n.toLocaleString(document.documentElement.lang || "en");

// ── Tools ─────────────────────────────────────────────────────────────────────────────────────────────────────────
function field(key, control) {
  const label = make("label", "rows-field");
  const name = make("span");
  name.dataset.key = key;
  control.addEventListener("change", () => ask({ [control.name]: read(control), page: 0 }));
  label.append(name, control);
  tools.append(label);
  return control;
}

const menu = (key, name) => {
  const control = make("select");
  control.name = name;
  return field(key, control);
};
const controls = {
  sort: menu("rows.sort", "sort"),
  best: menu("rows.order", "best"),
  system: menu("rows.system", "system"),
  emotion: menu("rows.emotion", "emotion"),
  state: menu("rows.state", "state"),
};
const search = make("input");
[search.type, search.name] = ["search", "text"];
controls.text = field("rows.text", search);
search.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => ask({ text: search.value, page: 0 }), 300);
});
tools.addEventListener("submit", (event) => event.preventDefault());
const read = (control) => (control.name === "best" ? control.value === "best" : control.value);

function options(control, entries, chosen) {
  const wanted = JSON.stringify(entries);
  if (control.dataset.entries !== wanted) {
    control.dataset.entries = wanted;
    control.replaceChildren(...entries.map(([code, text]) => new Option(text, code)));
  }
  control.value = chosen;
}

function drawTools() {
  for (const name of tools.querySelectorAll("[data-key]")) name.textContent = say(name.dataset.key);
  options(controls.sort, [...value.sorts, ...SORTS].map((name) => [name, sortName(name)]), query.sort);
  const orders = query.sort === "run" ? ["forward", "backward"] : ["worst", "best"];
  options(controls.best, [[orders[0], say(`rows.order.${orders[0]}`)], ["best", say(`rows.order.${orders[1]}`)]],
    query.best ? "best" : orders[0]);
  options(controls.system, [["", say("rows.all")], ...value.systems.map((name) => [name, named("name.system", name)])], query.system);
  const emotions = [...new Set([...value.emotions, query.emotion])].filter(Boolean);
  options(controls.emotion, [["", say("rows.all")], ...emotions.map((name) => [name, named("label", name)])], query.emotion);
  options(controls.state, ["all", "failed", "warned", "changed"].map((name) => [name, say(`rows.state.${name}`)]), query.state);
  if (document.activeElement !== search) search.value = query.text;
}

// ── Rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────
function cell(css, ...parts) {
  const node = make("td", css);
  node.append(...parts);
  return node;
}

function act(kind, row, text, title) {
  const button = make("button", `row-act ${kind}`, text);
  button.type = "button";
  button.dataset.kind = kind;
  button.setAttribute("aria-label", title);
  button.title = title;
  button.addEventListener("click", () => {
    if (kind === "play") {
      playing = row.id;
      mark();
    }
    trigger("act", { kind, id: row.id, system: row.system });
  });
  return button;
}

function chip(text, css, title) {
  const node = make("span", `row-chip ${css}`, text);
  if (title) node.title = title;
  return node;
}

function caption(row) {
  const parts = [];
  if (row.error !== null) {
    const error = make("p", "row-error", say("rows.failed", { error: row.error }));
    error.lang = "en";
    parts.push(error);
  } else {
    const text = make("p", "row-caption", row.caption || say("rows.nothing"));
    text.lang = value.language;
    parts.push(text);
  }
  for (const reference of row.references.slice(0, 2)) {
    const text = make("p", "row-reference");
    const name = make("span", "row-reference-name", `${say("rows.reference")} `);
    const words = make("span", "", reference);
    words.lang = value.language;
    text.append(name, words);
    parts.push(text);
  }
  return cell("row-text", ...parts);
}

function about(row) {
  const name = make("code", "row-id", row.id);
  name.title = row.speaker ? `${row.id} · ${row.speaker}` : row.id;
  const parts = [name, make("span", "row-system", named("name.system", row.system))];
  const heard = row.emotions.map((label) => named("label", label)).join(" · ");
  if (row.label) {
    const agrees = row.emotions[0] === row.label;
    const labels = make("span", "row-labels");
    labels.append(chip(named("label", row.label), "", say("rows.label.means")), agrees ? " = " : " ≠ ",
      chip(heard || "–", agrees ? "ok" : "no", say("rows.heard.means")));
    parts.push(labels);
  } else if (heard) {
    parts.push(chip(heard, "", say("rows.heard.means")));
  }
  return cell("row-about", ...parts);
}

function drawRow(row) {
  const line = make("tr");
  line.dataset.id = row.id;
  line.dataset.system = row.system;
  const shown = row.value === null ? "–"
    : query.sort === "transmission_rate" ? percent(row.value)
    : query.sort === "total_s" ? seconds(row.value)
    : row.value.toFixed(value.digits);
  if (query.sort !== "run") line.append(cell("row-value", make("b", "", shown)));
  line.append(about(row), caption(row));
  const figures = [[say("rows.rho"), row.rho === null || row.rho === undefined ? "–" : percent(row.rho)],
    [say("rows.time"), seconds(row.total_s)]];
  line.append(cell("row-figures", ...figures.map(([name, text]) => {
    const figure = make("span", "row-figure");
    figure.append(make("i", "", name), " ", make("b", "", text));
    return figure;
  })));
  const place = { clip: row.id, system: named("name.system", row.system) };
  const actions = [];
  if (row.audio) actions.push(act("play", row, "▶", say("rows.play", place)));
  if (row.trace) actions.push(act("inspect", row, say("rows.inspect"), say("rows.inspect.of", place)));
  const send = act("annotate", row, say(row.queued ? "rows.queued" : "rows.annotate"),
    say(row.queued ? "rows.queued.of" : "rows.annotate.of", place));
  send.classList.toggle("done", row.queued);
  actions.push(send);
  line.append(cell("row-actions", ...actions));
  return line;
}

function mark() {
  for (const line of body.children) line.classList.toggle("playing", line.dataset.id === playing);
}

function focused() {
  const line = document.activeElement?.closest?.("tr");
  return line && body.contains(line) ? [line.dataset.id, line.dataset.system, document.activeElement.dataset.kind] : null;
}

// What a screen reader says of the first column: of a time or of ρ the highest is the worst.
const sorted = () => (SORTS.includes(query.sort) === query.best ? "ascending" : "descending");

function drawRows() {
  const at = focused();
  const titles = [...(query.sort === "run" ? [] : [sortName(query.sort)]),
    say("rows.clip"), say("rows.caption"), say("rows.figures"), say("rows.actions")];
  const line = make("tr");
  for (const [place, title] of titles.entries()) {
    const name = make("th", "", title);
    name.scope = "col";
    if (place === 0 && query.sort !== "run") name.setAttribute("aria-sort", sorted());
    line.append(name);
  }
  head.replaceChildren(line);
  body.replaceChildren(...value.rows.map(drawRow));
  mark();
  if (at) {
    const same = [...body.children].find((row) => row.dataset.id === at[0] && row.dataset.system === at[1]);
    same?.querySelector(`[data-kind="${at[2]}"]`)?.focus();
  }
}

// ── Pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const step = (css, to) => {
  const button = make("button", `row-act ${css}`);
  button.type = "button";
  button.addEventListener("click", () => ask({ page: to() }, true));
  return button;
};
const first = step("first", () => 0);
const back = step("back", () => query.page - 1);
const on = step("on", () => query.page + 1);
const last = step("last", () => value.pages - 1);
const place = make("label", "rows-place");
const before = make("span"), box = make("input"), after = make("span");
[box.type, box.min] = ["number", 1];
box.addEventListener("change", () => ask({ page: Math.max(1, Math.round(Number(box.value) || 1)) - 1 }, true));
place.append(before, " ", box, " ", after);
pager.append(first, back, place, on, last);

function drawPages() {
  pager.hidden = value.pages < 2;
  pager.setAttribute("aria-label", say("rows.pages"));
  for (const [button, sign, key, off] of [[first, "«", "rows.first", value.page === 0], [back, "‹", "rows.back", value.page === 0],
    [on, "›", "rows.on", value.page + 1 >= value.pages], [last, "»", "rows.last", value.page + 1 >= value.pages]]) {
    const had = document.activeElement === button;
    button.textContent = sign;
    [button.title, button.disabled] = [say(key), off];
    button.setAttribute("aria-label", say(key));
    if (had && off) box.focus();
  }
  before.textContent = say("rows.page");
  after.textContent = say("rows.page.of", { pages: number(value.pages) });
  box.max = value.pages;
  if (document.activeElement !== box || box.value === "") box.value = value.page + 1;
}

// ── Asking ────────────────────────────────────────────────────────────────────────────────────────────────────────
function ask(changes, jump = false) {
  query = { ...query, ...changes };
  asked += 1;
  element.dataset.waits = jump ? "jump" : "stay";
  element.classList.add("waiting");
  trigger("ask", { look, asked, query });
}

function draw() {
  const hidden = !value.run;
  for (const part of [tools, told, region, pager]) part.hidden = hidden;
  if (hidden) return;
  drawTools();
  region.setAttribute("aria-label", say("rows.table"));
  const from = value.page * value.size;
  told.textContent = value.total
    ? say("rows.shown", { from: number(from + 1), to: number(from + value.rows.length), total: number(value.total), all: number(value.all) })
    : say("rows.none", { all: number(value.all) });
  region.hidden = !value.total;
  drawRows();
  drawPages();
}

function take() {
  let next;
  try {
    next = JSON.parse(props.value);
  } catch {
    return;
  }
  if (next.look < look) return; // of a run that is shown no more
  if (next.look === look && next.asked < asked) { // rows of what was asked before the last question
    if (!next.answer) ask({}, element.dataset.waits === "jump"); // with them came an update that the answer under way may know nothing of
    return;
  }
  const jump = element.dataset.waits === "jump" && next.look === look && next.answer;
  [value, look, asked] = [next, next.look, next.asked];
  query = { ...next.query, page: next.page };
  if (next.answer) element.dataset.waits = "stay";
  element.classList.remove("waiting");
  draw();
  if (jump) element.scrollIntoView({ block: "start" });
}

watch("value", take);
document.addEventListener("ugsd-locale", draw);
take();
