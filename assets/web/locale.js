// The language of the page: the one that was chosen here before, else the visitor's. It is put into the head, so that
// it is known before anything is drawn; ui/page.py wires it to the switch. Parts that draw by themselves read
// document.documentElement.dataset.locale and listen for "ugsd-locale". Nothing of it is sent anywhere.
window.ugsdLocale = (() => {
  const KEY = "ugsd-locale";
  const TAGS = { en: "en", zh: "zh-CN" }; // as the browser and Gradio's own tables call them
  const root = document.documentElement;

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be forbidden
    }
  }

  function remember(locale) {
    try {
      localStorage.setItem(KEY, locale);
    } catch {
      // then it holds for this visit
    }
  }

  // The first language of the visitor that the page speaks.
  const preferred = () => navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in TAGS);

  function show(locale) {
    root.dataset.locale = locale;
    root.lang = TAGS[locale];
    document.dispatchEvent(new CustomEvent("ugsd-locale"));
  }

  // Gradio changes its language by a function of a module whose name holds a hash. Without it the page still works:
  // Gradio's own labels then keep the browser's language.
  async function tellGradio(locale) {
    const linked = [...document.querySelectorAll("link[href], script[src]")].map((node) => node.href || node.src);
    const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
    const url = [...linked, ...loaded].find((one) => /\/assets\/core-[^/]*\.js$/.test(one));
    if (!url) return;
    try {
      const { changeLocale } = await import(url);
      await changeLocale(TAGS[locale]);
    } catch (error) {
      console.warn("Gradio's labels keep their language:", error);
    }
  }

  const current = () => root.dataset.locale;

  // When Gradio is there.
  function begin() {
    tellGradio(current());
    return current();
  }

  function choose(locale) {
    remember(locale);
    show(locale);
    tellGradio(locale);
  }

  const kept = remembered();
  show(kept in TAGS ? kept : preferred() ?? "en");
  return { begin, choose, current };
})();
