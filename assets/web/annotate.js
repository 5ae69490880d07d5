// The tab Annotate: signing in, one item after the other, and the keys. Markup: ui/components/annotation_form.py.
// In scope: element, props (words); words.js, annotate_client.js, annotate_player.js, annotate_form.js, review.js.
const find = (selector) => element.querySelector(selector);
const [door, desk, workView, reviewView] = [".ann-door", ".ann-desk", ".ann-work", ".ann-review"].map(find);
const [region, nothing, savedLine, live, helpBox] = [".ann-item", ".ann-nothing", ".ann-saved", ".ann-live", ".ann-help"].map(find);
const [chooser, bar, barText, submit, skip, undoButton] = [".ann-campaign", ".ann-progress", ".ann-progress-text", ".ann-submit", ".ann-skip", ".ann-undo"].map(find);
const DRAFT_MS = 400;
let person = null, way = "listed", campaigns = [], rules = null, current = null, view = "work";
let busy = false, draftTimer = null, state = "saved", lastAt = "", single = store.get("ugsd-annotate-keys") !== "off";
let progress = null, replaced = null;
let ahead = null; // the item after this one: it is reserved, and its clip is here already
const refusals = new Map(); // event id -> what the server said
const sounds = new Map(); // item id -> promise of its clip

const tokens = makeTokens(find(".ann-tokens"), (span) => form.spanned(span));
const form = makeForm(find(".ann-form"), tokens, changed);
const player = makePlayer(find(".ann-player"), (start_s, end_s, spent_s) => {
  if (!current) return;
  outbox.put("listened", rules.id, current.id, { start_s, end_s, spent_s });
  if (!busy) soon(); // so that a submit has less to bring
});
const reviewing = makeReview(reviewView, { announce, sound: (item) => soundOf(item), rules: () => rules, settle });

// ── What is said ──────────────────────────────────────────────────────────────────────────────────────────────────
function announce(text) {
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 30);
}

const plainly = (error) => {
  const key = `annotate.error.${error.code}`;
  const own = tables[locale()][key];
  return own && error.english ? own : error.message || say("annotate.error.failed");
};

function drawSaved() {
  const waiting = outbox.size();
  const revision = current && rules ? outbox.of(rules.id, current.id) : 0;
  const said = {
    saved: revision ? say("annotate.saved.at", { revision }) : say("annotate.saved.none"),
    waiting: say("annotate.saved.saving"),
    offline: say("annotate.saved.offline", { waiting }),
  }[state];
  if (savedLine.textContent !== said) savedLine.textContent = said;
  savedLine.dataset.state = state;
  savedLine.dataset.revision = revision;
  savedLine.title = lastAt ? say("annotate.saved.time", { time: new Date(lastAt).toLocaleTimeString() }) : "";
}

function drawProgress() {
  if (!progress) return;
  const done = progress.submitted + progress.skipped;
  const total = Math.max(1, progress.total - progress.closed);
  bar.max = total;
  bar.value = done;
  barText.textContent = [
    say("annotate.progress.done", { done, total }),
    progress.skipped ? say("annotate.progress.skipped", { number: progress.skipped }) : "",
    progress.draft ? say("annotate.progress.drafts", { number: progress.draft }) : "",
  ].filter(Boolean).join(" · ");
}

