// The blocks of one message or view, updated in place: a block that did not change keeps its node, so that focus,
// scroll position and half-made choices survive an edit.

import { drawBlock } from "./block.js";
import { h } from "./dom.js";

const INTERACTIVE = /"action_id"/;

/** What must be equal for a node to be kept. Slack names blocks anew, so the name counts only where it is sent back. */
function signature(block, error) {
  const text = JSON.stringify(block);
  if (INTERACTIVE.test(text)) return `${text}${error ?? ""}`;
  return JSON.stringify({ ...block, block_id: undefined });
}

export class BlockList {
  constructor(surface) {
    this.surface = surface;
    this.node = h("div", { class: "blocks" });
    this.drawn = [];
  }

  /** errors: {block_id: message}. Returns the nodes that are new, for a flash. */
  update(blocks, errors = {}) {
    const focused = this.node.contains(document.activeElement) ? document.activeElement : null;
    const spare = [...this.drawn];
    const fresh = [];
    this.drawn = blocks.map((block) => {
      const error = errors[block.block_id] ?? null;
      const key = signature(block, error);
      const at = spare.findIndex((old) => old.key === key);
      if (at >= 0) return spare.splice(at, 1)[0];
      const node = drawBlock(block, this.surface, error);
      fresh.push(node);
      return { key, node };
    });
    for (const { node } of spare) node.remove();
    this.drawn.forEach(({ node }, index) => {
      if (this.node.children[index] !== node) this.node.insertBefore(node, this.node.children[index] ?? null);
    });
    if (focused && !focused.isConnected) this.refocus(focused.dataset.action);
    return fresh;
  }

  refocus(action) {
    if (action) this.node.querySelector(`[data-action="${CSS.escape(action)}"]`)?.focus({ preventScroll: true });
  }
}
