// How a changed field reaches its surface: remembered always, told to the app where Slack would tell it.

import { confirmed } from "./confirm.js";
import { pending } from "./button.js";

/** Applies `change`; resolves false when the person declined the confirm dialog and the field must go back. */
export async function commit(node, spec, { surface, blockId, inInput, dispatch }, change) {
  const tell = !inInput || dispatch;
  if (tell && spec.confirm && !(await confirmed(spec.confirm, surface.names))) return false;
  surface.set(blockId, spec, change);
  if (tell) await pending(node, () => surface.act(blockId, spec, change));
  return true;
}
