// What reviewers see: how far annotators agree, where they don't, one item with all answers, people, and files.
// In scope: words.js, annotate_client.js, annotate_form.js. `settle(kind, item, payload)` sends a gold answer.
function makeReview(box, { announce, rules, settle }) {
  const find = (selector) => box.querySelector(selector);
  const [agreementBox, listBox, panel, peopleBox, filesBox] = [".rev-agreement", ".rev-list", ".rev-panel", ".rev-people", ".rev-files"].map(find);
  const tokens = makeTokens(find(".rev-tokens"), (span) => form.spanned(span));
  const form = makeForm(find(".ann-form"), tokens, () => {});
  let told = null, item = null, shown = "disagreements";

  const named = (list, id) => {
    const entry = list.find((one) => one.id === id);
    return entry ? entry.name[locale()] ?? entry.name.en : id;
  };
  const kindName = (id) => named(rules().taxonomy.kinds, id);
  const severityName = (id) => named(rules().taxonomy.severities, id);
  const verdictName = (verdict) => say(`annotate.verdict.${verdict}`);
  const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const share = (value) => (value === null || value === undefined ? "–" : percent(value));
  const cell = (tag, text, className = "") => make(tag, className, text);
  const defined = (tag, label, key) => {
    const node = cell(tag, label);
    node.title = say(`annotate.def.${key}`);
    return node;
  };

  function table(caption, heads, rows) {
    const holder = make("div", "scroll");
    holder.tabIndex = 0;
    holder.setAttribute("role", "region");
    holder.setAttribute("aria-label", caption);
    const whole = make("table", "rev-table"), head = make("thead"), line = make("tr"), body = make("tbody");
    line.append(...heads.map(([label, key]) => {
      const node = key ? defined("th", label, key) : cell("th", label);
      node.scope = "col";
      return node;
    }));
    head.append(line);
    body.append(...rows.map((cells) => {
      const row = make("tr");
      row.append(...cells.map((text, place) => {
        const node = cell(place ? "td" : "th", text, place ? "n" : "");
        if (!place) node.scope = "row";
        return node;
      }));
      return row;
    }));
    whole.append(head, body);
    holder.append(whole);
    return holder;
  }

  function definitions(keys) {
    const more = make("details", "more"), summary = make("summary", "", say("annotate.review.definitions")), list = make("dl");
    for (const key of keys) list.append(make("dt", "", say(`annotate.figure.${key}`)), make("dd", "", say(`annotate.def.${key}`)));
    more.append(summary, list);
    return more;
  }

  function about(name) {
    return ["verdict", "severity"].includes(name) ? say(`annotate.about.${name}`) : kindName(name);
  }

  function drawAgreement() {
    const rows = told.agreement.map((one) => [
      about(one.about), String(one.items), share(one.percent), number(one.fleiss), number(one.alpha),
      one.alpha_low === null ? "–" : `${number(one.alpha_low)} … ${number(one.alpha_high)}`,
    ]);
    const heads = ["about", "items", "percent", "fleiss", "alpha", "alpha_interval"].map((key) => [say(`annotate.figure.${key}`), key === "about" ? "" : key]);
    const pairs = make("details", "more");
    pairs.append(make("summary", "", say("annotate.review.pairs")));
    const all = told.agreement.flatMap((one) => one.pairs.map((pair) => [
      `${about(one.about)}: ${pair.first} – ${pair.second}`, String(pair.items), share(pair.percent), number(pair.cohen),
    ]));
    pairs.append(table(say("annotate.review.pairs"), ["pair", "items", "percent", "cohen"].map((key) => [say(`annotate.figure.${key}`), key === "pair" ? "" : key]), all));
    const parts = told.agreement.some((one) => one.items)
      ? [table(say("annotate.review.agreement"), heads, rows), pairs, definitions(["items", "percent", "cohen", "fleiss", "alpha", "alpha_interval"])]
      : [make("p", "soft", say("annotate.review.too_few"))];
    agreementBox.replaceChildren(...parts);
  }

  function drawList() {
    const entries = told[shown];
    for (const button of box.querySelectorAll("[data-list]")) {
      button.setAttribute("aria-pressed", String(button.dataset.list === shown));
      button.textContent = say(`annotate.review.${button.dataset.list}`, { number: told[button.dataset.list].length });
    }
    listBox.replaceChildren(...entries.map((entry) => {
      const line = make("li"), button = make("button", "rev-row");
      button.type = "button";
      button.dataset.item = entry.item;
      button.setAttribute("aria-current", String(item?.id === entry.item));
      button.append(make("span", "rev-caption", entry.caption));
      const facts = [];
      if (entry.verdicts) facts.push(Object.entries(entry.verdicts).map(([verdict, count]) => `${count} × ${verdictName(verdict)}`).join(", "));
      if (entry.kinds?.length) facts.push(say("annotate.review.about", { kinds: entry.kinds.map(kindName).join(locale() === "zh" ? "、" : ", ") }));
      if (entry.adjudicated) facts.push(`✓ ${say("annotate.review.settled")}`);
      button.append(make("span", "rev-facts", facts.join(" · ")));
      button.addEventListener("click", () => openItem(entry.item));
      line.append(button);
      return line;
    }));
    if (!entries.length) listBox.append(make("li", "soft", say(shown === "disagreements" ? "annotate.review.none" : "annotate.review.no_answers")));
    if (shown === "disagreements" && told.more) listBox.append(make("li", "soft", say("annotate.review.more", { number: told.more })));
  }

  function drawPeople() {
    const minutes = (seconds) => (seconds / 60).toFixed(1);
    const rows = told.people.map((one) => [
      one.annotator, String(one.submitted), String(one.skipped), share(one.flagged), number(one.per_hour, 0), number(one.median_s, 1),
      minutes(one.active_s), minutes(one.listened_s), one.gold ? `${share(one.gold.gold_right)} (${one.gold.items})` : "–",
    ]);
    const keys = ["annotator", "submitted", "skipped", "flagged", "per_hour", "median_s", "active_s", "listened_s", "gold_right"];
    const own = ["annotator", "submitted", "skipped", "flagged"];
    const heads = keys.map((key) => [say(`annotate.figure.${key}`), own.includes(key) ? "" : key]);
    peopleBox.replaceChildren(...(rows.length
      ? [table(say("annotate.review.people"), heads, rows), definitions(keys.filter((key) => !own.includes(key)))]
      : [make("p", "soft", say("annotate.review.no_answers"))]));
  }

  function drawFiles() {
    const hashed = filesBox.querySelector("input").checked ? "1" : null;
    for (const link of filesBox.querySelectorAll("a")) {
      link.href = address("export", { campaign: rules().id, format: link.dataset.format, hashed });
      link.setAttribute("download", "");
    }
  }

  // ── One item ────────────────────────────────────────────────────────────────────────────────────────────────────
  async function openItem(id) {
    item = await ask("review-item", { query: { campaign: rules().id, item: id } });
    drawItem();
    drawList();
    panel.focus();
  }

  function answerCard(answer) {
    const card = make("article", "rev-answer");
    card.append(make("h4", "", answer.annotator ?? say("annotate.review.gold")));
    const said = answer.answer;
    if (!said) {
      card.append(make("p", "soft", say(`annotate.status.${answer.status}`)));
      return card;
    }
    card.append(make("p", `rev-verdict ${said.verdict}`, verdictName(said.verdict)));
    if (said.flags.length) {
      const list = make("ul");
      for (const flag of said.flags) {
        const where = flag.start === null ? say("annotate.flag.whole") : `“${item.tokens.slice(flag.start, flag.end).join("").trim()}”`;
        list.append(make("li", "", [kindName(flag.kind), severityName(flag.severity), where, flag.note].filter(Boolean).join(" · ")));
      }
      card.append(list);
    }
    if (said.corrected) card.append(make("p", "rev-corrected", said.corrected));
    if (said.note) card.append(make("p", "soft", said.note));
    if (answer.heard_s !== undefined && item.duration_s) {
      card.append(make("p", "soft", say("annotate.review.heard", { heard: Math.min(answer.heard_s, item.duration_s).toFixed(1), of: item.duration_s.toFixed(1) })));
    }
    return card;
  }

  function drawItem() {
    panel.hidden = !item;
    if (!item) return;
    find(".rev-title").textContent = item.caption;
    find(".rev-title").lang = item.language;
    const facts = [item.system && say("annotate.system", { system: item.system, clip: item.clip }), item.label && say("annotate.review.label", { label: item.label }), item.remark];
    find(".rev-about").textContent = facts.filter(Boolean).join(" · ");
    find(".rev-references").replaceChildren(...item.references.map((text) => make("li", "", text)));
    const audio = find("audio");
    audio.hidden = !item.audio;
    if (item.audio) audio.src = address("audio", { campaign: rules().id, item: item.id });
    const cards = item.answers.map((answer) => {
      const card = answerCard(answer);
      if (answer.status === "submitted") {
        const take = make("button", "rev-take", say("annotate.review.take", { name: answer.annotator }));
        take.type = "button";
        take.addEventListener("click", () => adjudicate(answer.answer, answer.annotator));
        card.append(take);
      }
      return card;
    });
    find(".rev-answers").replaceChildren(...cards);
    const gold = find(".rev-gold");
    gold.hidden = !item.gold.answer;
    gold.replaceChildren();
    if (item.gold.answer) {
      const by = item.gold.chosen ? say("annotate.review.gold_chosen", item.gold) : say("annotate.review.gold_by", item.gold);
      const back = make("button", "rev-back", say("annotate.review.undo"));
      back.type = "button";
      back.addEventListener("click", () => send("adjudication_undone", {}));
      gold.append(answerCard({ answer: item.gold.answer }), make("p", "soft", by), back);
    }
    tokens.show(item);
    form.setTaxonomy(rules().taxonomy);
    form.load(item, item.gold.answer);
    find(".rev-problem").textContent = "";
  }

  function adjudicate(answer, chosen = "") {
    const kept = Object.fromEntries(["verdict", "flags", "corrected", "note"].map((name) => [name, answer[name]]));
    return send("adjudicated", { answer: kept, chosen });
  }

  async function send(kind, payload) {
    const { done, said } = await settle(kind, item.id, payload);
    find(".rev-problem").textContent = said;
    if (!done) return;
    announce(say(kind === "adjudicated" ? "annotate.review.told" : "annotate.review.untold"));
    told = await ask("review", { query: { campaign: rules().id } });
    drawAll();
    await openItem(item.id);
  }

  find(".rev-own").addEventListener("click", () => {
    const answer = form.complete();
    if (answer) adjudicate(answer);
  });
  for (const button of box.querySelectorAll("[data-list]")) {
    button.addEventListener("click", () => {
      shown = button.dataset.list;
      drawList();
    });
  }
  filesBox.querySelector("input").addEventListener("change", drawFiles);

  function drawAll() {
    if (!told || !rules()) return;
    drawAgreement();
    drawList();
    drawPeople();
    drawFiles();
  }

  return {
    async open(campaign) {
      if (item && told?.campaign !== campaign.id) item = null;
      told = { ...(await ask("review", { query: { campaign: campaign.id } })), campaign: campaign.id };
      drawAll();
      drawItem();
    },
    relabel() {
      drawAll();
      if (item) drawItem();
    },
  };
}
