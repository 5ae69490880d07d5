// What the tab Annotate says to the server, and what waits to be said. Nothing that a person did is only in memory:
// a change is written into localStorage under the id of its event first, and taken out when the server has it on disk.
// Sending one twice is harmless, so after a lost answer, a reload or a restart everything that is left is sent again.

// crypto.randomUUID is there in secure contexts only; a page of another machine without TLS is none.
const newId = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
};

const store = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage may be forbidden
    }
  },
  set(key, text) {
    try {
      localStorage.setItem(key, text);
    } catch {
      // then it holds while the page is open
    }
  },
  remove(key) {
    try {
      localStorage.removeItem(key);
    } catch {
      // nothing was kept
    }
  },
  keys(prefix) {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
    } catch {
      return [];
    }
  },
};

const root = (window.gradio_config?.root ?? "").replace(/\/$/, "") || location.origin;
const address = (path, query = {}) => {
  const url = new URL(`${root}/annotate/${path}`, location.href);
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) url.searchParams.set(name, value);
  return url.href;
};

// A refusal of the server: `code` and `field` say which, the message is for people.
class Refused extends Error {
  constructor(status, told) {
    super(told.message ?? "");
    Object.assign(this, { status, code: told.code ?? "", field: told.field ?? "", told });
  }
}

// Throws Refused when the server said no, and TypeError when it could not be reached or is in trouble.
async function ask(path, { query, body, keepalive = false } = {}) {
  const settings = { credentials: "same-origin", headers: { "X-UGSD-Annotate": "1", "Accept-Language": locale() }, keepalive };
  if (body !== undefined) {
    settings.method = "POST";
    settings.headers["Content-Type"] = "application/json";
    settings.body = JSON.stringify(body);
  }
  const answer = await fetch(address(path, query), settings);
  if (answer.status >= 500) throw new TypeError(`the server answers ${answer.status}`);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told);
  return told;
}

// ── What waits ────────────────────────────────────────────────────────────────────────────────────────────────────
const OUTBOX = "ugsd-annotate/";
const RETRY_MS = [300, 1000, 2000, 4000];

const outbox = (() => {
  let user = "", waiting = [], sending = null, failures = 0, timer = null, number = 0;
  const revisions = new Map(); // "campaign/item" -> revision that the server is known to be at
  const listeners = [];
  const key = (event) => `${OUTBOX}${user}/${event.id}`;
  const place = (event) => `${event.campaign}/${event.item}`;
  const changed = (state, more) => listeners.forEach((listen) => listen(state, more));

  // Whatever an earlier page of this person could not send, in its order.
  function begin(name) {
    if (name === user) return;
    user = name;
    revisions.clear();
    waiting = !name ? [] : store.keys(`${OUTBOX}${user}/`)
      .map((one) => {
        try {
          return JSON.parse(store.get(one));
        } catch {
          return null;
        }
      })
      .filter((event) => event && event.id)
      .sort((one, other) => one.order - other.order);
  }

  // A newer draft of an item takes the place of one that is not on its way yet.
  function put(kind, campaign, item, payload) {
    const event = { id: newId(), kind, campaign, item, payload, order: Date.now() + number++ / 1000 };
    if (kind === "draft_saved" || kind === "submitted" || kind === "skipped") {
      for (const old of waiting.filter((one) => one.kind === "draft_saved" && place(one) === place(event) && !one.sent)) drop(old);
    }
    waiting.push(event);
    store.set(key(event), JSON.stringify(event));
    changed("waiting");
    return event;
  }

  function drop(event) {
    store.remove(key(event));
    waiting = waiting.filter((one) => one !== event);
  }

  // Sends all that waits in one request; gives the server's answer, or null if nothing waits and nothing is asked for.
  async function flush({ then = null, keepalive = false } = {}) {
    while (sending) await sending.catch(() => {});
    clearTimeout(timer);
    if (!user || (!waiting.length && !then)) return null;
    sending = send([...waiting], then, keepalive);
    try {
      return await sending;
    } finally {
      sending = null;
    }
  }

  async function send(events, then, keepalive) {
    for (const event of events) event.sent = true;
    const body = {
      events: events.map(({ id, kind, campaign, item, payload }) => ({
        id, kind, campaign, item, payload, expected_revision: kind === "listened" ? null : revisions.get(`${campaign}/${item}`) ?? null,
      })),
      then,
      user,
    };
    // Within one request only the first change of an item can say which revision it was made on.
    const named = new Set();
    for (const event of body.events) {
      if (event.kind === "listened") continue;
      if (named.has(place(event))) event.expected_revision = null;
      named.add(place(event));
    }
    try {
      const told = await ask("events", { body, keepalive });
      failures = 0;
      for (const ack of told.acks) {
        const event = events.find((one) => one.id === ack.id);
        if (!event) continue;
        if (ack.error) changed("refused", { event, error: ack.error });
        else if (ack.revision !== null && ack.revision !== undefined) revisions.set(place(event), ack.revision);
        drop(event);
      }
      changed(waiting.length ? "waiting" : "saved", told);
      return told;
    } catch (error) {
      for (const event of events) delete event.sent;
      if (error instanceof Refused) {
        changed(error.status === 401 ? "signed_out" : "refused_all", { error });
        throw error;
      }
      timer = setTimeout(() => flush().catch(() => {}), RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
      changed("offline");
      throw error;
    }
  }

  return {
    begin, put, flush,
    at: (campaign, item, revision) => revisions.set(`${campaign}/${item}`, revision),
    of: (campaign, item) => revisions.get(`${campaign}/${item}`) ?? 0,
    size: () => waiting.length,
    has: (id) => waiting.some((event) => event.id === id),
    listen: (listener) => listeners.push(listener),
  };
})();
