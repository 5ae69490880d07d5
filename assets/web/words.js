// Put before the scripts of components whose props hold `words`: both languages' sentences, by key.
const tables = JSON.parse(props.words);
const locale = () => (document.documentElement.dataset.locale in tables ? document.documentElement.dataset.locale : "en");
const say = (key, values = {}) =>
  (tables[locale()][key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
const make = (tag, className = "", text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 && share > 0 ? 1 : 0)} %`;
const figure = (value) => (Math.abs(value) < 0.095 ? value.toFixed(3) : value.toFixed(2));
const nameOf = (token) =>
  token.ends ? say("strip.end") : token.blank ? say("strip.blank") : say("strip.quoted", { text: token.text });
const wordOf = (text) => (text.trim() ? text.trim() : "∎");
