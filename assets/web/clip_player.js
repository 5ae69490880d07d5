// The one player of a run's clips: markup of ui/components/run_table.py.
// In scope: element, props (value: JSON, words), watch(name, callback); and words.js.
const box = element.querySelector(".clip-player");
const audio = element.querySelector("audio");
const said = element.querySelector(".clip-said");
let value = {};

function draw() {
  box.hidden = !value.clip;
  box.setAttribute("aria-label", say("rows.player"));
  audio.hidden = !value.url;
  said.replaceChildren(make("b", "", value.clip ?? ""));
  if (value.problem) said.append(" ", make("span", "problem", value.problem));
  if (value.transcript) said.append(" ", make("span", "", value.transcript));
}

function take() {
  const before = value.url;
  value = JSON.parse(props.value || "{}");
  draw();
  if (!value.url) {
    audio.removeAttribute("src");
    audio.load();
  } else {
    if (value.url !== before) audio.src = value.url;
    audio.currentTime = 0;
    audio.play().catch(() => {}); // a browser may forbid it; the button is there
  }
}

watch("value", take);
document.addEventListener("ugsd-locale", draw);
take();
