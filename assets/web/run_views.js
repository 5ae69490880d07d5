// The parts of a run, of which one is shown: tabs over columns that are all on the page, so that each can be written at
// any time. In scope: element, props (panels: ids of the columns, words), trigger(name, data); and words.js.
const list = element.querySelector("[role=tablist]");
const tabs = props.panels.map((panel) => {
  const tab = make("button", "view-tab");
  tab.type = "button";
  tab.id = `${panel}-tab`;
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", panel);
  tab.addEventListener("click", () => choose(panel));
  list.append(tab);
  return tab;
});

function choose(chosen, focus = false) {
  props.panels.forEach((panel, place) => {
    const mine = panel === chosen;
    tabs[place].setAttribute("aria-selected", String(mine));
    tabs[place].tabIndex = mine ? 0 : -1;
    if (mine && focus) tabs[place].focus();
    const node = document.getElementById(panel);
    if (!node) return;
    node.setAttribute("role", "tabpanel");
    node.setAttribute("aria-labelledby", tabs[place].id);
    node.toggleAttribute("data-unseen", !mine); // not a class: Gradio writes those anew
  });
  trigger("seen", { view: chosen });
  dispatchEvent(new Event("resize")); // a plot that was drawn while it was hidden does not know its width
}

list.addEventListener("keydown", (event) => {
  const at = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  choose(props.panels[(to + tabs.length) % tabs.length], true);
});

function relabel() {
  list.setAttribute("aria-label", say("eval.views"));
  props.panels.forEach((panel, place) => {
    tabs[place].textContent = say(`eval.view.${panel.replace("evaluate-", "")}`);
  });
}

document.addEventListener("ugsd-locale", relabel);
relabel();
// The columns may come after this component.
setTimeout(() => choose(props.panels[0]), 0);
