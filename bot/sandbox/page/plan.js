// plan and task_card blocks: a checklist whose steps always say their state in words.

import { h, link } from "./dom.js";
import { icon } from "./icon.js";
import { richText } from "./richtext.js";

const STATES = {
  pending: ["Waiting", "pending"],
  in_progress: ["In progress", null],
  complete: ["Done", "check"],
  error: ["Failed", "close"],
};

export function plan(block, names) {
  const tasks = block.tasks ?? [];
  const done = tasks.filter((task) => task.status === "complete").length;
  return h("details", { class: "plan", open: true },
    h("summary", { class: "plan-title" }, icon("chevron", 16), h("span", {}, words(block.title)),
      h("span", { class: "plan-count" }, `${done} of ${tasks.length} done`)),
    h("ol", { class: "plan-steps" }, tasks.map((task) => h("li", {}, taskCard(task, names)))));
}

export function taskCard(task, names) {
  const [word, drawing] = STATES[task.status] ?? STATES.pending;
  const mark = h("span", { class: "step-mark" }, drawing ? icon(drawing, 13) : h("span", { class: "spinner" }));
  const more = [task.details, task.output].filter((part) => part?.elements?.length);
  return h("div", { class: `step step-${task.status ?? "pending"}` }, mark,
    h("div", { class: "step-body" },
      h("div", { class: "step-line" }, h("span", { class: "step-title" }, words(task.title)),
        h("span", { class: "step-state" }, word)),
      more.map((part) => h("div", { class: "step-more" }, richText(part, names))),
      (task.sources ?? []).length > 0 && h("div", { class: "step-more" },
        task.sources.map((source) => [link(source.url, source.text ?? source.url), " "]))));
}

const words = (title) => (typeof title === "string" ? title : title?.text ?? "");
