// Shows level and remaining time while the microphone of the audio control records, and ends the recording at the cap.
// In scope: element, props (words, control, cap_s); and words.js. Gradio's control tells nothing of its state, so its
// stop button is watched. The level comes from a stream of our own, which is closed with the recording.
const box = element.querySelector(".meter-live");
const bar = box.querySelector("i");
const told = box.querySelector(".meter-time");
const FLOOR_DB = -60;
let stream = null, context = null, began = 0, drawing = null;

const control = () => document.querySelector(props.control);
const stopButton = () => [...(control()?.querySelectorAll(".stop-button") ?? [])].find((b) => b.offsetParent !== null);

async function listen() {
  began = performance.now();
  box.hidden = false;
  try {
    const opened = await navigator.mediaDevices.getUserMedia({ audio: true });
    if (!began) return opened.getTracks().forEach((track) => track.stop()); // it ended meanwhile
    stream = opened;
    context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 2048;
    context.createMediaStreamSource(stream).connect(analyser);
    draw(analyser, new Float32Array(analyser.fftSize));
  } catch {
    if (began) draw(null, null); // without a second stream there is still the time
  }
}

function draw(analyser, samples) {
  const seconds = (performance.now() - began) / 1000;
  let level = FLOOR_DB;
  if (analyser) {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    level = Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-12));
  }
  bar.style.width = `${100 * (1 - level / FLOOR_DB)}%`;
  bar.classList.toggle("loud", level > -3);
  const left = Math.max(0, Math.ceil(props.cap_s - seconds));
  const text = say("meter.left", { seconds: left });
  if (told.textContent !== text) told.textContent = text; // once a second, for those who hear the page
  if (seconds >= props.cap_s) stopButton()?.click();
  drawing = requestAnimationFrame(() => draw(analyser, samples));
}

function end() {
  cancelAnimationFrame(drawing);
  drawing = null;
  stream?.getTracks().forEach((track) => track.stop());
  context?.close();
  stream = context = null;
  began = 0;
  box.hidden = true;
}

function look() {
  const records = Boolean(stopButton());
  if (records && !began) listen();
  else if (!records && began) end();
}

new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class", "style"] });
