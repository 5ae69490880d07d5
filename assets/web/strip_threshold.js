// Another threshold: a slider that tells what a run would have asked, without running anything. The same count as
// ugsd_core.what_if: blocks whose score lies above the slider; without a score, those that were sent.
// Put before token_strip.js; in scope: element, props (scope), words.js, and from token_strip.js strip, cells, view, fill.
const asker = (() => {
  const line = element.querySelector(".what-if");
  const none = element.querySelector(".what-if-none");
  const [title, slider, number, said, reset] = ["what-if-ask", "", "what-if-at", "what-if-said", "what-if-reset"].map(
    (name, i) => make(["label", "input", "b", "span", "button"][i], name),
  );
  slider.type = "range";
  slider.step = "any";
  slider.id = `what-if-${props.scope}`;
  title.htmlFor = slider.id;
  reset.type = "button";
  line.append(title, slider, number, said, reset);
  let tried = null; // null: the run's own threshold

  const would = (block) => (block.score === null ? block.sent : block.score > tried);
  slider.addEventListener("input", () => {
    tried = Number(slider.value);
    draw(view);
  });
  reset.addEventListener("click", () => {
    tried = null;
    draw(view);
    slider.focus();
  });

  function draw(shown) {
    const blocks = shown ? Object.values(shown.blocks) : [];
    const scored = blocks.filter((block) => block.score !== null);
    const own = scored.length ? scored[scored.length - 1].threshold : null;
    line.hidden = !scored.length || own === null || shown.live;
    if (line.hidden) tried = null;
    // The edge alone and the verifier alone have no gate, so nobody looks for its threshold.
    none.hidden = !line.hidden || !blocks.length || shown.live || shown.mode !== "ugsd";
    const asks = new Set();
    if (!line.hidden) {
      const highest = Math.max(...scored.map((block) => block.score));
      slider.min = 0;
      slider.max = Math.max(1.1 * highest, 1.5 * own, 0.01).toFixed(3);
      const at = tried ?? own;
      slider.value = at;
      fill(slider);
      number.textContent = figure(at);
      slider.setAttribute("aria-label", say("whatif.label"));
      if (tried === null) said.textContent = say("whatif.ran");
      else {
        const chosen = blocks.filter(would);
        for (const block of chosen) asks.add(block.n);
        const sum = (list) => list.reduce((total, block) => total + block.length, 0);
        said.textContent = chosen.length
          ? say("whatif.would", {
              blocks: chosen.length, of_blocks: blocks.length, tokens: sum(chosen), of_tokens: sum(blocks),
            })
          : say("whatif.none", { highest: figure(highest) });
        Object.assign(line.dataset, { blocks: chosen.length, tokens: sum(chosen) });
      }
      reset.hidden = tried === null;
    }
    if (tried === null && !strip.classList.contains("trying")) return; // no chip is marked
    strip.classList.toggle("trying", tried !== null);
    for (const { chip, token } of cells) chip.classList.toggle("would", asks.has(token.block));
  }
  const relabel = () => {
    title.textContent = say("whatif.ask");
    none.textContent = say("whatif.noscore");
    reset.textContent = say("whatif.reset");
  };
  return { draw, relabel };
})();
