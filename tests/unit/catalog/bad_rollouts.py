"""Every kind of bad metric source, check and strategy, as a change of good ones, with the answer that it must get."""

from __future__ import annotations

#: What is wrong, the words of the good file that are replaced, what by, and the answer.
CASES: list[tuple[str, str, str, str]] = [
    (
        "unknown metric source",
        "source: proxy",
        "source: prxy",
        (
            "c.yaml:14:13: checks.errors.source: there is no metric source 'prxy'. Did you mean 'proxy'? "
            "Allowed: proxy, board."
        ),
    ),
    (
        "metric source without a name",
        "source: proxy",
        "source:",
        "c.yaml:14:5: checks.errors.source: must be the name of a metric source, not nothing.",
    ),
    (
        "check without a source",
        ("    source: proxy\n"),
        "",
        (
            "c.yaml:13:3: checks.errors: 'source' is missing: the metric source that answers, by its name "
            "under 'metrics'."
        ),
    ),
    (
        "unknown check of a service",
        "[errors, latency]",
        "[errors, latncy]",
        (
            "c.yaml:50:22: services.checkout.checks[1]: there is no check 'latncy'. Did you mean 'latency'? "
            "Allowed: errors, latency."
        ),
    ),
    (
        "unknown check in the defaults",
        ("checks: errors\n"),
        ("checks: [erors]\n"),
        (
            "c.yaml:43:12: defaults.checks[0]: there is no check 'erors'. Did you mean 'errors'? Allowed: "
            "errors, latency."
        ),
    ),
    (
        "check twice",
        "[errors, latency]",
        "[errors, errors]",
        "c.yaml:50:22: services.checkout.checks[1]: 'errors' is in this list already.",
    ),
    (
        "checks left empty",
        "checks: [errors, latency]",
        "checks:",
        "c.yaml:50:5: services.checkout.checks: must be a list of names, not nothing.",
    ),
    (
        "unknown strategy of a service",
        "strategy: switch",
        "strategy: swich",
        (
            "c.yaml:49:15: services.checkout.strategy: there is no strategy 'swich'. Did you mean 'switch'? "
            "Allowed: rolling, recreate, careful, switch."
        ),
    ),
    (
        "unknown strategy of an environment",
        "strategy: careful",
        "strategy: carefull",
        (
            "c.yaml:6:15: environments.production.strategy: there is no strategy 'carefull'. Did you mean "
            "'careful'? Allowed: rolling, recreate, careful, switch."
        ),
    ),
    (
        "strategy left empty",
        "strategy: switch",
        "strategy:",
        "c.yaml:49:5: services.checkout.strategy: must be the name of a strategy, not nothing.",
    ),
    (
        "strategy of an environment left empty",
        "strategy: careful",
        "strategy:",
        "c.yaml:6:5: environments.production.strategy: must be the name of a strategy, not nothing.",
    ),
    (
        "strategy that is a list",
        "strategy: switch",
        "strategy: [switch]",
        "c.yaml:49:5: services.checkout.strategy: must be the name of a strategy, not a list.",
    ),
    (
        "strategy that the target cannot do",
        "    environments: [staging]",
        "    strategy: switch",
        (
            "c.yaml:6:15: environments.production.strategy: nothing for payments in production: the target "
            "cluster cannot do the strategy canary: it cannot split traffic between two releases, make a "
            "canary the stable release, take a canary back. These targets can: local.\n"
            "c.yaml:56:15: services.payments.strategy: nothing for payments in staging: the target cluster "
            "cannot do the strategy blue_green: it cannot split traffic between two releases, make a canary "
            "the stable release, take a canary back. These targets can: local."
        ),
    ),
    (
        "strategy of an environment that a target cannot do",
        ("    environments: [staging]\n"),
        "",
        (
            "c.yaml:6:15: environments.production.strategy: nothing for payments in production: the target "
            "cluster cannot do the strategy canary: it cannot split traffic between two releases, make a "
            "canary the stable release, take a canary back. These targets can: local."
        ),
    ),
    (
        "recreate that the target cannot do",
        "    environments: [staging]",
        ("    environments: [staging]\n    strategy: recreate"),
        (
            "c.yaml:57:15: services.payments.strategy: nothing for payments in staging: the target cluster "
            "cannot do the strategy recreate: it cannot stop what runs before it starts the next. These "
            "targets can: local."
        ),
    ),
    (
        "unknown type of metric source",
        "type: board",
        "type: bord",
        (
            "c.yaml:10:11: metrics.board.type: there is no type of metric source 'bord'. Did you mean "
            "'board'? Allowed: board, local."
        ),
    ),
    (
        "metric source without a type",
        ("    type: board\n"),
        "",
        "c.yaml:9:3: metrics.board: 'type' is missing. Allowed: board, local.",
    ),
    (
        "metric source without an option",
        ("    address: https://board.example.com\n"),
        "",
        "c.yaml:9:3: metrics.board: 'address' is missing.",
    ),
    (
        "metric source with an unknown option",
        ("{ type: local, root: platform }\n  board"),
        ("{ type: local, root: platform, rot: x }\n  board"),
        "c.yaml:8:41: metrics.proxy.rot: unknown key 'rot'. Did you mean 'root'? Allowed: root.",
    ),
    (
        "metric source with a bad option",
        "https://board",
        "http://board",
        (
            "c.yaml:11:14: metrics.board.address: string should match pattern '^https://', not "
            "'http://board.example.com'."
        ),
    ),
    (
        "name of a metric source",
        "  proxy:",
        "  Proxy:",
        (
            "c.yaml:8:3: metrics.Proxy: 'Proxy' cannot be the name of a metric source: it takes a "
            "lower-case letter, then at most 62 lower-case letters, digits and hyphens. Did you mean "
            "'proxy'?\n"
            "c.yaml:14:13: checks.errors.source: there is no metric source 'proxy'. Did you mean 'Proxy'? "
            "Allowed: Proxy, board."
        ),
    ),
    (
        "name of a check",
        "  latency:",
        "  late_ncy:",
        (
            "c.yaml:24:3: checks.late_ncy: 'late_ncy' cannot be the name of a check: it takes a lower-case "
            "letter, then at most 62 lower-case letters, digits and hyphens. Did you mean 'late-ncy'?\n"
            "c.yaml:50:22: services.checkout.checks[1]: there is no check 'latency'. Did you mean "
            "'late_ncy'? Allowed: errors, late_ncy."
        ),
    ),
    (
        "name of a strategy",
        "  switch:",
        "  blue_green:",
        (
            "c.yaml:40:3: strategies.blue_green: 'blue_green' cannot be the name of a strategy: it takes a "
            "lower-case letter, then at most 62 lower-case letters, digits and hyphens. Did you mean "
            "'blue-green'?\n"
            "c.yaml:49:15: services.checkout.strategy: there is no strategy 'switch'. Allowed: rolling, "
            "recreate, careful, blue_green."
        ),
    ),
    (
        "strategy called like a verb",
        "  switch:",
        "  promote:",
        (
            "c.yaml:40:3: strategies.promote: 'promote' is a word of the command itself; call the strategy "
            "something else.\n"
            "c.yaml:49:15: services.checkout.strategy: there is no strategy 'switch'. Allowed: rolling, "
            "recreate, careful, promote."
        ),
    ),
    (
        "strategy called like an option",
        "  switch:",
        "  reason:",
        (
            "c.yaml:40:3: strategies.reason: 'reason' is a word of the command itself; call the strategy "
            "something else.\n"
            "c.yaml:49:15: services.checkout.strategy: there is no strategy 'switch'. Allowed: rolling, "
            "recreate, careful, reason."
        ),
    ),
    (
        "strategy called like a word",
        "  switch:",
        "  now:",
        (
            "c.yaml:40:3: strategies.now: 'now' is a word of the command itself; call the strategy "
            "something else.\n"
            "c.yaml:49:15: services.checkout.strategy: there is no strategy 'switch'. Allowed: rolling, "
            "recreate, careful, now."
        ),
    ),
    (
        "strategy that is built in",
        "  switch:",
        "  rolling:",
        (
            "c.yaml:40:3: strategies.rolling: rolling is built in and needs no entry; call yours something "
            "else.\n"
            "c.yaml:49:15: services.checkout.strategy: there is no strategy 'switch'. Allowed: rolling, "
            "recreate, careful."
        ),
    ),
    (
        "share above one",
        "limit: 2%",
        "limit: 2",
        (
            "c.yaml:17:12: checks.errors.limit: must be from 0 to 1, or from 0% to 100%, as it is of a "
            "share, not the number 2. Did you mean '2%'?"
        ),
    ),
    (
        "share above all",
        "limit: 2%",
        "limit: 200%",
        (
            "c.yaml:17:12: checks.errors.limit: must be from 0 to 1, or from 0% to 100%, as it is of a "
            "share, not '200%'."
        ),
    ),
    (
        "share below nothing",
        "limit: 2%",
        "limit: -1",
        (
            "c.yaml:17:12: checks.errors.limit: must be from 0 to 1, or from 0% to 100%, as it is of a "
            "share, not the number -1."
        ),
    ),
    (
        "limit that is no number",
        "limit: 2%",
        "limit: two",
        ("c.yaml:17:12: checks.errors.limit: must be a number such as 250, or a percentage such as 2%, not 'two'."),
    ),
    (
        "limit left empty",
        "limit: 2%",
        "limit:",
        ("c.yaml:17:5: checks.errors.limit: must be a number such as 250, or a percentage such as 2%, not nothing."),
    ),
    (
        "percentage of an amount",
        "limit: 250",
        "limit: 25%",
        ("c.yaml:28:12: checks.latency.limit: '25%' is a share; write 'kind: share' beside it, or a number without %."),
    ),
    (
        "percentage of an amount's tolerance",
        "against_before: {}",
        "against_before: { tolerance: 5% }",
        (
            "c.yaml:29:34: checks.latency.against_before.tolerance: '5%' is a share; write 'kind: share' "
            "beside it, or a number without %."
        ),
    ),
    (
        "tolerance below nothing",
        "tolerance: 1%",
        "tolerance: -0.01",
        "c.yaml:18:46: checks.errors.against_stable.tolerance: must be at least 0, not the number -0.01.",
    ),
    (
        "ratio below one",
        "ratio: 1.5",
        "ratio: 0.5",
        "c.yaml:18:30: checks.errors.against_stable.ratio: must be at least 1.0, not the number 0.5.",
    ),
    (
        "comparison left empty",
        "against_before: {}",
        "against_before:",
        (
            "c.yaml:29:5: checks.latency.against_before: must be a mapping, not nothing; write {} for what "
            "is usual, or leave it out."
        ),
    ),
    (
        "check without a yardstick",
        ("    limit: 250\n    against_before: {}\n"),
        "",
        (
            "c.yaml:24:3: checks.latency: the check 'latency' has no yardstick: give it a limit, or compare "
            "it with stable or with before."
        ),
    ),
    (
        "more failures than looks",
        "failures: 2",
        "failures: 4",
        ("c.yaml:23:9: checks.errors.of: 4 failing looks of 3 can never be; 'of' must be at least 'failures'."),
    ),
    (
        "fewer looks than failures",
        "of: 3",
        "of: 1",
        ("c.yaml:23:9: checks.errors.of: 2 failing looks of 1 can never be; 'of' must be at least 'failures'."),
    ),
    (
        "no failures",
        "failures: 2",
        "failures: 0",
        "c.yaml:22:15: checks.errors.failures: must be at least 1, not the number 0.",
    ),
    (
        "too many looks",
        "of: 3",
        "of: 61",
        "c.yaml:23:9: checks.errors.of: must be at most 60, not the number 61.",
    ),
    (
        "samples below nothing",
        "min_samples: 20",
        "min_samples: -1",
        "c.yaml:19:18: checks.errors.min_samples: must be at least 0.0, not the number -1.",
    ),
    (
        "interval too short",
        "interval: 2s",
        "interval: 500ms",
        "c.yaml:20:15: checks.errors.interval: must be between 1s and 24h, not '500ms'.",
    ),
    (
        "window that is no duration",
        "window: 6s",
        "window: six",
        (
            "c.yaml:21:13: checks.errors.window: must be a duration such as 30s, 5m or 1h, or a number of "
            "seconds, not 'six'."
        ),
    ),
    (
        "window without its unit in quotes",
        "window: 6s",
        'window: "6"',
        (
            "c.yaml:21:13: checks.errors.window: must be a duration such as 30s, 5m or 1h, or a number of "
            "seconds, not '6'."
        ),
    ),
    (
        "unknown kind of check",
        "kind: share",
        "kind: ratio",
        (
            "c.yaml:16:11: checks.errors.kind: 'ratio' is not one of the values that can stand here. "
            "Allowed: share, amount."
        ),
    ),
    (
        "unknown key of a check",
        "required: false",
        "requird: false",
        (
            "c.yaml:31:5: checks.latency.requird: unknown key 'requird'. Did you mean 'required'? Allowed: "
            "against_before, against_stable, failures, good, interval, kind, limit, max_age, min_samples, "
            "needs_traffic, of, query, required, source and 2 more."
        ),
    ),
    (
        "empty query",
        "query: error_share",
        'query: " "',
        (
            "c.yaml:15:12: checks.errors.query: must be a question in the source's own language, not ' '.\n"
            "c.yaml:15:12: checks.errors.query: proxy cannot answer ' '. Allowed: error_share, requests."
        ),
    ),
    (
        "weights that do not rise",
        "weight: 50%",
        "weight: 10",
        (
            "c.yaml:37:21: strategies.careful.canary.steps[1].weight: must be more than the 20 % of the "
            "step before it, not 10 %: weights rise."
        ),
    ),
    (
        "weights that stay",
        "weight: 50%",
        "weight: 20%",
        (
            "c.yaml:37:21: strategies.careful.canary.steps[1].weight: must be more than the 20 % of the "
            "step before it, not 20 %: weights rise."
        ),
    ),
    (
        "weight above all",
        "weight: 50%",
        "weight: 150%",
        (
            "c.yaml:37:21: strategies.careful.canary.steps[1].weight: must be a whole number of per cent "
            "from 1 to 100, not '150%'."
        ),
    ),
    (
        "weight of nothing",
        "weight: 20",
        "weight: 0",
        (
            "c.yaml:36:21: strategies.careful.canary.steps[0].weight: must be a whole number of per cent "
            "from 1 to 100, not the number 0."
        ),
    ),
    (
        "weight in parts",
        "weight: 20",
        "weight: 12.5",
        (
            "c.yaml:36:21: strategies.careful.canary.steps[0].weight: must be a whole number of per cent "
            "from 1 to 100, not the number 12.5."
        ),
    ),
    (
        "step without a weight",
        "{ weight: 20, bake: 10s }",
        "{ bake: 10s }",
        (
            "c.yaml:36:11: strategies.careful.canary.steps[0]: 'weight' is missing: per cent of the traffic "
            "that the new release gets."
        ),
    ),
    (
        "step that is none",
        "{ weight: 20, bake: 10s }",
        "{ weight: 20 }",
        (
            "c.yaml:36:11: strategies.careful.canary.steps[0]: the step of 20 % neither bakes nor asks "
            "anybody, so it is none."
        ),
    ),
    (
        "approval after all",
        "weight: 50%",
        "weight: 100",
        (
            "c.yaml:37:46: strategies.careful.canary.steps[1].approval: nothing follows a step of 100 %: "
            "put the approval on the step before it."
        ),
    ),
    (
        "no steps",
        ("      steps:\n        - { weight: 20, bake: 10s }\n        - { weight: 50%, bake: 1m, approval: true }\n"),
        ("      steps: []\n"),
        "c.yaml:35:7: strategies.careful.canary.steps: needs at least 1 entry.",
    ),
    (
        "too many steps",
        ("        - { weight: 20, bake: 10s }\n"),
        (
            "        - { weight: 1, bake: 1s }\n"
            "        - { weight: 2, bake: 1s }\n"
            "        - { weight: 3, bake: 1s }\n"
            "        - { weight: 4, bake: 1s }\n"
            "        - { weight: 5, bake: 1s }\n"
            "        - { weight: 6, bake: 1s }\n"
            "        - { weight: 7, bake: 1s }\n"
            "        - { weight: 8, bake: 1s }\n"
            "        - { weight: 9, bake: 1s }\n"
            "        - { weight: 10, bake: 1s }\n"
            "        - { weight: 11, bake: 1s }\n"
            "        - { weight: 12, bake: 1s }\n"
            "        - { weight: 13, bake: 1s }\n"
            "        - { weight: 14, bake: 1s }\n"
            "        - { weight: 15, bake: 1s }\n"
            "        - { weight: 16, bake: 1s }\n"
            "        - { weight: 17, bake: 1s }\n"
            "        - { weight: 18, bake: 1s }\n"
            "        - { weight: 19, bake: 1s }\n"
            "        - { weight: 20, bake: 1s }\n"
            ""
        ),
        "c.yaml:35:7: strategies.careful.canary.steps: needs at most 20 entries.",
    ),
    (
        "bake that is no duration",
        "bake: 10s }",
        "bake: soon }",
        (
            "c.yaml:36:31: strategies.careful.canary.steps[0].bake: must be a duration such as 30s, 5m or "
            "1h, or a number of seconds, not 'soon'."
        ),
    ),
    (
        "bake too long",
        "bake: 10s }",
        "bake: 2d }",
        "c.yaml:36:31: strategies.careful.canary.steps[0].bake: must be between 0 and 24h, not '2d'.",
    ),
    (
        "patience too short",
        "timeout: 2d",
        "timeout: 0",
        "c.yaml:38:16: strategies.careful.canary.timeout: must be between 1s and 7d, not the number 0.",
    ),
    (
        "unknown way out",
        "on_timeout: hold",
        "on_timeout: wait",
        (
            "c.yaml:39:19: strategies.careful.canary.on_timeout: 'wait' is not one of the values that can "
            "stand here. Allowed: abort, hold, promote."
        ),
    ),
    (
        "kind of strategy left out",
        "blue_green: { keep: 10m, verify: 10s, approval: true }",
        "steps: [{ weight: 20, bake: 1m }]",
        ("c.yaml:41:5: strategies.switch.steps: unknown key 'steps'. Allowed: blue_green, canary, recreate, rolling."),
    ),
    (
        "query that its source does not know",
        "query: error_share",
        "query: eror_share",
        (
            "c.yaml:15:12: checks.errors.query: proxy cannot answer 'eror_share'. Did you mean "
            "'error_share'? Allowed: error_share, requests."
        ),
    ),
    (
        "query too long",
        'query: "avg:latency{service:{service}}"',
        'query: "' + 4001 * "x" + '"',
        "c.yaml:26:12: checks.latency.query: must have at most 4000 characters, not 4001.",
    ),
    (
        "bake left empty",
        "  bake: 30s",
        "  bake:",
        ("c.yaml:44:3: defaults.bake: must be a duration such as 30s, 5m or 1h, or a number of seconds, not nothing."),
    ),
    (
        "canary left empty",
        "    blue_green: { keep: 10m, verify: 10s, approval: true }",
        "    canary:",
        ("c.yaml:41:5: strategies.switch.canary: must be a mapping, not nothing; write its steps under 'steps'."),
    ),
    (
        "two kinds of strategy",
        "    blue_green: {",
        ("    recreate: {}\n    blue_green: {"),
        ("c.yaml:40:3: strategies.switch: 'recreate' and 'blue_green' are both there; make two strategies of it."),
    ),
    (
        "empty strategy",
        ("  switch:\n    blue_green: { keep: 10m, verify: 10s, approval: true }"),
        "  switch: {}",
        (
            "c.yaml:40:3: strategies.switch: the strategy is empty; give it one of its kinds. Allowed: "
            "rolling, recreate, canary, blue_green."
        ),
    ),
    (
        "option of a plain strategy",
        "    blue_green: { keep: 10m, verify: 10s, approval: true }",
        "    recreate: { keep: 1m }",
        "c.yaml:41:17: strategies.switch.recreate.keep: unknown key 'keep'.",
    ),
    (
        "keep below nothing",
        "keep: 10m",
        "keep: -1",
        "c.yaml:41:25: strategies.switch.blue_green.keep: must be between 0 and 24h, not the number -1.",
    ),
    (
        "bake of its own without checks",
        ("  checks: errors\n  bake: 30s\nservices:\n  checkout:\n"),
        (
            "services:\n"
            "  other: { bake: 1m, target: { type: local, root: a }, images: { type: local, folder: b } }\n"
            "  checkout:\n"
            ""
        ),
        (
            "c.yaml:44:18: services.other.bake: there is nothing to watch for that long; name checks under "
            "'checks', or leave 'bake' out."
        ),
    ),
    (
        "bake of all without any checks",
        (
            "checks: errors\n"
            "  bake: 30s\n"
            "services:\n"
            "  checkout:\n"
            "    target: { type: local, root: platform }\n"
            "    images: { type: local, folder: b }\n"
            "    strategy: switch\n"
            "    checks: [errors, latency]\n"
            ""
        ),
        (
            "bake: 30s\n"
            "services:\n"
            "  checkout:\n"
            "    target: { type: local, root: platform }\n"
            "    images: { type: local, folder: b }\n"
            "    strategy: switch\n"
            ""
        ),
        (
            "c.yaml:43:9: defaults.bake: there is nothing to watch for that long; name checks under "
            "'checks', or leave 'bake' out."
        ),
    ),
    (
        "countdown too long",
        "countdown: 0",
        "countdown: 25h",
        "c.yaml:51:16: services.checkout.countdown: must be between 0 and 24h, not '25h'.",
    ),
]

#: What only the loader can know.
LOADER_ONLY = {
    "unknown metric source",
    "unknown check of a service",
    "unknown check in the defaults",
    "check twice",
    "unknown strategy of a service",
    "unknown strategy of an environment",
    "strategy that the target cannot do",
    "strategy of an environment that a target cannot do",
    "recreate that the target cannot do",
    "strategy called like a verb",
    "strategy called like an option",
    "strategy called like a word",
    "strategy that is built in",
    "share above one",
    "share above all",
    "share below nothing",
    "percentage of an amount",
    "percentage of an amount's tolerance",
    "check without a yardstick",
    "more failures than looks",
    "fewer looks than failures",
    "interval too short",
    "weights that do not rise",
    "weights that stay",
    "weight above all",
    "step that is none",
    "approval after all",
    "bake too long",
    "query that its source does not know",
    "bake of its own without checks",
    "bake of all without any checks",
    "countdown too long",
}
