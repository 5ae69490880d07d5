// Shows level and remaining time while the microphone of the audio control records, and ends the recording at the cap.
// In scope: element, props (words, control, cap_s); and words.js. Gradio's recorder tells nothing of its state, so its
// stop buttons are watched: one shows while it records, another while it pauses. The level comes from a stream of our
// own, from the same microphone, which is closed with the recording.
const box = element.querySelector(".meter-live");
const bar = box.querySelector("i");
const told = box.querySelector(".meter-time");
const FLOOR_DB = -60, LOUD_DB = -3;
let state = "off", since = 0, earlier_s = 0; // of a paused recording, what came before counts too
let stream = null, context = null, analyser = null, drawing = null, cap = null;

// Gradio loads the control when it likes, so it may not be there yet.
const recorder = (selector) => document.querySelector(`${props.control} ${selector}`);
const shown = (selector) => recorder(selector)?.offsetParent;
const seconds = () => earlier_s + (state === "on" ? (performance.now() - since) / 1000 : 0);

async function listen() {
  try {
    const deviceId = recorder(".mic-select")?.value;
    const opened = await navigator.mediaDevices.getUserMedia({ audio: deviceId ? { deviceId } : true });
    if (state === "off") return opened.getTracks().forEach((track) => track.stop()); // it ended meanwhile
    stream = opened;
    context = new AudioContext();
    analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
  } catch {
    // without a second stream there is still the time
  }
}

function level() {
  if (!analyser || state !== "on") return FLOOR_DB;
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
  return Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-12));
}

function draw() {
  const decibels = level();
  bar.style.width = `${100 * (1 - decibels / FLOOR_DB)}%`;
  bar.classList.toggle("loud", decibels > LOUD_DB);
  const text = say("meter.left", { seconds: Math.max(0, Math.ceil(props.cap_s - seconds())) });
  if (told.textContent !== text) told.textContent = text;
  drawing = requestAnimationFrame(draw);
}

// A timer ends the recording, not the drawing: a hidden page is not drawn.
function go() {
  since = performance.now();
  cap = setTimeout(() => recorder(".stop-button")?.click(), 1000 * (props.cap_s - earlier_s));
}

function begin() {
  earlier_s = 0;
  box.hidden = false;
  listen();
  draw();
}

function end() {
  cancelAnimationFrame(drawing);
  stream?.getTracks().forEach((track) => track.stop());
  context?.close();
  stream = context = analyser = null;
  box.hidden = true;
}

function look() {
  const now = shown(".stop-button") ? "on" : shown(".stop-button-paused") ? "paused" : "off";
  if (now === state) return;
  clearTimeout(cap);
  earlier_s = seconds();
  const before = state;
  state = now;
  if (before === "off") begin();
  if (now === "on") go();
  if (now === "off") end();
}

new MutationObserver(look).observe(element.closest(".column"), {
  subtree: true, childList: true, attributes: true, attributeFilter: ["class", "style"],
});
