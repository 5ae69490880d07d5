// The clip: plays by itself, replays its last second, at several speeds, and notes which stretches were heard.
// `onHeard(start_s, end_s, spent_s)` is told of every stretch when it ends, and every few seconds while it lasts.
function makePlayer(box, onHeard) {
  const audio = box.querySelector("audio");
  const [play, again, speed, seek] = ["play", "again", "speed", "seek"].map((name) => box.querySelector(`[data-player="${name}"]`));
  const [clock, heardText, wave, missing] = ["clock", "heard", "wave", "missing"].map((name) => box.querySelector(`[data-player="${name}"]`));
  const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
  const REPORT_S = 4;
  let from = null, duration = 0, heard = [], share = 0, peaks = null, autoplay = true, turn = 0;

  const merge = (all) => {
    const found = [];
    for (const [start, end] of [...all].sort((one, other) => one[0] - other[0])) {
      const last = found[found.length - 1];
      if (last && start <= last[1] + 0.01) last[1] = Math.max(last[1], end);
      else found.push([start, end]);
    }
    return found;
  };
  const total = () => heard.reduce((sum, [start, end]) => sum + end - start, 0);
  const now = () => (from === null ? heard : merge([...heard, [from, Math.max(from, audio.currentTime)]]));
  const heardShare = () => (duration ? Math.min(1, now().reduce((sum, [start, end]) => sum + end - start, 0) / duration) : 1);

  // A stretch ends: it is told and counted.
  function close(end = audio.currentTime) {
    if (from === null) return;
    const start = from;
    from = null;
    if (end - start < 0.02) return;
    heard = merge([...heard, [start, end]]);
    const round = (seconds) => Math.round(1000 * seconds) / 1000;
    onHeard(round(start), round(Math.min(end, duration || end)), round((end - start) / audio.playbackRate));
  }

  // What was heard so far is told, and listening goes on.
  function note() {
    if (from === null) return;
    const at = audio.currentTime;
    close(at);
    if (!audio.paused) from = at;
  }

  function draw() {
    const at = audio.currentTime || 0;
    const seconds = (value) => (Number.isFinite(value) ? value.toFixed(1) : "0.0");
    clock.textContent = `${seconds(at)} / ${seconds(duration)} s`;
    seek.max = duration || 1;
    if (document.activeElement !== seek || !audio.paused) seek.value = at;
    seek.style.setProperty("--range_progress", `${(100 * seek.value) / seek.max}%`); // as on Gradio's sliders
    seek.setAttribute("aria-valuetext", say("annotate.player.at", { at: seconds(at), of: seconds(duration) }));
    play.textContent = audio.paused ? "▶" : "❚❚";
    play.setAttribute("aria-label", say(audio.paused ? "annotate.player.play" : "annotate.player.pause"));
    const part = heardShare();
    heardText.textContent = say(part >= share ? "annotate.player.heard" : "annotate.player.must", {
      share: Math.floor(100 * part + 1e-6), wanted: Math.round(100 * share),
    });
    heardText.classList.toggle("lacking", part < share);
    box.dataset.heard = part.toFixed(3);
    paint(at);
  }

  function paint(at) {
    const width = wave.clientWidth, height = wave.clientHeight, scale = devicePixelRatio || 1;
    if (!width) return;
    if (wave.width !== Math.round(width * scale)) [wave.width, wave.height] = [Math.round(width * scale), Math.round(height * scale)];
    const brush = wave.getContext("2d"), colours = getComputedStyle(wave);
    const [quiet, loud] = [colours.getPropertyValue("--u-edge"), colours.getPropertyValue("--u-accent")];
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, width, height);
    const bars = Math.floor(width / 3), spans = now();
    for (let bar = 0; bar < bars; bar++) {
      const peak = peaks ? peaks[Math.floor((bar * peaks.length) / bars)] : 0.08;
      const time = ((bar + 0.5) / bars) * duration;
      const known = spans.some(([start, end]) => time >= start && time <= end);
      brush.fillStyle = known ? loud : quiet;
      brush.globalAlpha = known ? 0.9 : 0.55;
      const tall = Math.max(1.5, peak * (height - 6));
      brush.fillRect(3 * bar, (height - tall) / 2, 2, tall);
    }
    brush.globalAlpha = 1;
    brush.fillStyle = colours.getPropertyValue("--u-ink");
    if (duration) brush.fillRect(Math.min(width - 1.5, (at / duration) * width), 0, 1.5, height);
  }

  async function listenIn(blob, mine) {
    peaks = null;
    try {
      const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await blob.arrayBuffer());
      if (mine !== turn) return;
      const samples = sound.getChannelData(0), bins = 200, found = new Float32Array(bins);
      for (let bin = 0; bin < bins; bin++) {
        const end = Math.floor(((bin + 1) * samples.length) / bins);
        for (let i = Math.floor((bin * samples.length) / bins); i < end; i += 4) found[bin] = Math.max(found[bin], Math.abs(samples[i]));
      }
      const highest = Math.max(...found, 0.01);
      peaks = found.map((value) => value / highest);
    } catch {
      // the clip still plays, or says itself that it doesn't
    }
    draw();
  }

  // Shows a clip; resolves when it can be played. `sound` is a promise of a blob, or null where there is no clip.
  async function load(sound, { seconds, known, must }) {
    close();
    const mine = ++turn;
    if (audio.src) URL.revokeObjectURL(audio.src);
    audio.pause();
    audio.removeAttribute("src");
    [heard, share, duration, peaks] = [merge(known ?? []), sound ? must : 0, seconds ?? 0, null];
    for (const part of [play, again, seek, wave]) part.hidden = !sound;
    [clock.hidden, heardText.hidden, missing.hidden] = [!sound, !sound, Boolean(sound)];
    missing.textContent = say("annotate.player.none");
    draw();
    if (!sound) return;
    let blob;
    try {
      blob = await sound;
    } catch {
      if (mine !== turn) return;
      share = 0; // a clip that can't be had can't be asked for; the server decides
      missing.hidden = false;
      missing.textContent = say("annotate.player.failed");
      return;
    }
    if (mine !== turn) return;
    const ready = new Promise((go) => {
      audio.addEventListener("canplay", go, { once: true });
      audio.addEventListener("error", go, { once: true });
    });
    audio.src = URL.createObjectURL(blob);
    audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value);
    await ready;
    if (mine !== turn) return;
    if (audio.error) {
      missing.hidden = false;
      missing.textContent = say("annotate.player.failed");
      return;
    }
    duration = Number.isFinite(audio.duration) ? audio.duration : duration;
    draw();
    if (autoplay) audio.play().catch(() => {}); // a browser may forbid it before the first key or click
    setTimeout(() => listenIn(blob, mine), 0);
  }

  const toggle = () => (audio.paused ? audio.play().catch(() => {}) : audio.pause());
  function jump(seconds) {
    close();
    audio.currentTime = Math.max(0, seconds);
    audio.play().catch(() => {});
  }
  function faster(step) {
    const at = SPEEDS.indexOf(Number(speed.value));
    speed.value = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + step))];
    speed.dispatchEvent(new Event("change"));
  }

  for (const factor of SPEEDS) speed.append(new Option(`${factor} ×`, factor, factor === 1, factor === 1));
  const kept = Number(store.get("ugsd-annotate-speed"));
  if (SPEEDS.includes(kept)) speed.value = kept;
  speed.addEventListener("change", () => {
    note();
    audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value);
    store.set("ugsd-annotate-speed", speed.value);
  });
  play.addEventListener("click", toggle);
  again.addEventListener("click", () => jump((audio.ended ? duration : audio.currentTime) - 1));
  seek.addEventListener("input", () => {
    close();
    audio.currentTime = Number(seek.value);
    if (!audio.paused) from = Number(seek.value);
    draw();
  });
  wave.addEventListener("click", (event) => jump((event.offsetX / wave.clientWidth) * duration));
  audio.addEventListener("playing", () => {
    from ??= audio.currentTime;
    draw();
    tick();
  });
  audio.addEventListener("pause", () => {
    close();
    draw();
  });
  audio.addEventListener("ended", () => {
    close(duration);
    draw();
  });
  audio.addEventListener("timeupdate", () => from !== null && audio.currentTime - from > REPORT_S && note());
  function tick() {
    draw();
    if (!audio.paused && box.checkVisibility()) requestAnimationFrame(tick);
  }
  new ResizeObserver(draw).observe(wave);

  return {
    load, toggle, note, faster, draw, heardShare,
    again: () => again.click(),
    start: () => jump(0),
    finish() {
      close(); // now, and not when the browser tells of the pause
      audio.pause();
    },
    lacking: () => heardShare() + 0.005 < share,
    setAutoplay: (on) => (autoplay = on),
    relabel: draw,
    heardS: total,
  };
}
