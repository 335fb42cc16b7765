// The blocks of one message or view, updated in place: a block that did not change keeps its node, so that focus,
// scroll position and half-made choices survive an edit.

import { drawBlock } from "./block.js";
import { h } from "./dom.js";

const PRESSED = new Set(["button", "workflow_button", "overflow", "image", "mrkdwn", "plain_text"]);

/** What must be equal for a node to be kept. Slack names blocks anew with every edit; fields remember by that name. */
function signature(block, error) {
  const parts = [block.element, block.accessory, ...(block.elements ?? [])].filter((part) => part?.action_id);
  if (parts.every((part) => PRESSED.has(part.type))) return JSON.stringify({ ...block, block_id: undefined });
  return `${JSON.stringify(block)}${error ?? ""}`;
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
      if (at >= 0) {
        const [kept] = spare.splice(at, 1);
        kept.identity.id = block.block_id;
        return kept;
      }
      const identity = { id: block.block_id };
      const node = drawBlock(block, this.surface, error, identity);
      fresh.push(node);
      return { key, node, identity };
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