function relabel() {
  for (const node of element.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  for (const node of element.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  for (const node of element.querySelectorAll("[data-tip]")) node.title = say(node.dataset.tip);
  for (const node of element.querySelectorAll("[data-hint]")) node.placeholder = say(node.dataset.hint);
  drawDoor();
  form.relabel();
  player.relabel();
  reviewing.relabel();
  drawProgress();
  drawSaved();
  drawRules();
  drawKeys();
}

// ── The door ──────────────────────────────────────────────────────────────────────────────────────────────────────
function drawDoor() {
  door.hidden = person !== null;
  desk.hidden = person === null;
  find(".ann-lead").textContent = say(`annotate.door.lead.${way}`);
  find(".ann-secret").hidden = way === "trial" || way === "oauth";
  find(".ann-secret-hint").textContent = say(way === "open" ? "annotate.door.password.open" : "annotate.door.password.hint");
  find(".ann-roles").hidden = way !== "trial";
  find(".ann-name").hidden = way === "oauth";
  find(".ann-enter").hidden = way === "oauth";
  find(".ann-oauth").hidden = way !== "oauth";
  find(".ann-oauth").href = `${root}/login/huggingface`;
  find(".ann-enter").textContent = say(way === "trial" ? "annotate.door.try" : "annotate.door.enter");
  if (person) find(".ann-person").textContent = say(`annotate.person.${person.role}`, { name: person.name });
}

function shut(text = "") {
  player.finish();
  [person, current, rules] = [null, null, null];
  find(".ann-door-problem").textContent = text;
  drawDoor();
}

find(".ann-door form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(event.target);
  const problem = find(".ann-door-problem");
  problem.textContent = "";
  try {
    await ask("sign-in", { body: { name: data.get("name"), password: data.get("password") ?? "", role: data.get("role") ?? "" } });
    find(".ann-secret input").value = "";
    await begin();
  } catch (error) {
    problem.textContent = error instanceof Refused ? plainly(error.told) : say("annotate.error.offline");
  }
});

find(".ann-leave").addEventListener("click", async () => {
  player.finish();
  await outbox.flush().catch(() => {});
  await ask("sign-out", { body: {} }).catch(() => {});
  outbox.begin("");
  shut();
  find(".ann-name input").focus();
});

async function begin() {
  const told = await ask("session");
  [person, way, campaigns] = [told.user, told.way, told.campaigns];
  if (!person) {
    shut(find(".ann-door-problem").textContent);
    return;
  }
  outbox.begin(person.name);
  find(".ann-views").hidden = person.role !== "reviewer";
  find(".ann-none").hidden = campaigns.length > 0;
  desk.classList.toggle("without", campaigns.length === 0);
  drawDoor();
  await deliver(null);
  chooser.replaceChildren(...campaigns.map(({ id, title }) => new Option(title, id)));
  const last = store.get("ugsd-annotate-campaign");
  const first = campaigns.find(({ id }) => id === last) ?? campaigns.find(({ progress: { pending } }) => pending) ?? campaigns[0];
  if (first) await choose(first.id);
}

async function choose(campaign) {
  chooser.value = campaign;
  store.set("ugsd-annotate-campaign", campaign);
  rules = await ask("campaign", { query: { campaign } });
  form.setTaxonomy(rules.taxonomy);
  drawRules();
  if (view === "review") await reviewing.open(rules);
  await show(await ask("work", { query: { campaign, last: store.get(lastKey()) } }));
}

function drawRules() {
  if (!rules) return;
  const text = find(".ann-guidelines");
  if (text.dataset.of !== rules.id) text.innerHTML = rules.guidelines; // made by our server, which lets no markup through
  text.dataset.of = rules.id;
  find(".ann-rules").textContent = [
    say(rules.blind ? "annotate.rules.blind" : "annotate.rules.open"),
    rules.must_listen > 0 ? say("annotate.rules.listen", { share: Math.round(100 * rules.must_listen) }) : "",
    say("annotate.rules.flags", { label: rules.taxonomy.label }),
  ].filter(Boolean).join(" ");
}

chooser.addEventListener("change", async () => {
  player.finish();
  await deliver(null);
  await attempt(() => choose(chooser.value));
});

// ── One item after the other ──────────────────────────────────────────────────────────────────────────────────────
function soundOf(item) {
  if (!item.audio) return null;
  if (!sounds.has(item.id)) {
    const query = { campaign: rules.id, item: item.id };
    const coming = fetch(address("audio", query), { headers: { "X-UGSD-Annotate": "1" } }).then((answer) => {
      if (!answer.ok) throw new TypeError(`the clip can't be had: ${answer.status}`);
      return answer.blob();
    });
    coming.catch(() => sounds.delete(item.id));
    sounds.set(item.id, coming);
    while (sounds.size > 6) sounds.delete(sounds.keys().next().value);
  }
  return sounds.get(item.id);
}

async function show(work) {
  if (!work) return;
  progress = work.progress;
  current = work.item;
  ahead = work.ahead ?? null;
  drawProgress();
  nothing.hidden = current !== null;
  region.hidden = current === null;
  undoButton.disabled = !undoable().length;
  if (!current) {
    player.finish();
    find(".ann-nothing p").textContent = say(progress.submitted + progress.skipped ? "annotate.nothing.done" : "annotate.nothing.none");
    announce(find(".ann-nothing p").textContent);
    drawSaved();
    return;
  }
  outbox.at(rules.id, current.id, current.revision);
  store.set(lastKey(), current.id);
  tokens.show(current);
  form.load(current, current.form);
  const system = find(".ann-system");
  const by = current.clip ? say("annotate.system", { system: current.system, clip: current.clip }) : current.system;
  system.textContent = [by, current.remark].filter(Boolean).join(" · ");
  system.hidden = !system.textContent;
  drawSaved();
  region.dataset.item = current.id;
  const loaded = player.load(soundOf(current), { seconds: current.duration_s, known: current.heard, must: rules.must_listen });
  if (ahead) soundOf(ahead)?.catch(() => {});
  // Now, and not when the clip is there: somebody may be typing by then.
  if (element.contains(document.activeElement) || document.activeElement === document.body) region.focus({ preventScroll: true });
  await loaded;
}

// Goes on to the item that is here already; what comes after it is asked for meanwhile, so that nobody waits for it.
async function goOn(kind) {
  const next = ahead;
  const counts = { ...progress, pending: progress.pending - 1, [kind]: progress[kind] + 1 };
  await show({ item: next, ahead: null, progress: counts });
  ask("work", { query: { campaign: rules.id, item: next.id } }).then((work) => {
    if (current?.id !== work.item?.id || busy) return;
    [progress, ahead] = [work.progress, work.ahead];
    if (ahead) soundOf(ahead)?.catch(() => {});
    drawProgress();
    if (work.item.revision > outbox.of(rules.id, next.id) && !form.touched()) {
      outbox.at(rules.id, next.id, work.item.revision); // another window of this person had begun it
      form.load(work.item, work.item.form);
      drawSaved();
    }
  }).catch(() => {}); // then the next submit asks for it
}

// Whatever was done is sent until the server has it; gives what the server said, or null if it refused.
async function deliver(then) {
  for (let tries = 0; ; tries++) {
    try {
      return await outbox.flush({ then });
    } catch (error) {
      if (error instanceof Refused) {
        if (error.status !== 401) form.refuse(plainly(error.told));
        return null;
      }
      await new Promise((go) => setTimeout(go, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
      if (!person) return null;
    }
  }
}

function changed() {
  if (!current || busy) return;
  outbox.put("draft_saved", rules.id, current.id, { answer: form.value() });
  soon();
}

function soon() {
  clearTimeout(draftTimer);
  draftTimer = setTimeout(() => outbox.flush().catch(() => {}), DRAFT_MS);
}

function saveNow() {
  clearTimeout(draftTimer);
  player.note();
  if (person) outbox.flush({ keepalive: true }).catch(() => {});
}

async function decide(kind) {
  if (busy || !current || !rules) return;
  let payload = {};
  if (kind === "submitted") {
    const answer = form.complete();
    if (!answer) return announce(find('[data-form="problem"]').textContent);
    if (player.lacking()) {
      const part = { share: Math.floor(100 * player.heardShare()), wanted: Math.round(100 * rules.must_listen) };
      form.refuse(say("annotate.lacks.listening", part));
      return;
    }
    payload = { answer };
  }
  const began = performance.now(), item = current;
  await busily(async () => {
    player.finish();
    clearTimeout(draftTimer);
    const event = outbox.put(kind, rules.id, item.id, payload);
    const known = ahead && ["pending", "draft"].includes(item.status);
    const told = await deliver(known ? null : { campaign: rules.id });
    if ((!told && outbox.has(event.id)) || refusals.has(event.id)) return refused(event);
    remember({ campaign: rules.id, item: item.id, kind });
    if (known) await goOn(kind);
    else await show(told?.work ?? (await ask("work", { query: { campaign: rules.id } })));
    Object.assign(element.dataset, { turnMs: (performance.now() - began).toFixed(1), turns: Number(element.dataset.turns ?? 0) + 1 });
    const where = current ? say("annotate.live.next", { done: barText.textContent }) : "";
    announce(`${say(kind === "skipped" ? "annotate.live.skipped" : "annotate.live.submitted")} ${where}`);
  });
}

async function undo() {
  if (busy || !person || !rules) return;
  const last = undoable().pop();
  if (!last) return announce(say("annotate.live.nothing_to_undo"));
  await busily(async () => {
    player.finish();
    const event = outbox.put("undone", last.campaign, last.item, {});
    const told = await deliver({ campaign: last.campaign, item: last.item });
    forget(last);
    if (!told || refusals.has(event.id)) return refused(event);
    sounds.delete(last.item);
    if (rules.id !== last.campaign) {
      rules = await ask("campaign", { query: { campaign: last.campaign } });
      chooser.value = rules.id;
      form.setTaxonomy(rules.taxonomy);
      drawRules();
    }
    await show(told.work);
    announce(say(last.kind === "skipped" ? "annotate.live.unskipped" : "annotate.live.unsubmitted"));
  });
}

// A reviewer's gold answer, or taking it back; true when the server has it.
async function settle(kind, item, payload) {
  const event = outbox.put(kind, rules.id, item, payload);
  const told = await deliver(null);
  const error = refusals.get(event.id);
  if (error) announce(plainly(error));
  return { done: Boolean(told) && !error, said: error ? plainly(error) : "" };
}

function refused(event) {
  const error = refusals.get(event.id);
  if (error) form.refuse(plainly(error));
  undoButton.disabled = !undoable().length;
}

async function busily(work) {
  busy = true;
  region.setAttribute("aria-busy", "true");
  hold(true);
  try {
    await attempt(work);
  } finally {
    busy = false;
    region.removeAttribute("aria-busy");
    hold(false);
  }
}

// While an answer is on its way (without a connection: for as long as it takes), nothing of it can be changed.
function hold(on) {
  tokens.lock(on);
  for (const field of Object.values(form.fields)) field.readOnly = on;
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) shut(plainly(error.told));
    else form.refuse(error instanceof Refused ? plainly(error.told) : say("annotate.error.offline"));
  }
}

// What was open last: the one ahead is held by the server as well.
const lastKey = () => `ugsd-annotate-item/${person?.name ?? ""}/${rules?.id ?? ""}`;
// What can be taken back, the last one last; it outlives a reload.
const undoKey = () => `ugsd-annotate-undo/${person?.name ?? ""}`;
const undoable = () => JSON.parse(store.get(undoKey()) ?? "[]");
function remember(deed) {
  const kept = undoable().filter(({ campaign, item }) => campaign !== deed.campaign || item !== deed.item);
  store.set(undoKey(), JSON.stringify([...kept, deed].slice(-50)));
  undoButton.disabled = false;
}
function forget(deed) {
  store.set(undoKey(), JSON.stringify(undoable().filter(({ campaign, item }) => campaign !== deed.campaign || item !== deed.item)));
}

outbox.listen((now, more) => {
  if (now === "signed_out") return shut(plainly(more.error.told));
  if (now === "refused") {
    refusals.set(more.event.id, more.error);
    if (more.event.kind === "draft_saved" && current?.id === more.event.item) contradicted(more);
    return;
  }
  if (now === "refused_all") return;
  state = now;
  lastAt = more?.acks?.at(-1)?.at ?? lastAt;
  drawSaved();
});

// Another window changed the same answer: nothing is thrown away, the person chooses.
function contradicted({ event, error }) {
  if (error.code !== "revision") return form.refuse(plainly(error));
  replaced = event;
  find(".ann-conflict").hidden = false;
  announce(say("annotate.conflict.told"));
}
find(".ann-mine").addEventListener("click", () => resolve(true));
find(".ann-theirs").addEventListener("click", () => resolve(false));
async function resolve(mine) {
  const event = replaced;
  find(".ann-conflict").hidden = true;
  replaced = null;
  await attempt(async () => {
    await show(await ask("work", { query: { campaign: event.campaign, item: event.item } }));
    if (!mine) return;
    form.load(current, event.payload.answer);
    changed();
  });
}

// ── Keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────
const KEYS = {
  a: () => form.setVerdict("accept"),
  f: () => form.setVerdict("flag"),
  s: () => decide("skipped"),
  u: undo,
  t: () => tokens.focus(),
  c: () => form.fields.corrected.focus(),
  n: () => form.fields.note.focus(),
  g: () => (find(".ann-side details").open = !find(".ann-side details").open),
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
    if (event.key === "u" && person && view === "work" && nothing.checkVisibility() && !typing(event.target)) undo();
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
document.addEventListener("ugsd-annotate-open", () => begin().catch(() => {}));
const wide = matchMedia("(min-width: 1000px)");
find(".ann-side details").open = wide.matches;
relabel();
begin().catch(() => {
  drawDoor();
  find(".ann-door-problem").textContent = say("annotate.error.offline");
});
