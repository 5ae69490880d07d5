// One caption after the other: showing it, sending what was done, taking it back. In scope: annotate.js and what it has.
// ── One item after the other ──────────────────────────────────────────────────────────────────────────────────────
function soundOf(item) {
  if (!item.audio) return null;
  const key = `${rules.id}/${item.id}`;
  if (!sounds.has(key)) {
    const query = { campaign: rules.id, item: item.id };
    const coming = fetch(address("audio", query), { headers: { "X-UGSD-Annotate": "1" } }).then((answer) => {
      if (!answer.ok) throw new TypeError(`the clip can't be had: ${answer.status}`);
      return answer.blob();
    });
    coming.catch(() => sounds.delete(key));
    sounds.set(key, coming);
    while (sounds.size > 6) sounds.delete(sounds.keys().next().value);
  }
  return sounds.get(key);
}

async function show(work) {
  if (!work) return;
  progress = work.progress;
  current = work.item;
  ahead = work.ahead ?? null;
  drawProgress();
  drawRevisit();
  earlier.at(current?.id ?? null, progress.submitted + progress.skipped + progress.draft);
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
    const known = ahead && isOpen(item);
    const told = await deliver(known ? null : { campaign: rules.id, item: origin });
    if ((!told && outbox.has(event.id)) || refusals.has(event.id)) return refused(event);
    remember({ campaign: rules.id, item: item.id, kind });
    origin = null;
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
    origin = null;
    if (!told || refusals.has(event.id)) return refused(event);
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

// ── Earlier answers ───────────────────────────────────────────────────────────────────────────────────────────────
const isOpen = (item) => ["pending", "draft"].includes(item.status);

// Opens an own answer again. What is changed in it is kept like any change, and is in force when it is submitted.
async function revisit(item) {
  if (busy || !person || !rules || item === current?.id) return region.focus({ preventScroll: true });
  await busily(async () => {
    player.finish();
    await deliver(null);
    const left = current && isOpen(current) ? current.id : origin;
    const work = await ask("work", { query: { campaign: rules.id, item } });
    origin = left !== item ? left : null;
    await show(work);
    arrive();
    announce(say("annotate.earlier.opened"));
  });
}

async function goBack() {
  if (busy || !current || isOpen(current)) return;
  await busily(async () => {
    player.finish();
    await deliver(null);
    const work = await ask("work", { query: { campaign: rules.id, item: origin } });
    origin = null;
    await show(work);
    arrive();
  });
}

// On a phone the list is far below.
function arrive() {
  const target = current ? region : nothing;
  if (target.getBoundingClientRect().top < 0) target.scrollIntoView();
  if (current) region.focus({ preventScroll: true });
}

function drawRevisit() {
  const line = find(".ann-revisit");
  line.hidden = !current || isOpen(current);
  if (!line.hidden) line.firstElementChild.textContent = say(`annotate.earlier.${current.status}`, { time: earlier.when(current.decided_at) });
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
  if (now === "saved" && !busy && more?.acks?.some((ack) => ack.revision)) earlier.changed();
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
