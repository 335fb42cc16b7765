// Where interactive blocks live (a message, the Home tab or a modal): what stands in their fields and how a press
// reaches the app. Holds no DOM.

/** The state an element starts with, in Slack's words for view.state. */
export function initialState(element) {
  const state = { type: element.type };
  switch (element.type) {
    case "plain_text_input": case "number_input": case "email_text_input": case "url_text_input":
      state.value = element.initial_value ?? null; break;
    case "static_select": case "external_select": case "radio_buttons":
      state.selected_option = element.initial_option ?? null; break;
    case "multi_static_select": case "multi_external_select": case "checkboxes":
      state.selected_options = element.initial_options ?? []; break;
    case "users_select": state.selected_user = element.initial_user ?? null; break;
    case "conversations_select": state.selected_conversation = element.initial_conversation ?? null; break;
    case "channels_select": state.selected_channel = element.initial_channel ?? null; break;
    case "multi_users_select": state.selected_users = element.initial_users ?? []; break;
    case "multi_conversations_select": state.selected_conversations = element.initial_conversations ?? []; break;
    case "multi_channels_select": state.selected_channels = element.initial_channels ?? []; break;
    case "datepicker": state.selected_date = element.initial_date ?? null; break;
    case "timepicker": state.selected_time = element.initial_time ?? null; break;
    case "datetimepicker": state.selected_date_time = element.initial_date_time ?? null; break;
    default: return null;
  }
  return state;
}

export class Surface {
  /** container: {type: "message", channel, ts} or {type: "view", view_id}; names: lookups; perform(body) -> answer. */
  constructor({ container, names, perform }) {
    this.container = container;
    this.names = names;
    this.perform = perform;
    this.values = {};
  }

  /** What stands in a field; asks the element for its first value once. A field keeps its value over view updates. */
  state(blockId, element) {
    const block = (this.values[blockId] ??= {});
    if (block[element.action_id]?.type !== element.type) block[element.action_id] = initialState(element);
    return block[element.action_id];
  }

  /** Remembers a change without telling the app. */
  set(blockId, element, change) {
    Object.assign(this.state(blockId, element), change);
  }

  /** Forgets the fields of blocks that are gone, so that a submission carries only what is on the screen. */
  keepOnly(blocks) {
    const present = new Set(blocks.flatMap((block) =>
      [block.element, block.accessory, ...(block.elements ?? [])].filter((element) => element?.action_id)
        .map((element) => `${block.block_id}\n${element.action_id}`)));
    for (const [blockId, block] of Object.entries(this.values)) {
      for (const actionId of Object.keys(block)) if (!present.has(`${blockId}\n${actionId}`)) delete block[actionId];
      if (Object.keys(block).length === 0) delete this.values[blockId];
    }
  }

  /** Tells the app that a person pressed or chose; `change` is the element's new state. */
  act(blockId, element, change = {}) {
    const kind = element.type === "button" ? "click" : "choose";
    return this.perform({
      kind, container: this.container, block_id: blockId, action_id: element.action_id, ...change, state: this.values,
    });
  }

  suggest(blockId, element, query) {
    return this.perform({
      kind: "suggest", container: this.container, block_id: blockId, action_id: element.action_id, query,
    });
  }
}
