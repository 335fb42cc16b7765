"""Every kind of bad rule of an environment, as a change of the good ones, with the answer that it must get."""

from __future__ import annotations

#: What is wrong, the words of the good file that are replaced, what by, and the answer.
CASES: list[tuple[str, str, str, str]] = [
    (
        "unknown zone",
        "zone: Europe/Paris",
        "zone: Europe/Pariss",
        (
            "c.yaml:4:7: zone: must be a time zone such as Europe/Paris or UTC, not 'Europe/Pariss'. Did you "
            "mean 'Europe/Paris'?"
        ),
    ),
    (
        "zone by its city",
        "zone: Europe/Paris",
        "zone: paris",
        (
            "c.yaml:4:7: zone: must be a time zone such as Europe/Paris or UTC, not 'paris'. Did you mean "
            "'Europe/Paris'?"
        ),
    ),
    (
        "zone by its abbreviation",
        "zone: Europe/Paris",
        "zone: CET",
        "c.yaml:4:7: zone: must be a time zone such as Europe/Paris or UTC, not 'CET'.",
    ),
    (
        "zone left empty",
        "zone: Europe/Paris",
        "zone:",
        "c.yaml:4:1: zone: must be a time zone such as Europe/Paris or UTC, not nothing.",
    ),
    (
        "unknown zone of a window",
        "zone: America/New_York",
        "zone: America/NewYork",
        (
            "c.yaml:20:15: environments.production.windows[1].zone: must be a time zone such as Europe/Paris or "
            "UTC, not 'America/NewYork'. Did you mean 'America/New_York'?"
        ),
    ),
    (
        "unquoted security channel",
        '"#security"',
        "#security",
        (
            "c.yaml:3:1: security_channel: must be a channel, not nothing; a bare # begins a comment, so write "
            "the name in quotes."
        ),
    ),
    (
        "after an unknown environment",
        "after: canary",
        "after: canari",
        (
            "c.yaml:10:12: environments.production.after: there is no environment 'canari'. Did you mean "
            "'canary'? Allowed: staging, canary."
        ),
    ),
    (
        "after itself",
        "after: canary",
        "after: production",
        (
            "c.yaml:10:12: environments.production.after: production cannot come after itself; name the "
            "environment before it, or leave 'after' out."
        ),
    ),
    (
        "after left empty",
        "after: canary",
        "after:",
        "c.yaml:10:5: environments.production.after: must be the name of an environment, not nothing.",
    ),
    (
        "after a list",
        "after: canary",
        "after: [canary]",
        "c.yaml:10:5: environments.production.after: must be the name of an environment, not a list.",
    ),
    (
        "order in a circle",
        "staging: {}",
        "staging: { after: production }",
        (
            "c.yaml:6:21: environments.staging.after: the order goes in a circle: staging after production after "
            "canary after staging; nothing could ever come through it."
        ),
    ),
    (
        "order that a service cannot follow",
        "[staging, canary, production]",
        "[staging, production]",
        (
            "c.yaml:28:29: services.payments.environments[1]: production comes after canary, which is not in "
            "this list: nothing could ever come to production; add canary."
        ),
    ),
    (
        "approval left empty",
        'approval: { quorum: 2, group: "@release-managers", fallback: "@platform-leads", expires: 45m }',
        "approval:",
        (
            "c.yaml:11:5: environments.production.approval: must be a mapping, not nothing; write {} for one "
            "person within 30 minutes, or leave it out."
        ),
    ),
    (
        "approval as a word",
        'approval: { quorum: 2, group: "@release-managers", fallback: "@platform-leads", expires: 45m }',
        "approval: true",
        "c.yaml:11:15: environments.production.approval: must be a mapping (keys with values), not true.",
    ),
    (
        "quorum of nobody",
        "quorum: 2",
        "quorum: 0",
        "c.yaml:11:25: environments.production.approval.quorum: must be at least 1, not the number 0.",
    ),
    (
        "quorum of half a person",
        "quorum: 2",
        "quorum: 1.5",
        "c.yaml:11:25: environments.production.approval.quorum: must be a whole number, not the number 1.5.",
    ),
    (
        "quorum of very many",
        "quorum: 2",
        "quorum: 21",
        "c.yaml:11:25: environments.production.approval.quorum: must be at most 20, not the number 21.",
    ),
    (
        "group of approvers is a person",
        'group: "@release-managers"',
        "group: U0GRACE",
        (
            'c.yaml:11:35: environments.production.approval.group: must be a user group ("@handle" or S…), not '
            "the person 'U0GRACE'."
        ),
    ),
    (
        "group of approvers without at",
        'group: "@release-managers"',
        "group: release-managers",
        (
            'c.yaml:11:35: environments.production.approval.group: must be a user group ("@handle" or S…), not '
            "'release-managers'. Did you mean '@release-managers'?"
        ),
    ),
    (
        "group of approvers with a person's name",
        'group: "@release-managers"',
        "group: Grace Hopper",
        (
            'c.yaml:11:35: environments.production.approval.group: must be a user group ("@handle" or S…), not '
            "'Grace Hopper'."
        ),
    ),
    (
        "group that may not approve",
        'group: "@release-managers"',
        'group: "@release-manager"',
        (
            "c.yaml:11:35: environments.production.approval.group: no role that may approve in production has "
            "'@release-manager' among its members; add the group to one. Did you mean '@release-managers'?"
        ),
    ),
    (
        "fallback that may not approve",
        'fallback: "@platform-leads"',
        'fallback: "@everybody"',
        (
            "c.yaml:11:66: environments.production.approval.fallback: no role that may approve in production has "
            "'@everybody' among its members; add the group to one."
        ),
    ),
    (
        "fallback to the same group",
        'fallback: "@platform-leads"',
        'fallback: "@release-managers"',
        (
            "c.yaml:11:5: environments.production.approval: 'group' and 'fallback' are both @release-managers; "
            "leave 'fallback' out or name another group."
        ),
    ),
    (
        "nobody may approve",
        '- { actions: "*" }',
        "- { actions: [deploy] }",
        (
            "c.yaml:11:5: environments.production.approval: nobody could approve anything in production; give a "
            "role the action 'approve' there."
        ),
    ),
    (
        "nobody may approve there",
        '- { actions: "*" }',
        '- { actions: "*", environments: staging }',
        (
            "c.yaml:11:5: environments.production.approval: nobody could approve anything in production; give a "
            "role the action 'approve' there."
        ),
    ),
    (
        "nobody may approve one service",
        '- { actions: "*" }',
        '- { actions: "*", services: checkout }',
        (
            "c.yaml:11:5: environments.production.approval: nobody could approve payments in production; give a "
            "role the action 'approve' there."
        ),
    ),
    (
        "approval that expires at once",
        "expires: 45m",
        "expires: 0s",
        "c.yaml:11:94: environments.production.approval.expires: must be between 1s and 366d, not '0s'.",
    ),
    (
        "approval that expires without unit",
        "expires: 45m",
        "expires: 45",
        (
            "c.yaml:11:94: environments.production.approval.expires: must be a length of time such as 30m, 9h, "
            "2d or 1w, not the number 45; write the unit too."
        ),
    ),
    (
        "unknown key of an approval",
        "quorum: 2",
        "quorom: 2",
        (
            "c.yaml:11:17: environments.production.approval.quorom: unknown key 'quorom'. Did you mean 'quorum'? "
            "Allowed: expires, fallback, group, quorum."
        ),
    ),
    (
        "unknown queue",
        "queue: newest",
        "queue: newst",
        (
            "c.yaml:12:12: environments.production.queue: 'newst' is not one of the values that can stand here. "
            "Did you mean 'newest'? Allowed: all, newest."
        ),
    ),
    (
        "unknown freeze policy",
        "freeze_running: pause",
        "freeze_running: stop",
        (
            "c.yaml:22:21: environments.production.freeze_running: 'stop' is not one of the values that can "
            "stand here. Allowed: continue, pause, abort."
        ),
    ),
    (
        "windows left empty",
        (
            "queue: newest\n"
            "    windows:\n"
            "      - name: office hours\n"
            '        allow: "0 9 * * 1-5"\n'
            "        for: 9h\n"
            "      - name: month end\n"
            '        deny: "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=0;BYMINUTE=0"\n'
            "        for: 25h\n"
            "        zone: America/New_York\n"
            "        services: [pay*]\n"
        ),
        ("windows:\n"),
        "c.yaml:12:5: environments.production.windows: must be a list, not nothing.",
    ),
    (
        "window without name",
        ("- name: office hours\n        allow"),
        "- allow",
        (
            "c.yaml:14:9: environments.production.windows[0]: 'name' is missing: what people are told when it "
            "keeps them out."
        ),
    ),
    (
        "window with an empty name",
        "name: office hours",
        'name: ""',
        (
            "c.yaml:14:15: environments.production.windows[0].name: must be a name of 1 to 60 characters without "
            "blanks around it, not ''."
        ),
    ),
    (
        "window with a number for a name",
        "name: office hours",
        "name: 24",
        (
            "c.yaml:14:15: environments.production.windows[0].name: must be a name such as office hours, not the "
            "number 24."
        ),
    ),
    (
        "window name twice",
        "name: month end",
        "name: office hours",
        (
            "c.yaml:17:15: environments.production.windows[1].name: a window of line 14 is called 'office hours' "
            "too; people must know which one is meant."
        ),
    ),
    (
        "window neither allows nor denies",
        ('        allow: "0 9 * * 1-5"\n'),
        "",
        (
            "c.yaml:14:9: environments.production.windows[0]: 'allow' or 'deny' is missing: when it begins, such "
            'as "0 9 * * 1-5".'
        ),
    ),
    (
        "window allows and denies",
        ('        allow: "0 9 * * 1-5"\n'),
        ('        allow: "0 9 * * 1-5"\n        deny: "0 12 * * 1-5"\n'),
        ("c.yaml:14:9: environments.production.windows[0]: 'allow' and 'deny' are both there; make two windows of it."),
    ),
    (
        "window without length",
        ("        for: 9h\n"),
        "",
        (
            "c.yaml:14:9: environments.production.windows[0]: 'for' is missing: how long it lasts from then on, "
            "in elapsed time."
        ),
    ),
    (
        "window length without unit",
        "for: 9h",
        "for: 9",
        (
            "c.yaml:16:14: environments.production.windows[0].for: must be a length of time such as 30m, 9h, 2d "
            "or 1w, not the number 9; write the unit too."
        ),
    ),
    (
        "window length in words",
        "for: 9h",
        "for: 9 hours",
        (
            "c.yaml:16:14: environments.production.windows[0].for: must be a length of time such as 30m, 9h, 2d "
            "or 1w, not '9 hours'."
        ),
    ),
    (
        "window too long",
        "for: 9h",
        "for: 53w",
        "c.yaml:16:14: environments.production.windows[0].for: must be between 1s and 366d, not '53w'.",
    ),
    (
        "window of no length",
        "for: 9h",
        "for: 0h",
        "c.yaml:16:14: environments.production.windows[0].for: must be between 1s and 366d, not '0h'.",
    ),
    (
        "window for an unknown service",
        "[pay*]",
        "[py*]",
        (
            "c.yaml:21:20: environments.production.windows[1].services[0]: 'py*' matches no service. Allowed: "
            "checkout, payments."
        ),
    ),
    (
        "window key of the domain",
        "for: 9h",
        "duration: 9h",
        (
            "c.yaml:14:9: environments.production.windows[0]: 'for' is missing: how long it lasts from then on, "
            "in elapsed time.\n"
            "c.yaml:16:9: environments.production.windows[0].duration: unknown key 'duration'. Allowed: allow, "
            "deny, for, name, services, zone."
        ),
    ),
    (
        "rule that is a number",
        '"0 9 * * 1-5"',
        "9",
        (
            'c.yaml:15:16: environments.production.windows[0].allow: must be a cron line such as "0 9 * * 1-5" '
            "or an RRULE, in quotes, not the number 9."
        ),
    ),
    (
        "rule left empty",
        '"0 9 * * 1-5"',
        "",
        (
            'c.yaml:15:9: environments.production.windows[0].allow: must be a cron line such as "0 9 * * 1-5" or '
            "an RRULE, in quotes, not nothing."
        ),
    ),
    (
        "rule with four fields",
        '"0 9 * * 1-5"',
        '"0 9 * *"',
        (
            "c.yaml:15:16: environments.production.windows[0].allow: the rule “0 9 * *” must be five cron "
            "fields, such as 0 9 * * 1-5, or begin with RRULE:."
        ),
    ),
    (
        "rule with a minute too late",
        '"0 9 * * 1-5"',
        '"60 9 * * 1-5"',
        (
            "c.yaml:15:16: environments.production.windows[0].allow: the rule “60 9 * * 1-5” cannot be read as "
            "cron: [60 9 * * 1-5] is not acceptable, out of range."
        ),
    ),
    (
        "rule that never begins",
        '"0 9 * * 1-5"',
        '"0 9 31 2 *"',
        (
            "c.yaml:15:16: environments.production.windows[0].allow: the rule “0 9 31 2 *” never begins: there "
            "is no such day."
        ),
    ),
    (
        "rule that begins too often",
        '"0 9 * * 1-5"',
        '"*/5 9-17 * * 1-5"',
        (
            "c.yaml:15:16: environments.production.windows[0].allow: the rule “*/5 9-17 * * 1-5” begins 108 "
            "times a day; 24 is the most."
        ),
    ),
    (
        "recurrence that never begins",
        "BYMONTHDAY=-1",
        "BYMONTH=2;BYMONTHDAY=30",
        (
            "c.yaml:18:15: environments.production.windows[1].deny: the rule "
            "“RRULE:FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=0;BYMINUTE=0” never begins: there is no such day."
        ),
    ),
    (
        "recurrence by the second",
        "FREQ=MONTHLY",
        "FREQ=SECONDLY",
        (
            "c.yaml:18:15: environments.production.windows[1].deny: the rule "
            "“RRULE:FREQ=SECONDLY;BYMONTHDAY=-1;BYHOUR=0;BYMINUTE=0” needs FREQ= with one of YEARLY, MONTHLY, "
            "WEEKLY, DAILY."
        ),
    ),
    (
        "unquoted rule with a star in front",
        '"0 9 * * 1-5"',
        "* 9 * * 1-5",
        (
            "c.yaml:15:16: environments.production.windows[0].allow: a text that begins with '*' must be in "
            "quotes as a whole."
        ),
    ),
    (
        "unquoted rule with a step in front",
        '"0 9 * * 1-5"',
        "*/30 9 * * 1-5",
        (
            "c.yaml:15:16: environments.production.windows[0].allow: '*/30' refers to '&/30', which is not "
            "complete before this place; put a text that begins with '*' in quotes."
        ),
    ),
    (
        "unquoted nickname of a rule",
        '"0 9 * * 1-5"',
        "@daily",
        ("c.yaml:15:16: environments.production.windows[0].allow: a value may not begin with '@'; put it in quotes."),
    ),
    (
        "unquoted rule with a comma in braces",
        ('      - name: office hours\n        allow: "0 9 * * 1-5"\n        for: 9h\n'),
        ("      - { name: office hours, allow: 0 9 * * 1,3, for: 9h }\n"),
        (
            "c.yaml:14:48: environments.production.windows[0].3: unknown key '3'; if it belongs to the value "
            "before the comma, put that value in quotes. Allowed: allow, deny, for, name, services, zone."
        ),
    ),
    (
        "star in a list of actions",
        "[configure, override_freeze, break_glass]",
        '["*", configure]',
        (
            'c.yaml:40:21: roles.release-manager.allow[1].actions[0]: "*" stands alone, not in a list; for an '
            "action that it does not grant add another rule."
        ),
    ),
]
