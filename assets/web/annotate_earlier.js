// The own earlier answers: a list, the newest first, from which one is opened again. In scope: words.js,
// annotate_client.js. `rules()` gives the campaign, `open(item)` shows an item of it, `leave()` goes back to the keys.
function makeEarlier(box, { rules, open, leave }) {
  const [summary, list, more] = ["summary span", "ul", ".ann-earlier-more"].map((part) => box.querySelector(part));
  let found = [], total = 0, shown = null, latest = null;

  const kindName = (id) => {
    const kind = rules().taxonomy.kinds.find((one) => one.id === id);
    return kind ? kind.name[locale()] ?? kind.name.en : id;
  };
  // The day as well, if it is not today.
  function when(at) {
    const time = new Date(at), today = time.toDateString() === new Date().toDateString();
    const tag = document.documentElement.lang;
    return today ? time.toLocaleTimeString(tag, { timeStyle: "short" }) : time.toLocaleString(tag, { dateStyle: "short", timeStyle: "short" });
  }
  const said = (one) =>
    one.status === "submitted" && one.verdict ? say(`annotate.verdict.${one.verdict}`) : say(`annotate.status.${one.status}`);

  function row(one) {
    const line = make("li"), button = make("button", "rev-row"), caption = make("span", "rev-caption", one.caption);
    button.type = "button";
    button.dataset.item = one.item;
    button.tabIndex = -1;
    button.setAttribute("aria-current", String(one.item === shown));
    caption.lang = one.language;
    const facts = [said(one), one.kinds.map(kindName).join(locale() === "zh" ? "、" : ", "), when(one.at), say("annotate.earlier.revision", one)];
    if (one.changed) facts.push(say("annotate.earlier.changed"));
    const mark = one.status === "submitted" ? one.verdict : one.status;
    button.append(caption, make("span", `rev-facts ${mark}`, facts.filter(Boolean).join(" · ")));
    button.addEventListener("click", () => open(one.item));
    line.append(button);
    return line;
  }

  function draw() {
    summary.textContent = say("annotate.earlier", { number: total });
    if (!rules()) return;
    const at = list.contains(document.activeElement) ? document.activeElement.dataset.item : null;
    list.replaceChildren(...(found.length ? found.map(row) : [make("li", "soft", say("annotate.earlier.none"))]));
    const rows = list.querySelectorAll("button");
    if (rows.length) rows[0].tabIndex = 0; // one stop, with arrows within
    if (at) list.querySelector(`[data-item="${CSS.escape(at)}"]`)?.focus();
    more.hidden = found.length >= total;
    more.textContent = say("annotate.earlier.more", { number: total - found.length });
  }

  // Asks for the first page, or for what comes after those that are there.
  async function fetched(offset) {
    const of = rules();
    if (!of) return;
    await outbox.flush().catch(() => {}); // what was begun just now is one of them
    const told = await ask("answers", { query: { campaign: of.id, offset } });
    if (rules() !== of) return;
    found = offset ? [...found, ...told.answers] : told.answers;
    total = told.total;
    draw();
  }
  // One after the other; an old list does no harm, and the next answer brings a new one.
  const fetchSome = (offset) => (latest = Promise.resolve(latest).then(() => fetched(offset)).catch(() => {}));
  const refresh = () => fetchSome(0);

  box.addEventListener("toggle", () => box.open && refresh());
  more.addEventListener("click", () => fetchSome(found.length));
  list.addEventListener("keydown", (event) => {
    const rows = [...list.querySelectorAll("button")], at = rows.indexOf(event.target.closest("button"));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (event.key === "Escape") leave();
    else if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    else if (to >= rows.length && !more.hidden) more.focus();
    else {
      const next = rows[Math.max(0, Math.min(rows.length - 1, to))];
      rows.forEach((one) => (one.tabIndex = one === next ? 0 : -1));
      next?.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    when,
    relabel: draw,
    // Another item is shown; `number` is how many answers there are.
    at(item, number) {
      [shown, total] = [item, number];
      if (box.open) refresh();
      else draw();
    },
    // Somebody else may come.
    forget() {
      [found, total, shown, box.open] = [[], 0, null, false];
      draw();
    },
    // Something was saved.
    changed: () => box.open && refresh(),
    // The key: into the list, opening it first; from within, back to the caption.
    async enter() {
      if (box.open && box.contains(document.activeElement)) {
        box.open = false;
        return leave();
      }
      box.open = true;
      await refresh();
      (list.querySelector("button") ?? box.querySelector("summary")).focus();
    },
  };
}
