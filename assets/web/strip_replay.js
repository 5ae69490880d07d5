// The replay of a run: buttons, a slider through its time, and the moment that is shown.
// Put before token_strip.js; in scope: element, words.js, strip_value.js, and from token_strip.js fill, schedule.
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
      for (const [place, token] of frame.tokens) shown.tokens[place] = token;
      for (const block of frame.blocks) shown.blocks[block.n] = block;
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
      if (frames !== null || !value.frames || value.live) return;
      frames = unpack.frames(value.frames);
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
