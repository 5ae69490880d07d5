// The caption with its tokens, and the form below it. The form's value is an answer as `ugsd_core.annotations.answers`
// has it: {verdict, flags: [{kind, severity, start, end, note}], corrected, note}. `onChange` is told of every change.

// Tokens as a list box: arrows move, Shift with them or a drag marks a span. `onSpan` is told of [start, end) or null.
function makeTokens(box, onSpan) {
  let chips = [], places = [], anchor = null, head = null, dragging = false, locked = false;

  // Pieces of one word are one chip, which covers them all; where a token's own state is shown, each stands alone.
  function pieces(item) {
    const found = [];
    item.tokens.forEach((text, place) => {
      const last = found[found.length - 1];
      if (!text) return; // the end of the turn has no text
      if (last && !item.marks && /^[\p{L}\p{M}\p{N}'’]/u.test(text) && !/^\p{Script=Han}/u.test(text) && /[\p{L}\p{N}'’]$/u.test(last.text)
        && !/\p{Script=Han}$/u.test(last.text)) Object.assign(last, { text: last.text + text, end: place + 1 });
      else found.push({ text, start: place, end: place + 1 });
    });
    return found;
  }

  function show(item) {
    box.replaceChildren();
    chips = [];
    [anchor, head] = [null, null];
    box.lang = item.language;
    places = pieces(item);
    places.forEach(({ text, start }, place) => {
      const body = text.trim(), lead = body ? text.indexOf(body) : 0;
      const chip = make("span", "tok atok", body || "·");
      chip.setAttribute("role", "option");
      chip.setAttribute("aria-selected", "false");
      chip.dataset.place = place;
      chip.tabIndex = place ? -1 : 0;
      const mark = item.marks?.[start];
      if (mark) {
        chip.classList.add(mark.state);
        chip.style.setProperty("--heat", mark.heat);
        chip.title = say(`state.${mark.state}`);
      }
      box.append(document.createTextNode(text.slice(0, lead)), chip, document.createTextNode(body ? text.slice(lead + body.length) : ""));
      chips.push(chip);
    });
  }

  const around = () => (anchor === null ? null : [Math.min(anchor, head), Math.max(anchor, head) + 1]); // chips
  const span = () => (anchor === null ? null : [places[Math.min(anchor, head)].start, places[Math.max(anchor, head)].end]); // tokens
  function paint() {
    const found = around();
    chips.forEach((chip, place) => {
      const marked = found !== null && place >= found[0] && place < found[1];
      chip.classList.toggle("marked", marked);
      chip.setAttribute("aria-selected", String(marked));
    });
  }
  function mark(from, to, tell = true) {
    if (locked) return;
    [anchor, head] = [from, to];
    paint();
    if (tell) onSpan(span());
  }
  // What flags say is shown below the words; what is being marked, around them.
  function flagged(flags, active) {
    for (const chip of chips) {
      chip.classList.remove("flagged", "active");
      chip.removeAttribute("aria-description");
    }
    flags.forEach((flag, number) => {
      if (flag.start === null || flag.start === undefined) return;
      for (const chip of chips.filter((_, place) => places[place].start < flag.end && places[place].end > flag.start)) {
        chip.classList.add("flagged");
        chip.classList.toggle("active", number === active);
        chip.setAttribute("aria-description", flag.name);
      }
    });
  }
  const placeOf = (target) => {
    const chip = target.closest?.(".atok");
    return chip && box.contains(chip) ? Number(chip.dataset.place) : null;
  };
  function focus(place) {
    const to = Math.max(0, Math.min(chips.length - 1, place));
    chips.forEach((chip, i) => (chip.tabIndex = i === to ? 0 : -1));
    chips[to]?.focus();
    return to;
  }

  box.addEventListener("pointerdown", (event) => {
    const place = placeOf(event.target);
    if (place === null || event.button) return;
    if (event.pointerType === "mouse") event.preventDefault();
    focus(place);
    const found = around();
    if (event.shiftKey && anchor !== null) mark(anchor, place);
    else if (found && event.pointerType !== "mouse") {
      // By finger: a second tap goes as far as there, a tap on what is marked takes the mark away.
      if (place >= found[0] && place < found[1]) mark(null, null, false);
      else mark(place < found[0] ? found[1] - 1 : found[0], place, false);
    } else if (found && found[0] === place && found[1] === place + 1) mark(null, null);
    else mark(place, place, false);
    dragging = event.pointerType === "mouse" && anchor !== null;
    if (!dragging) onSpan(span());
  });
  box.addEventListener("pointerover", (event) => {
    const place = dragging ? placeOf(event.target) : null;
    if (place !== null) mark(anchor, place, false);
  });
  document.addEventListener("pointerup", () => {
    if (!dragging) return;
    dragging = false;
    onSpan(span());
  });
  box.addEventListener("keydown", (event) => {
    const at = placeOf(event.target);
    if (at === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: chips.length - 1 }[event.key];
    if (to !== undefined) {
      const place = focus(to);
      if (event.shiftKey) mark(anchor ?? at, place);
    } else if (event.key === " ") {
      const found = around();
      if (found && found[1] - found[0] === 1 && found[0] === at) mark(null, null);
      else mark(at, at);
    } else if ((event.key === "Backspace" || event.key === "Delete") && anchor !== null) mark(null, null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    show, span, flagged,
    clear: () => mark(null, null, false),
    select(found) {
      const first = found ? places.findIndex((place) => place.end > found[0]) : -1;
      if (first < 0) mark(null, null, false);
      else mark(first, places.findLastIndex((place) => place.start < found[1]), false);
    },
    focus: () => focus(anchor === null ? 0 : Math.max(0, head)),
    lock: (on) => (locked = on),
  };
}

// `severityKeys` and number keys are shown on the buttons, and are what annotate.js listens for.
const SEVERITY_KEYS = ["q", "w", "e", "d"];

function makeForm(box, tokens, onChange) {
  const part = (name) => box.querySelector(`[data-form="${name}"]`);
  const [verdicts, kinds, severities, listed, corrected, note, problem] = ["verdicts", "kinds", "severities", "flags", "corrected", "note", "problem"].map(part);
  const [accept, flagButton] = ["accept", "flag"].map((name) => verdicts.querySelector(`[data-verdict="${name}"]`));
  let taxonomy = { label: "", kinds: [], severities: [] }, item = null, flags = [], verdict = null, active = -1;

  const named = (entry) => entry.name[locale()] ?? entry.name.en;
  const meaning = (entry) => entry.description?.[locale()] ?? entry.description?.en ?? "";
  const kindOf = (id) => taxonomy.kinds.find((kind) => kind.id === id);
  const key = (text) => {
    const cap = make("kbd", "", text);
    cap.setAttribute("aria-hidden", "true");
    return cap;
  };

  function setTaxonomy(told) {
    taxonomy = told;
    relabel();
  }

  function relabel() {
    kinds.replaceChildren(...taxonomy.kinds.map((kind, place) => {
      const button = make("button", "choice");
      button.type = "button";
      button.dataset.kind = kind.id;
      button.title = meaning(kind);
      if (place < 9) {
        button.append(key(String(place + 1)), " ");
        button.setAttribute("aria-keyshortcuts", String(place + 1));
      }
      button.append(named(kind));
      button.addEventListener("click", () => toggleKind(place));
      return button;
    }));
    severities.replaceChildren(...taxonomy.severities.map((severity, place) => {
      const button = make("button", "choice");
      button.type = "button";
      button.dataset.severity = severity.id;
      button.title = meaning(severity);
      if (SEVERITY_KEYS[place]) {
        button.append(key(SEVERITY_KEYS[place].toUpperCase()), " ");
        button.setAttribute("aria-keyshortcuts", SEVERITY_KEYS[place]);
      }
      button.append(named(severity));
      button.addEventListener("click", () => setSeverity(place));
      return button;
    }));
    draw();
  }

  function draw() {
    for (const [button, name] of [[accept, "accept"], [flagButton, "flag"]]) button.setAttribute("aria-pressed", String(verdict === name));
    const current = flags[active];
    for (const button of kinds.children) {
      const count = flags.filter((flag) => flag.kind === button.dataset.kind).length;
      button.setAttribute("aria-pressed", String(count > 0));
      button.classList.toggle("current", current?.kind === button.dataset.kind);
    }
    for (const button of severities.children) {
      button.setAttribute("aria-pressed", String(current?.severity === button.dataset.severity));
      button.disabled = !current;
    }
    box.classList.toggle("accepted", verdict === "accept");
    listed.replaceChildren(...flags.map(row));
    listed.hidden = !flags.length;
    tokens.flagged(flags.map((flag) => ({ ...flag, name: named(kindOf(flag.kind) ?? { name: { en: flag.kind } }) })), active);
  }

  function row(flag, number) {
    const line = make("li", number === active ? "flag-row active" : "flag-row");
    const kind = kindOf(flag.kind), severity = taxonomy.severities.find((entry) => entry.id === flag.severity);
    const pick = make("button", "flag-pick");
    pick.type = "button";
    pick.setAttribute("aria-pressed", String(number === active));
    const where = flag.start === null ? say("annotate.flag.whole") : `“${item ? item.tokens.slice(flag.start, flag.end).join("").trim() : ""}”`;
    pick.append(make("b", "", kind ? named(kind) : flag.kind), ` · ${severity ? named(severity) : say("annotate.flag.no_severity")} · ${where}`);
    pick.addEventListener("click", () => choose(number));
    const own = make("input", "flag-note");
    own.type = "text";
    own.maxLength = 4000;
    own.value = flag.note;
    own.placeholder = say(kind?.needs_note ? "annotate.flag.note_needed" : "annotate.flag.note");
    own.setAttribute("aria-label", say("annotate.flag.note_of", { kind: kind ? named(kind) : flag.kind }));
    own.addEventListener("input", () => {
      flag.note = own.value;
      tell();
    });
    const gone = make("button", "flag-gone", "×");
    gone.type = "button";
    gone.setAttribute("aria-label", say("annotate.flag.remove", { kind: kind ? named(kind) : flag.kind }));
    gone.addEventListener("click", () => {
      flags.splice(number, 1);
      active = flags.length - 1;
      change();
      (listed.querySelector(".flag-pick") ?? flagButton).focus();
    });
    line.append(pick, own, gone);
    return line;
  }

  function tell() {
    problem.textContent = "";
    onChange();
  }
  function change() {
    draw();
    tell();
  }

  function choose(number) {
    active = number;
    const flag = flags[number];
    tokens.select(flag && flag.start !== null ? [flag.start, flag.end] : null);
    draw();
  }

  function setVerdict(name) {
    verdict = name;
    change();
  }

  // A kind once: it is put, at the words that are marked; again: it is taken away. Words that are the current flag's
  // own are not put under another one as well.
  function toggleKind(place) {
    const kind = taxonomy.kinds[place];
    if (!kind) return;
    const marked = tokens.span(), current = flags[active];
    const owned = current && marked && current.start === marked[0] && current.end === marked[1];
    const [start, end] = marked && !owned ? marked : [null, null];
    verdict = "flag";
    if (current?.kind === kind.id && (owned || !marked)) {
      flags.splice(active, 1);
      active = flags.length - 1;
      tokens.clear();
      return change();
    }
    const known = flags.findIndex((flag) => flag.kind === kind.id && (start === null || (flag.start === start && flag.end === end)));
    if (known < 0) flags.push({ kind: kind.id, severity: null, start, end, note: "" });
    active = known < 0 ? flags.length - 1 : known;
    tokens.select(flags[active].start === null ? null : [flags[active].start, flags[active].end]);
    change();
  }

  function setSeverity(place) {
    const severity = taxonomy.severities[place];
    if (!severity || active < 0) return;
    flags[active].severity = severity.id;
    change();
  }

  // A span that is marked belongs to the flag that is being made; without one it waits for the next.
  function spanned(span) {
    if (active < 0 || !flags[active]) return;
    const [start, end] = span ?? [null, null];
    if (flags[active].start === start && flags[active].end === end) return;
    if (span && flags[active].start !== null && flags[active].severity) {
      active = -1; // that flag is complete: the new span is for another one
      draw();
      return;
    }
    Object.assign(flags[active], { start, end });
    change();
  }

  accept.addEventListener("click", () => setVerdict("accept"));
  flagButton.addEventListener("click", () => setVerdict("flag"));
  corrected.addEventListener("input", tell);
  note.addEventListener("input", tell);

  function value() {
    const text = corrected.value;
    return {
      verdict,
      flags: flags.map(({ kind, severity, start, end, note: own }) => ({ kind, severity, start, end, note: own })),
      corrected: text.trim() && item && text.trim() !== item.caption.trim() ? text : null,
      note: note.value,
    };
  }

  function load(next, form) {
    item = next;
    flags = (form?.flags ?? []).map((flag) => ({ ...flag, start: flag.start ?? null, end: flag.end ?? null, note: flag.note ?? "" }));
    verdict = form?.verdict ?? null;
    active = flags.length - 1;
    corrected.value = form?.corrected ?? next.caption;
    corrected.lang = next.language;
    note.value = form?.note ?? "";
    problem.textContent = "";
    draw();
  }

  // The answer as it is submitted; null, with the reason shown, if something is missing.
  function complete() {
    const answer = value();
    if (answer.verdict === "accept") answer.flags = []; // set aside by the verdict
    const lacking = answer.flags.find((flag) => !flag.severity);
    const silent = answer.flags.find((flag) => kindOf(flag.kind)?.needs_note && !flag.note.trim());
    let told = "", focus = null;
    if (answer.verdict === null) [told, focus] = [say("annotate.lacks.verdict"), accept];
    else if (answer.verdict === "flag" && !answer.flags.length) [told, focus] = [say("annotate.lacks.kind"), kinds.firstElementChild];
    else if (lacking) {
      choose(flags.findIndex((flag) => flag.kind === lacking.kind && flag.start === lacking.start && flag.end === lacking.end));
      [told, focus] = [say("annotate.lacks.severity", { kind: named(kindOf(lacking.kind)) }), severities.firstElementChild];
    } else if (silent) [told, focus] = [say("annotate.lacks.note", { kind: named(kindOf(silent.kind)) }), listed.querySelectorAll(".flag-note")[answer.flags.indexOf(silent)]];
    if (!told) return answer;
    refuse(told, focus);
    return null;
  }

  function refuse(told, focus = null) {
    problem.textContent = told;
    focus?.focus();
  }

  return {
    load, value, complete, refuse, setTaxonomy, relabel, setVerdict, toggleKind, setSeverity, spanned, draw,
    // Whether anything was said yet.
    touched: () => verdict !== null || flags.length > 0 || note.value !== "" || value().corrected !== null,
    fields: { corrected, note },
  };
}
