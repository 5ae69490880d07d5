// The notice to visitors (ui/notice.py): folded away once, it stays so, until its text is another one.
const KEY = "ugsd-notice";
const box = () => element.querySelector("details");

// The text in either language has the same length in every visit; a new text hardly has both.
const mark = () => `${document.documentElement.lang}:${box().textContent.length}`;

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return []; // storage may be forbidden
  }
}

function remember(marks) {
  try {
    localStorage.setItem(KEY, JSON.stringify(marks));
  } catch {
    // then it holds for this visit
  }
}

function fold() {
  if (box() && remembered().includes(mark())) box().open = false;
}

element.addEventListener("click", (event) => {
  if (!event.target.closest("summary")) return;
  const open = !box().open; // what it is about to be
  remember([...remembered().filter((one) => one !== mark()), ...(open ? [] : [mark()])].slice(-8));
});
watch("value", () => requestAnimationFrame(fold));
fold();
