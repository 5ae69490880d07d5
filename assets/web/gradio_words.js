// Puts into the page's language what Gradio leaves in English, or does not say again when the language changes: names
// of icons and number boxes, and the words of the recorder. They stand in the tables as Gradio has them, under
// "gradio.…" (those of tabs under "tab.…"); what is found in one language is put into the other. Groups get their names too.
// In scope: props (words); and words.js.
const NAMES = ["aria-label", "title"];
const TALKING = "button, select, title"; // whose text is Gradio's; what we draw ourselves is inside .html-container

const patterns = Object.values(tables).flatMap((table) =>
  Object.entries(table).map(([key, text]) => {
    const escaped = text.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>.+)");
    return { key, pattern: new RegExp(`^${escaped}$`) };
  }),
);

// Names of tabs are translated in tabs alone: elsewhere the same word may mean something else.
function translated(text, tab = false) {
  for (const { key, pattern } of patterns) {
    const found = key.startsWith("tab.") === tab && pattern.exec(text);
    if (found) return say(key, found.groups);
  }
  return text;
}

function rename(node) {
  for (const name of NAMES) {
    const before = node.getAttribute(name);
    if (!before) continue;
    const after = translated(before);
    if (after !== before) node.setAttribute(name, after);
  }
}

function retell(node) {
  const before = node.data.trim();
  if (!before || !node.parentElement?.closest(TALKING)) return;
  const after = translated(before, Boolean(node.parentElement.closest(".tab-container")));
  if (after !== before) node.data = node.data.replace(before, after);
}

// A group of radio buttons has a title, but no name that a screen reader would find.
function nameGroup(node) {
  const group = node.closest("fieldset");
  const title = group?.querySelector("[data-testid=block-info]")?.textContent.trim();
  if (title && group.getAttribute("aria-label") !== title) group.setAttribute("aria-label", title);
}

const ours = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest(".html-container");

function dress(root) {
  if (ours(root)) return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = root; node; node = walker.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) retell(node);
    else if (node.nodeType === Node.ELEMENT_NODE) rename(node);
    if (node.nodeName === "FIELDSET") nameGroup(node);
  }
}

new MutationObserver((records) => {
  for (const { type, target, addedNodes } of records) {
    if (ours(target)) continue;
    if (type === "childList") addedNodes.forEach(dress);
    else if (type === "attributes") rename(target);
    else {
      retell(target);
      if (target.parentElement) nameGroup(target.parentElement);
    }
  }
}).observe(document.body, {
  subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: NAMES,
});
document.addEventListener("ugsd-locale", () => dress(document.body));
dress(document.body);
