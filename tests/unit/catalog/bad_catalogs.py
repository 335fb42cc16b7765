"""Every kind of bad catalog, as a change of the good one, with the answer that it must get."""

from __future__ import annotations

#: What is wrong, the words of the good file that are replaced, what by, and the answer.
CASES: list[tuple[str, str, str, str]] = [
    (
        "missing channel",
        'channel: "#deployments"\nadmin',
        "admin",
        "c.yaml:1:1: 'channel' is missing: where deployments are told.",
    ),
    (
        "unquoted channel",
        'channel: "#deployments"',
        "channel: #deployments",
        "c.yaml:2:1: channel: must be a channel, not nothing; a bare # begins a comment, so write the name in quotes.",
    ),
    (
        "unquoted channel of a service",
        'channel: "#checkout"',
        "channel: #checkout",
        (
            "c.yaml:16:5: services.checkout.channel: must be a channel, not nothing; a bare # begins a comment, "
            "so write the name in quotes."
        ),
    ),
    (
        "channel without hash",
        '"#checkout"',
        "checkout",
        (
            'c.yaml:16:14: services.checkout.channel: must be a channel such as "#deployments" or C024BE91L, not '
            "'checkout'. Did you mean '#checkout'?"
        ),
    ),
    (
        "channel in capitals",
        '"#checkout"',
        '"#Checkout"',
        (
            'c.yaml:16:14: services.checkout.channel: must be a channel such as "#deployments" or C024BE91L, not '
            "'#Checkout'. Did you mean '#checkout'?"
        ),
    ),
    (
        "other version",
        "version: 1",
        "version: 2",
        "c.yaml:1:10: version: must be 1, the only format that can be read, not the number 2.",
    ),
    (
        "version as text",
        "version: 1",
        'version: "1"',
        "c.yaml:1:10: version: must be 1, the only format that can be read, not '1'.",
    ),
    (
        "unknown key at the top",
        "roles:",
        "rolls:",
        (
            "c.yaml:36:1: rolls: unknown key 'rolls'. Did you mean 'roles'? Allowed: admin_channel, channel, "
            "checks, clusters, defaults, environments, metrics, previews, roles, security_channel, services, "
            "strategies, version, zone."
        ),
    ),
    (
        "unknown key in a service",
        "    deadline: 5m",
        "    dedline: 5m",
        (
            "c.yaml:28:5: services.checkout.dedline: unknown key 'dedline'. Did you mean 'deadline'? Allowed: "
            "bake, channel, checks, countdown, deadline, description, environments, health, images, strategy, target."
        ),
    ),
    (
        "unknown key in defaults",
        "  deadline: 10m",
        "  timeout: 10m",
        (
            "c.yaml:12:3: defaults.timeout: unknown key 'timeout'. Allowed: bake, channel, checks, "
            "countdown, deadline, environments, health, images, strategy, target."
        ),
    ),
    (
        "unknown key in an environment",
        "    protected: true",
        "    protect: true",
        (
            "c.yaml:8:5: environments.production.protect: unknown key 'protect'. Did you mean 'protected'? "
            "Allowed: after, approval, description, freeze_running, lock, protected, queue, strategy, "
            "windows."
        ),
    ),
    (
        "unknown target type",
        "type: cluster",
        "type: clutser",
        (
            "c.yaml:31:13: services.payments.target.type: there is no type of target 'clutser'. Did you mean "
            "'cluster'? Allowed: cluster, local."
        ),
    ),
    (
        "unknown images type",
        "      type: local\n      folder",
        "      type: registry\n      folder",
        "c.yaml:25:13: services.checkout.images.type: there is no type of images 'registry'. Allowed: local.",
    ),
    (
        "target without type",
        "      type: cluster\n",
        "",
        "c.yaml:30:5: services.payments.target: 'type' is missing. Allowed: cluster, local.",
    ),
    (
        "type is no text",
        "type: cluster",
        "type: 5",
        "c.yaml:31:13: services.payments.target.type: must be text, not the number 5; write it in quotes.",
    ),
    (
        "unknown option",
        "root: ../platform",
        "rot: ../platform",
        (
            "c.yaml:18:5: services.checkout.target: 'root' is missing: folder of the platform.\n"
            "c.yaml:20:7: services.checkout.target.rot: unknown key 'rot'. Did you mean 'root'? Allowed: "
            "instances, root."
        ),
    ),
    (
        "option out of range",
        "production: { instances: 3 }",
        "production: { instances: 30 }",
        (
            "c.yaml:23:34: services.checkout.target.environments.production.instances: must be at most 16, not "
            "the number 30."
        ),
    ),
    (
        "option of the wrong type",
        "instances: 2\n",
        'instances: "2"\n',
        "c.yaml:21:18: services.checkout.target.instances: must be a whole number, not '2'.",
    ),
    (
        "unknown nested option",
        "cpu: 2",
        "cpus: 2",
        (
            "c.yaml:33:7: services.payments.target.limits: 'cpu' is missing.\n"
            "c.yaml:34:9: services.payments.target.limits.cpus: unknown key 'cpus'. Did you mean 'cpu'? Allowed: "
            "cpu, memory."
        ),
    ),
    (
        "unknown option value",
        "context: blue",
        "context: bleu",
        (
            "c.yaml:32:16: services.payments.target.context: 'bleu' is not one of the values that can stand "
            "here. Did you mean 'blue'? Allowed: blue, green."
        ),
    ),
    (
        "option refused by its own rule",
        "      limits:",
        "      labels: { a b: c }\n      limits:",
        "c.yaml:33:7: services.payments.target.labels: a label may not have a blank in it.",
    ),
    (
        "number where text is needed",
        "      limits:",
        "      labels: { a: 5 }\n      limits:",
        "c.yaml:33:20: services.payments.target.labels.a: must be text, not the number 5; write it in quotes.",
    ),
    (
        "secret is not shown",
        "      limits:",
        "      password: 12345\n      limits:",
        "c.yaml:33:17: services.payments.target.password: must be text, not what stands there; write it in quotes.",
    ),
    (
        "other type in an environment",
        "production: { instances: 3 }",
        "production: { type: cluster }",
        (
            "c.yaml:23:23: services.checkout.target.environments.production.type: a service has one type of "
            "target, here 'local'; only its options differ."
        ),
    ),
    (
        "override for an unknown environment",
        "production: { instances: 3 }",
        "producton: { instances: 3 }",
        (
            "c.yaml:23:9: services.checkout.target.environments.producton: there is no environment 'producton'. "
            "Did you mean 'production'? Allowed: staging, production."
        ),
    ),
    (
        "override where the service is not",
        "environments: [staging, production]",
        "environments: staging",
        (
            "c.yaml:23:9: services.checkout.target.environments.production: checkout is not deployed to "
            "production: its 'environments' do not name it. Allowed: staging."
        ),
    ),
    (
        "option missing in one environment",
        "      root: ../platform\n      instances: 2\n      environments:\n        production: { instances: 3 }\n",
        "      environments:\n        production: { root: a }\n",
        "c.yaml:18:5: services.checkout.target: 'root' is missing: folder of the platform.",
    ),
    (
        "unknown environment",
        "[staging, production]",
        "[staging, prod]",
        (
            "c.yaml:17:29: services.checkout.environments[1]: there is no environment 'prod'. Did you mean "
            "'production'? Allowed: staging, production."
        ),
    ),
    (
        "environment twice",
        "[staging, production]",
        "[staging, staging]",
        (
            "c.yaml:17:29: services.checkout.environments[1]: 'staging' is in this list already.\n"
            "c.yaml:23:9: services.checkout.target.environments.production: checkout is not deployed to "
            "production: its 'environments' do not name it. Allowed: staging."
        ),
    ),
    (
        "no environment at all",
        "environments: [staging, production]",
        "environments: []",
        "c.yaml:17:5: services.checkout.environments: needs at least 1 entry.",
    ),
    (
        "environments left empty",
        "environments: [staging, production]",
        "environments:",
        "c.yaml:17:5: services.checkout.environments: must be a list of names, not nothing.",
    ),
    (
        "bad service name",
        "  payments:",
        "  Pay_ments:",
        (
            "c.yaml:29:3: services.Pay_ments: 'Pay_ments' cannot be the name of a service: it takes a lower-case "
            "letter, then at most 62 lower-case letters, digits and hyphens. Did you mean 'pay-ments'?\n"
            "c.yaml:43:20: roles.deployer.deny[0].services[0]: 'pay*' matches no service. Did you mean "
            "'Pay_ments'? Allowed: checkout, Pay_ments."
        ),
    ),
    (
        "bad environment name",
        "  staging: {}",
        '  "1st stage": {}\n  staging: {}',
        (
            "c.yaml:5:3: environments.'1st stage': '1st stage' cannot be the name of an environment: it takes a "
            "lower-case letter, then at most 62 lower-case letters, digits and hyphens."
        ),
    ),
    (
        "service called like a verb",
        "  payments:",
        "  rollback:",
        (
            "c.yaml:29:3: services.rollback: 'rollback' is a word of the command itself; call the service "
            "something else.\n"
            "c.yaml:43:20: roles.deployer.deny[0].services[0]: 'pay*' matches no service. Allowed: checkout, "
            "rollback."
        ),
    ),
    (
        "service called like an environment",
        "  payments:",
        "  staging:",
        (
            "c.yaml:29:3: services.staging: 'staging' is the environment of line 5 and the service of line 29; "
            "the words of a command come in any order, so a name can be only one of them.\n"
            "c.yaml:43:20: roles.deployer.deny[0].services[0]: 'pay*' matches no service. Allowed: checkout, "
            "staging."
        ),
    ),
    ("no services", "services:\n…", "services: {}\n", "c.yaml:13:1: services: needs at least 1 entry."),
    ("services missing", "services:\n…", "", "c.yaml:1:1: 'services' is missing: what can be deployed."),
    (
        "service is nothing",
        "  payments:\n…",
        "  payments:\n",
        "c.yaml:29:3: services.payments: must be a mapping (keys with values), not nothing.",
    ),
    (
        "service is a list",
        "  payments:\n…",
        "  payments: [a]\n",
        "c.yaml:29:3: services.payments: must be a mapping (keys with values), not a list.",
    ),
    (
        "bad duration",
        "deadline: 5m",
        "deadline: 5 minutes",
        (
            "c.yaml:28:15: services.checkout.deadline: must be a duration such as 90s, 5m or 1h, or a number of "
            "seconds, not '5 minutes'."
        ),
    ),
    (
        "endless duration",
        "deadline: 5m",
        "deadline: .inf",
        (
            "c.yaml:28:15: services.checkout.deadline: must be a duration such as 90s, 5m or 1h, or a number of "
            "seconds, not '.inf'."
        ),
    ),
    (
        "no duration",
        "deadline: 10m",
        "deadline: 0",
        "c.yaml:12:13: defaults.deadline: must be between 10ms and 24h, not the number 0.",
    ),
    (
        "health on another host",
        "{ path: /health }",
        '{ path: "http://evil.example/health" }',
        (
            'c.yaml:27:21: services.checkout.health.path: must begin with "/" and name no scheme or host, not '
            "'http://evil.example/health'. Did you mean '/health'?"
        ),
    ),
    (
        "health path upwards",
        "{ path: /health }",
        "{ path: /../admin }",
        (
            'c.yaml:27:21: services.checkout.health.path: must not lead upwards ("..", "%2e" and "\\" are '
            "refused), not '/../admin'."
        ),
    ),
    (
        "health path with blanks",
        "{ path: /health }",
        "{ path: /he alth }",
        (
            "c.yaml:27:21: services.checkout.health.path: must be printable ASCII without spaces or #, at most "
            "512 characters, not '/he alth'."
        ),
    ),
    (
        "health path without slash",
        "{ path: /health }",
        "{ path: health }",
        (
            'c.yaml:27:21: services.checkout.health.path: must begin with "/" and name no scheme or host, not '
            "'health'. Did you mean '/health'?"
        ),
    ),
    (
        "health path with two slashes",
        "{ path: /health }",
        "{ path: //evil.example/health }",
        (
            'c.yaml:27:21: services.checkout.health.path: must begin with "/" and name no scheme or host, not '
            "'//evil.example/health'. Did you mean '/health'?"
        ),
    ),
    (
        "health can never pass",
        "{ path: /health }",
        "{ passes: 100, interval: 1s, deadline: 30s }",
        (
            "c.yaml:27:5: services.checkout.health: can never pass: 100 looks 1 s apart do not fit in the "
            "deadline of 30 s."
        ),
    ),
    (
        "wrong in the defaults, once",
        "passes: 2",
        "passes: 0",
        "c.yaml:11:36: defaults.health.passes: must be at least 1, not the number 0.",
    ),
    (
        "boolean of YAML 1.1",
        "protected: true",
        "protected: yes",
        (
            "c.yaml:8:16: environments.production.protected: must be true or false, not 'yes' (in YAML 1.2 that "
            "word is text)."
        ),
    ),
    (
        "unknown lock",
        "lock: environment",
        "lock: enviroment",
        (
            "c.yaml:9:11: environments.production.lock: 'enviroment' is not one of the values that can stand "
            "here. Did you mean 'environment'? Allowed: service, environment."
        ),
    ),
    (
        "unknown action",
        "[deploy, rollback]",
        "[deploy, rolback]",
        (
            "c.yaml:40:29: roles.deployer.allow[0].actions[1]: 'rolback' is no action. Did you mean 'rollback'? "
            "Allowed: abort, approve, break_glass, configure, deploy, lock, override_freeze, promote, resolve, "
            "rollback, run_next, schedule, unlock."
        ),
    ),
    (
        "no actions",
        "[deploy, rollback]",
        "[]",
        "c.yaml:40:11: roles.deployer.allow[0].actions: needs at least 1 entry.",
    ),
    (
        "glob that matches nothing",
        "[pay*]",
        "[py*]",
        "c.yaml:43:20: roles.deployer.deny[0].services[0]: 'py*' matches no service. Allowed: checkout, payments.",
    ),
    (
        "name that does not exist",
        "environments: production\n",
        "environments: prodution\n",
        (
            "c.yaml:44:23: roles.deployer.deny[0].environments: there is no environment 'prodution'. Did you "
            "mean 'production'? Allowed: staging, production."
        ),
    ),
    (
        "bad member",
        '"@deployers", U0ADA',
        "deployers, u0ada, 5",
        (
            'c.yaml:38:15: roles.deployer.members[0]: must be a user group ("@handle" or S…), the id of a person '
            "(U… or W…) or a service account (sa:name), not 'deployers'. Did you mean '@deployers'?\n"
            'c.yaml:38:26: roles.deployer.members[1]: must be a user group ("@handle" or S…), the id of a person '
            "(U… or W…) or a service account (sa:name), not 'u0ada'. Did you mean 'U0ADA'?\n"
            'c.yaml:38:33: roles.deployer.members[2]: must be a user group ("@handle" or S…), the id of a person '
            "(U… or W…) or a service account (sa:name), not the number 5."
        ),
    ),
    (
        "bad service account",
        '"@deployers", U0ADA',
        '"SA:Incident Bot", "sa:", "sa:ok"',
        (
            "c.yaml:38:15: roles.deployer.members[0]: must be the name of a service account after sa:, a lower-case "
            "letter and then at most 62 lower-case letters, digits and hyphens, not 'SA:Incident Bot'. Did you mean "
            "'sa:incident-bot'?\n"
            "c.yaml:38:34: roles.deployer.members[1]: must be the name of a service account after sa:, a lower-case "
            "letter and then at most 62 lower-case letters, digits and hyphens, not 'sa:'."
        ),
    ),
    ("no members", '["@deployers", U0ADA]', "[]", "c.yaml:38:5: roles.deployer.members: needs at least 1 entry."),
    (
        "empty role",
        "    allow:\n…",
        "",
        "c.yaml:37:3: roles.deployer: the role is empty; give it a rule under 'allow' or 'deny'.",
    ),
    (
        "unquoted handle",
        '["@deployers", U0ADA]',
        "[@deployers, U0ADA]",
        "c.yaml:38:15: roles.deployer.members[0]: a value may not begin with '@'; put it in quotes.",
    ),
    (
        "unquoted star",
        'services: "*"',
        "services: *",
        "c.yaml:40:50: roles.deployer.allow[0]: a bare '*' is an alias; write \"*\" in quotes.",
    ),
    (
        "unknown alias",
        'services: "*"',
        "services: *all",
        (
            "c.yaml:40:50: roles.deployer.allow[0].services: '*all' refers to '&all', which is not complete "
            'before this place; to mean "everything" write "*" in quotes.'
        ),
    ),
    (
        "duplicate key",
        "    deadline: 5m\n",
        '    deadline: 5m\n    channel: "#pay"\n',
        "c.yaml:29:5: services.checkout.channel: the key 'channel' is in line 16 already.",
    ),
    (
        "duplicate service",
        "  payments:",
        "  checkout:",
        (
            "c.yaml:29:3: services.checkout: the key 'checkout' is in line 14 already.\n"
            "c.yaml:43:20: roles.deployer.deny[0].services[0]: 'pay*' matches no service. Allowed: checkout."
        ),
    ),
    ("tab", "  payments:", "\tpayments:", "c.yaml:29:1: services.checkout: a tab; indent with spaces."),
    (
        "second document",
        "roles:",
        "---\nroles:",
        "c.yaml:36:1: a second document begins here; the catalog is one document, without '---'.",
    ),
    (
        "tag",
        "deadline: 5m",
        "deadline: !!str 5m",
        "c.yaml:28:15: services.checkout.deadline: tags such as '!!str' are not used here; write text in quotes.",
    ),
    (
        "merge key",
        "    deadline: 5m",
        "    <<: {}",
        (
            "c.yaml:28:5: services.checkout: merge keys are not part of YAML 1.2; put what services share under "
            "'defaults'."
        ),
    ),
    (
        "key that is a list",
        "  payments:",
        "  [payments]:",
        "c.yaml:29:3: services: a key must be a word; put text with '{' or '[' in quotes.",
    ),
    (
        "list never closed",
        "[staging, production]",
        "[staging, production",
        (
            "c.yaml:17:19: services.checkout.environments[2]: the '[' that begins here is not closed by ']' "
            "where it should be."
        ),
    ),
    (
        "quote never closed",
        '"#deploy-admin"',
        '"#deploy-admin',
        "c.yaml:17:5: this does not fit what stands above it; check the indentation and the quotes.",
    ),
    (
        "colon in text",
        "description: Takes the money",
        "description: Takes: the money",
        (
            "c.yaml:15:23: services.checkout: a ':' where none can be; check the indentation, or put text with "
            "': ' in it in quotes."
        ),
    ),
    (
        "key without value",
        "    deadline: 5m",
        "    deadline 5m",
        "c.yaml:28:5: services.checkout: a key without ':' and value.",
    ),
    (
        "indentation",
        "    deadline: 5m",
        "   deadline: 5m",
        "c.yaml:28:4: services: this does not fit what stands above it; check the indentation and the quotes.",
    ),
    (
        "escape that does not exist",
        '"#checkout"',
        '"\\#checkout"',
        "c.yaml:16:16: services.checkout.channel: the escape '\\#' does not exist; use single quotes or write '\\\\'.",
    ),
    (
        "control character",
        "Takes the money",
        '"Takes \\e[31m"',
        "c.yaml:15:18: services.checkout.description: 'Takes \\x1b[31m' has a control character in it.",
    ),
    (
        "character that may not be there",
        "Takes",
        "Ta\x00kes",
        "c.yaml:15:20: the character U+0000 may not stand in the file; delete it.",
    ),
    (
        "other YAML",
        "version: 1",
        "%YAML 1.1\n---\nversion: 1",
        "c.yaml:2:1: the catalog is YAML 1.2; delete the %YAML line.",
    ),
    (
        "description too long",
        "Takes the money",
        "x" * 301,
        "c.yaml:15:18: services.checkout.description: must have at most 300 characters.",
    ),
    (
        "escape beyond characters",
        "description: Takes the money",
        'description: "\\UFFFFFFFF"',
        "c.yaml:15:16: services.checkout.description: after this comes an escape that is no character.",
    ),
]


def broken(good: str, old: str, new: str) -> str:
    """The good file with ``old`` replaced by ``new``; an ``old`` that ends in … reaches to the end of the file."""
    before, found, after = good.partition(old.removesuffix("…"))
    assert found, "the good file does not have what is to be replaced"
    return before + new + ("" if old.endswith("…") else after)
