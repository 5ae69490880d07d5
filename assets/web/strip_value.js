// Reads the value that ui/components/strip_wire.py packs: each string holds some rows, by column, as JSON in which the
// two kinds of quotes are exchanged. Put before token_strip.js; in scope: nothing.
const unpack = (() => {
  const swapped = (text) => text.split('"').map((part) => part.replaceAll("'", '"')).join("'");
  const parse = (text) => JSON.parse(swapped(text));
  const rows = (columns) => {
    const names = Object.keys(columns);
    return (columns[names[0]] ?? []).map((_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
  };
  const alike = (one, other) => one !== undefined && JSON.stringify(one) === JSON.stringify(other);

  // A string that did not change is not read again, and a row that did not change stays the same object: whoever draws
  // it sees by its identity that there is nothing to do.
  const keeper = () => {
    let read = [];
    return (texts) => {
      read = texts.map((text, i) => {
        const before = read[i];
        if (before && before.text === text) return before;
        return { text, rows: rows(parse(text)).map((row, j) => (before && alike(before.rows[j], row) ? before.rows[j] : row)) };
      });
      return read.flatMap((chunk) => chunk.rows);
    };
  };
  const [tokens, blocks] = [keeper(), keeper()];

  // What each event changed: {t, kind, live, tokens: [[place, token]], blocks: [block]}.
  const frames = (text) => {
    const packed = parse(text);
    const found = rows(packed.frames).map((frame) => ({ ...frame, tokens: [], blocks: [] }));
    for (const { frame, place, ...token } of rows(packed.tokens)) found[frame].tokens.push([place, token]);
    for (const { frame, ...block } of rows(packed.blocks)) found[frame].blocks.push(block);
    return found;
  };
  return {
    // The value with its tokens in order and its blocks by number; frames stay packed until somebody wants them.
    view: (value) => ({
      ...value,
      tokens: tokens(value.tokens),
      blocks: Object.fromEntries(blocks(value.blocks).map((block) => [block.n, block])),
    }),
    frames,
  };
})();
