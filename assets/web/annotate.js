// The tab Annotate: its state, what is said, and signing in. Markup: ui/components/annotation_form.py. In scope: element,
// props (words); words.js, annotate_client.js, annotate_player.js, annotate_form.js, annotate_earlier.js, review.js.
const find = (selector) => element.querySelector(selector);
const [door, desk, workView, reviewView] = [".ann-door", ".ann-desk", ".ann-work", ".ann-review"].map(find);
const [region, nothing, savedLine, live, helpBox] = [".ann-item", ".ann-nothing", ".ann-saved", ".ann-live", ".ann-help"].map(find);
const [chooser, bar, barText, submit, skip, undoButton] = [".ann-campaign", ".ann-progress", ".ann-progress-text", ".ann-submit", ".ann-skip", ".ann-undo"].map(find);
const DRAFT_MS = 400;
let person = null, way = "listed", campaigns = [], rules = null, current = null, view = "work";
let busy = false, draftTimer = null, state = "saved", lastAt = "", single = store.get("ugsd-annotate-keys") !== "off";
let progress = null, replaced = null;
let origin = null; // the caption that was left to look at an earlier answer; null while nobody does
let ahead = null; // the item after this one: it is reserved, and its clip is here already
const refusals = new Map(); // event id -> what the server said
const sounds = new Map(); // "campaign/item" -> promise of its clip

const tokens = makeTokens(find(".ann-tokens"), (span) => form.spanned(span));
const form = makeForm(find(".ann-form"), tokens, changed);
const player = makePlayer(find(".ann-player"), (start_s, end_s, spent_s) => {
  if (!current) return;
  outbox.put("listened", rules.id, current.id, { start_s, end_s, spent_s });
  if (!busy) soon(); // so that a submit has less to bring
});
const earlier = makeEarlier(find(".ann-earlier"), { rules: () => rules, open: revisit, leave: () => region.focus({ preventScroll: true }) });
const reviewing = makeReview(reviewView, { announce, sound: (item) => soundOf(item), rules: () => rules, settle });

// ── What is said ──────────────────────────────────────────────────────────────────────────────────────────────────
function announce(text) {
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 30);
}

// What the server says is a sentence without its capital and its full stop.
const sentence = (text) => text && text[0].toUpperCase() + text.slice(1) + (/[.!?。！？]$/.test(text) ? "" : locale() === "zh" ? "。" : ".");
const plainly = (error) => {
  const key = `annotate.error.${error.code}`;
  const own = tables[locale()][key];
  return own && error.english ? own : sentence(error.message) || say("annotate.error.failed");
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
  earlier.relabel();
  drawRevisit();
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
  [person, current, rules, origin] = [null, null, null, null];
  earlier.forget();
  [region.hidden, nothing.hidden] = [true, true]; // whoever comes next sees nothing of this one's
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
    if (error instanceof Refused) find(way === "trial" || error.code === "name" ? ".ann-name input" : ".ann-secret input").select();
  }
});

find(".ann-leave").addEventListener("click", async () => {
  player.finish();
  await outbox.flush().catch(() => {});
  await ask("sign-out", { body: {} }).catch(() => {});
  outbox.begin("");
  if (way === "oauth") return location.assign(`${root}/logout`); // that session is Gradio's
  shut();
  find(".ann-name input").focus();
});

async function begin() {
  const told = await ask("session");
  [person, way, campaigns] = [told.user, told.way, told.campaigns];
  if (!person) {
    shut(told.why ? plainly(told.why) : find(".ann-door-problem").textContent);
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
  origin = null;
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
  ].filter(Boolean).join(locale() === "zh" ? "" : " ");
}

chooser.addEventListener("change", async () => {
  player.finish();
  await deliver(null);
  await attempt(() => choose(chooser.value));
});
