"""Malformed space files, and what the user reads for each: one table of cases."""

from pathlib import Path

import pytest

from tuning.space import SpaceError, load_space

LR = "  lr: {type: float, low: 1.0e-4, high: 2.0e-3}\n"
LAYERS = "  head_layers: {type: choice, values: [1, 2]}\n"
REDUCTION = "  head_reduction: {type: choice, values: [2, 4], when: {head_layers: 2}}\n"

# name: (file, every line of the message after its head)
MALFORMED: dict[str, tuple[str, list[str]]] = {
    "an empty file": ("", ["line 1: the file is empty; a space has at least version, data and search"]),
    "nothing but comments": (
        "# later\n",
        ["line 1: the file is empty; a space has at least version, data and search"],
    ),
    "a list": (
        "- version: 1\n",
        ["line 1: the file holds a list, not a mapping; write key: value lines, version: 1 first"],
    ),
    "a single word": (
        "rg\n",
        ["line 1: the file holds a single value, not a mapping; write key: value lines, version: 1 first"],
    ),
    "tabs": (
        "version: 1\nsearch:\n\tlr: 1\n\tstages: 2\n",
        ["line 3: a tab; YAML indents with spaces", "line 4: a tab; YAML indents with spaces"],
    ),
    "a bracket that never closes": (
        "version: 1\nsearch: {lr: [1, 2\n",
        ["line 3: not YAML: expected ',' or ']', but got '<stream end>'"],
    ),
    "an alias": (
        "version: 1\nseed: &one 1\nfinal: {top: *one}\n",
        ["line 3: not YAML: aliases (*name) are not read; write the value again"],
    ),
    "a tag that would run code": (
        f"version: 1\nfixed: {{width: !!python/object/apply:os.getpid []}}\nsearch:\n{LR}",
        ["line 2: fixed.width: has the tag tag:yaml.org,2002:python/object/apply:os.getpid; write plain values"],
    ),
    "a key given twice": (
        f"version: 1\nsearch:\n{LR}{LR}",
        ["line 4: search.lr: is a second time here; the first is on line 3; keep one"],
    ),
    "no version": (f"search:\n{LR}", ["line 1: version is missing; write version: 1"]),
    "a later version": (f"version: 2\nsearch:\n{LR}", ["line 1: version: 2 must be 1"]),
    "unknown keys": (
        f"version: 1\nserach: 3\nfinal: {{tops: 1}}\nepochs: 3\nsearch:\n{LR}",
        [
            "line 2: serach: is no key here; did you mean `search`?",
            "line 3: final.tops: is no key here; did you mean `top`?",
            "line 4: epochs: is no key here; it is a setting of the training: put it under search or fixed",
        ],
    ),
    "settings that do not exist": (
        "version: 1\nsearch:\n  tau_int: {type: float, low: 1.0, high: 20.0}\nfixed: {learning_rate: 0.1, K: 4}\n",
        [
            "line 3: search.tau_int: is not a setting of the training; did you mean `tau_init`?",
            "line 4: fixed.K: is not a setting of the training; did you mean `fusion_nets`?",
            "line 4: fixed.learning_rate: is not a setting of the training; did you mean `lr`?",
        ],
    ),
    "low above high": (
        "version: 1\nsearch:\n  lr:\n    type: float\n    low: 0.01\n    high: 0.0001\n",
        ["line 6: search.lr.high: 0.0001 must be above low 0.01"],
    ),
    "a logarithm of zero": (
        "version: 1\nsearch: {weight_decay: {type: float, log: true, low: 0.0, high: 0.1}}\n",
        ["line 2: search.weight_decay.low: 0.0 must be above 0 where log is true"],
    ),
    "fractions of a whole number": (
        "version: 1\nsearch:\n  fusion_nets: {type: int, low: 4.0, high: 12.5}\n"
        "  stages: {type: float, low: 2, high: 4}\n",
        [
            "line 3: search.fusion_nets.high: 12.5 must be a whole number",
            "line 3: search.fusion_nets.low: 4.0 must be a whole number",
            "line 4: search.stages.type: 'float' draws fractions of a whole number; write type: int",
        ],
    ),
    "choices of nothing, and of the same twice": (
        "version: 1\nsearch:\n  stages: {type: choice, values: []}\n  width: {type: choice, values: [32, 32, 256]}\n"
        "  schedule: {type: choice, values: cosine}\n",
        [
            "line 3: search.stages.values: [] holds no value; name at least one",
            "line 4: search.width.values: [32, 32, 256] names 32 twice; keep one",
            "line 5: search.schedule.values: 'cosine' must be a list",
        ],
    ),
    "searched values that the setting does not allow": (
        "version: 1\nsearch:\n  stages: {type: choice, values: [2, 3, 9]}\n"
        "  head_dropout: {type: float, low: 0.0, high: 1.5}\n"
        "  optimizer: {type: choice, values: [adamw, adam]}\n",
        [
            "line 3: search.stages.values[2]: 9 is outside 2 to 5",
            "line 4: search.head_dropout.high: 1.5 is outside 0 to 0.95",
            "line 5: search.optimizer.values[1]: 'adam' is not one of adamw, sgd; did you mean `adamw`?",
        ],
    ),
    "domains that are none": (
        "version: 1\nsearch:\n  lr: 0.001\n  tau_init: {low: 1.0, high: 2.0}\n  stages: {type: chioce, values: [2]}\n"
        "  head_dropout: {type: float, low: 0.1}\n",
        [
            "line 3: search.lr: 0.001 must be a mapping such as {type: float, low: 0.001, high: 0.1}; "
            "to hold it still: fixed: {lr: 0.001}",
            "line 4: search.tau_init.type: is missing; write type: int, float or choice",
            "line 5: search.stages.type: 'chioce' must be int, float or choice; did you mean `choice`?",
            "line 6: search.head_dropout.high: is missing",
        ],
    ),
    "a setting searched and fixed": (
        f"version: 1\nsearch:\n{LR}fixed: {{lr: 0.001}}\n",
        [
            "line 4: fixed.lr: 0.001 is fixed, and the setting is searched as well; "
            "keep one; --set search.lr=null stops searching it"
        ],
    ),
    "a setting under data and under fixed": (
        f"version: 1\ndata: {{clip: 70}}\nfixed: {{clip: 130}}\nsearch:\n{LR}",
        ["line 2: data.clip: 70 is set under data and under fixed; keep one"],
    ),
    "the paper's values outside the range": (
        "version: 1\nsearch:\n  fusion_nets: {type: int, low: 2, high: 8}\n",
        [
            "line 3: search.fusion_nets: (2 to 8) leaves out the paper preset's 10, which is the first trial; "
            "widen it, or name a first trial: first: {fusion_nets: ...}"
        ],
    ),
    "a first trial outside the range, and of what is not searched": (
        f"version: 1\nsearch:\n{LR}first: {{lr: 0.1, tau_init: 5.0, lrr: 1}}\n",
        [
            "line 4: first.lr: 0.1 is outside the range that is searched, 0.0001 to 0.002",
            "line 4: first.lrr: is not a setting of the training; did you mean `lr`?",
            "line 4: first.tau_init: 5.0 is given for a setting that is not searched; put it under fixed",
        ],
    ),
    "branches that no two trials could share": (
        "version: 1\nsearch: {phase1_lr: {type: float, low: 0.001, high: 0.1}}\n",
        [
            "line 2: search.phase1_lr.type: 'float' is a range, and pretrained branches depend on it: "
            "hardly two trials could share them; write {type: choice, values: [...]}"
        ],
    ),
    "heads that do not divide a searched width": (
        "version: 1\nsearch: {width: {type: choice, values: [32, 100, 256]}}\nfixed: {msfd_heads: 8}\n",
        [
            "line 3: fixed.msfd_heads: allows msfd_heads 8 with width 100, which it does not divide; "
            "let every value divide every width"
        ],
    ),
    "epochs of the wrong classes": (
        f"version: 1\ndata: {{action: [Ball, Hoop], score: total}}\nfixed: {{epochs: {{Bal: 40}}}}\nsearch:\n{LR}",
        [
            "line 3: fixed.epochs: has no entry for Ball, Hoop; give every class its epochs",
            "line 3: fixed.epochs.Bal: is not a class of this study; did you mean `Ball`?",
        ],
    ),
    "a grace period longer than the training": (
        f"version: 1\nfixed: {{epochs: 10}}\nscheduler: {{grace_epochs: 20}}\nsearch:\n{LR}",
        [
            "line 3: scheduler.grace_epochs: 20 is more than the 10 epochs of a whole training; "
            "judge earlier, or set scheduler.type to none"
        ],
    ),
    "budgets that differ between trials": (
        "version: 1\nsearch: {epochs: {type: choice, values: [200, 400]}}\n",
        [
            "line 2: search.epochs: is searched, and asha compares trials at shares of one budget; "
            "fix it, or set scheduler.type to none"
        ],
    ),
    "scores and highlights in one study": (
        "version: 1\nsearch: {task: {type: choice, values: [score, highlights]}}\n",
        [
            "line 2: search.task: is searched, and a study has one metric: scores are judged by correlation, "
            "highlights by precision; fix it, and launch a study for each"
        ],
    ),
    "modalities that cannot be fused as asked": (
        f"version: 1\ndata: {{modalities: [spec, dspec, pros]}}\nsearch:\n{LR}fixed: {{fine_tuned: [pross]}}\n",
        [
            "line 5: fixed.fine_tuned: 'pross' is fine-tuned but is not among the modalities spec, dspec, pros; "
            "did you mean `pros`?"
        ],
    ),
    "one modality": (
        f"version: 1\ndata: {{modalities: [audio]}}\nsearch:\n{LR}",
        ["line 2: data.modalities: ['audio'] is too few to fuse; name at least two"],
    ),
    "four modalities": (
        f"version: 1\ndata: {{modalities: [audio, b, c, d]}}\nsearch:\n{LR}",
        ["line 2: data.modalities: ['audio', 'b', 'c', 'd'] is too many to fuse; name two or three"],
    ),
    "a search over fine-tuned streams that are not there": (
        "version: 1\ndata: {modalities: [rgb, audio]}\nfirst: {fine_tuned: [audio]}\nsearch:\n"
        "  fine_tuned: {type: choice, values: [[audio], [rgb, flow]]}\n",
        [
            "line 5: search.fine_tuned.values: 'flow' is fine-tuned but is not among the modalities rgb, audio; "
            "set search.fine_tuned.values"
        ],
    ),
    "two sources of data": (
        f"version: 1\ndata: {{path: shards, synthetic: {{size: tiny}}}}\nsearch:\n{LR}",
        ["line 2: data.path: 'shards' is given beside data.synthetic; keep one source of data"],
    ),
    "nothing searched": (
        "version: 1\nfixed: {width: 32}\nbudget: {trials: 8}\n",
        [
            "line 3: budget.trials: 8 trials of one and the same configuration: nothing is searched; "
            "set 1, or search something"
        ],
    ),
    "words where there should be numbers": (
        f"version: 1\nseed: true\nbudget: {{trials: ten, time: 2 hours, concurrent: 0}}\nsearch:\n{LR}",
        [
            "line 2: seed: true must be a whole number",
            "line 3: budget.concurrent: 0 must be auto or a whole number of at least 1",
            "line 3: budget.time: '2 hours' must be a time such as 2h, 30m or a number of seconds above 0",
            "line 3: budget.trials: 'ten' must be a whole number",
        ],
    ),
    "sections out of their ranges": (
        f"version: 1\nevaluation: {{folds: 1, group: 3}}\nscheduler: {{type: ahsa, reduction: 1}}\n"
        f"resources: {{gpu: -1, cpu: 0}}\nfinal: 3\nsearch:\n{LR}",
        [
            "line 2: evaluation.folds: 1 must be at least 2",
            "line 2: evaluation.group: 3 must be text; quote it if it looks like a number",
            "line 3: scheduler.reduction: 1 must be at least 2",
            "line 3: scheduler.type: 'ahsa' must be 'asha' or 'none'; did you mean `asha`?",
            "line 4: resources.cpu: 0 must be above 0.0",
            "line 4: resources.gpu: -1 must be auto or a number of at least 0",
            "line 5: final: 3 must be a mapping (name: value)",
        ],
    ),
    "names that YAML reads as numbers or words": (
        f"version: 1\ndata: {{action: [1, 2], standardise: yes}}\nsearch:\n{LR}"
        "fixed: {batch_size: .nan, width: '32'}\n",
        [
            "line 2: data.action: [1, 2] must be a name or a list of names (quote a name that looks like a number)",
            "line 2: data.standardise: 'yes' is not true or false",
            "line 5: fixed.batch_size: nan is not a whole number",
            "line 5: fixed.width: '32' is not a whole number",
        ],
    ),
    "conditions on what is not searched": (
        f"version: 1\nfixed: {{schedule: cosine}}\nsearch:\n{LAYERS}"
        "  head_reduction: {type: choice, values: [2, 4], when: {head_layer: 2}}\n"
        "  lr_floor: {type: float, low: 1e-6, high: 1e-5, when: {schedule: cosine}}\n"
        "  lr: {type: float, low: 1e-4, high: 2e-3, when: {lrfloor: 3, K: 4}}\n",
        [
            "line 5: search.head_reduction.when.head_layer: is not a setting of the training; "
            "did you mean `head_layers`?",
            "line 6: search.lr_floor.when.schedule: is not searched; search it, or leave it out here",
            "line 7: search.lr.when.K: is not a setting of the training; did you mean `fusion_nets`?",
            "line 7: search.lr.when.lrfloor: is not a setting of the training; did you mean `lr_floor`?",
        ],
    ),
    "conditions on values that the other setting never has": (
        f"version: 1\nsearch:\n{LAYERS}"
        "  head_reduction: {type: choice, values: [2, 4], when: {head_layers: [2, 3]}}\n"
        "  optimizer: {type: choice, values: [adamw, sgd]}\n"
        "  clip_norm: {type: choice, values: [null, 2.0], when: {optimizer: sdg}}\n"
        "  fusion_nets: {type: int, low: 4, high: 12, when: {head_layers: []}}\n",
        [
            "line 4: search.head_reduction.when.head_layers[1]: 3 is no value that head_layers can have, one of 1, 2",
            "line 6: search.clip_norm.when.optimizer: 'sdg' is no value that optimizer can have, one of adamw, sgd; "
            "did you mean `sgd`?",
            "line 7: search.fusion_nets.when.head_layers: [] holds no value; name at least one",
        ],
    ),
    "conditions that are none": (
        f"version: 1\nsearch:\n{LAYERS}  head_reduction: {{type: choice, values: [2, 4], when: [head_layers]}}\n"
        "  lr: {type: float, low: 1e-4, high: 2e-3, when: {}}\n",
        [
            "line 4: search.head_reduction.when: ['head_layers'] must be a mapping such as {head_layers: 2}, "
            "from a searched setting to its value or values",
            "line 5: search.lr.when: {} must be a mapping such as {head_layers: 2}, "
            "from a searched setting to its value or values",
        ],
    ),
    "conditions in a circle": (
        "version: 1\nsearch:\n  lr: {type: float, low: 1e-4, high: 2e-3, when: {stages: 2}}\n"
        "  head_layers: {type: choice, values: [1, 2], when: {head_reduction: 4}}\n"
        f"{REDUCTION}  stages: {{type: choice, values: [2, 3], when: {{stages: 2}}}}\n",
        [
            "line 4: search.head_layers.when: goes round in a circle: head_layers -> head_reduction -> head_layers; "
            "take one of these conditions away",
            "line 6: search.stages.when: goes round in a circle: stages -> stages; take one of these conditions away",
        ],
    ),
    "a first trial of what is inactive in it": (
        f"version: 1\nsearch:\n{LAYERS}{REDUCTION}first: {{head_reduction: 4}}\n",
        [
            "line 5: first.head_reduction: 4 is given for a setting that is searched only when head_layers is 2; "
            "leave it out"
        ],
    ),
    "a first trial that makes a setting active and gives it no value": (
        f"version: 1\nsearch:\n{LAYERS}{REDUCTION}first: {{head_layers: 2}}\n",
        [
            "line 4: search.head_reduction: (one of 2, 4) leaves out the paper preset's 1, which is the first trial; "
            "widen it, or name a first trial: first: {head_reduction: ...}"
        ],
    ),
    "heads that a condition keeps from only some widths": (
        f"version: 1\nsearch:\n{LAYERS}  width: {{type: choice, values: [90, 100, 256]}}\n"
        "  head_reduction: {type: choice, values: [4], when: {head_layers: 2, width: [90, 256]}}\n",
        [
            "line 5: search.head_reduction: allows head_reduction 4 with width 90, which it does not divide; "
            "let every value divide every width, or write constraints: [width % head_reduction == 0]"
        ],
    ),
    "constraints that cannot be read": (
        f"version: 1\nsearch:\n{LR}constraints:\n  - lr <\n  - lr ** 2 < 1\n  - lr < 1 and lr == True\n  - 3\n"
        "  - 2 < 3\n",
        [
            "line 5: constraints[0]: 'lr <' cannot be read beyond its end; write for example lr < 1e-3 or tau_init > 2",
            "line 6: constraints[1]: 'lr ** 2 < 1' has `lr ** 2` at character 1, which is no part of a constraint; "
            "write for example lr < 1e-3 or tau_init > 2",
            "line 7: constraints[2]: 'lr < 1 and lr == True' has True at character 18, which is written true; "
            "write for example lr < 1e-3 or tau_init > 2",
            "line 8: constraints[3]: 3 must be text; quote it if it looks like a number",
            "line 9: constraints[4]: '2 < 3' names no setting; write for example lr < 1e-3 or tau_init > 2",
        ],
    ),
    "constraints between names that are not searched": (
        f"version: 1\nsearch:\n{LR}constraints: [lrr < 1e-3, lr_floor < lr, width % K == 0]\n",
        [
            "line 4: constraints[0]: 'lrr < 1e-3' names lrr, which is not a setting of the training; "
            "did you mean `lr`?",
            "line 4: constraints[1]: 'lr_floor < lr' names lr_floor, which is not searched; write its value, 5e-06",
            "line 4: constraints[2]: 'width % K == 0' names K, which is not a setting of the training; "
            "did you mean `fusion_nets`?",
            "line 4: constraints[2]: 'width % K == 0' names width, which is not searched; write its value, 256",
        ],
    ),
    "constraints that compare words with numbers": (
        f"version: 1\nsearch:\n{LR}  optimizer: {{type: choice, values: [adamw, sgd]}}\n"
        "  clip_norm: {type: choice, values: [null, 2.0]}\n"
        "constraints: [optimizer < 3, optimizer == 3, lr or clip_norm == null, clip_norm < 3]\n",
        [
            "line 6: constraints[0]: 'optimizer < 3' cannot be checked: 'adamw' < 3 cannot be compared",
            "line 6: constraints[1]: 'optimizer == 3' cannot be checked: 'adamw' and 3 are never equal",
            "line 6: constraints[2]: 'lr or clip_norm == null' cannot be checked: "
            "lr is 0.0001, which is neither true nor false; compare it",
            "line 6: constraints[3]: 'clip_norm < 3' cannot be checked: null < 3 cannot be compared",
        ],
    ),
    "constraints that the first trial breaks": (
        f"version: 1\nsearch:\n{LR}  tau_init: {{type: float, low: 1.0, high: 20.0}}\n"
        "constraints: [lr < 1e-3, lr * 1e4 > tau_init]\n",
        [
            "line 5: constraints[1]: 'lr * 1e4 > tau_init' does not hold for the first trial "
            "(lr 0.0005, tau_init 10.0); name another first trial: first: {lr: ...}"
        ],
    ),
    "a constraint that nothing satisfies": (
        f"version: 1\nsearch:\n{LR}constraints: [lr > 2e-3]\n",
        [
            "line 4: constraints[0]: 'lr > 2e-3' leaves no configuration to try, or one among thousands drawn; "
            "loosen it, or widen a range"
        ],
    ),
    "constraints that nothing satisfies together": (
        "version: 1\nsearch:\n  fusion_nets: {type: int, low: 4, high: 12}\n"
        "  stages: {type: choice, values: [2, 3]}\nconstraints:\n"
        "  - fusion_nets > 4 * stages\n  - fusion_nets < 3 * stages\n",
        [
            "line 5: constraints: as a whole leaves no configuration to try; loosen one, or widen a range",
        ],
    ),
    "points that are none of the search": (
        f"version: 1\nsearch:\n{LR}{LAYERS}{REDUCTION}constraints: [lr < 1e-3]\npoints:\n"
        "  - {lr: 0.01}\n  - {lrr: 1e-3}\n  - {tau_init: 4.0}\n  - {head_layers: 2}\n  - {head_reduction: 2}\n"
        "  - {lr: 1.5e-3}\n  - {lr: word}\n  - 5e-4\n",
        [
            "line 8: points[0].lr: 0.01 is outside the range that is searched, 0.0001 to 0.002",
            "line 9: points[1].lrr: is not a setting of the training; did you mean `lr`?",
            "line 10: points[2].tau_init: 4.0 is given for a setting that is not searched; put it under fixed",
            "line 11: points[3]: leaves head_reduction at the first trial's 1, outside the range that is searched; "
            "give it a value, one of 2, 4",
            "line 12: points[4].head_reduction: 2 is given for a setting that is searched only when head_layers is 2; "
            "leave it out",
            "line 13: points[5]: {'lr': 0.0015} breaks the constraint 'lr < 1e-3'",
            "line 14: points[6].lr: 'word' is not a number",
            "line 15: points[7]: 0.0005 must be a mapping (name: value)",
        ],
    ),
    "points that are there already": (
        f"version: 1\nsearch:\n{LR}{LAYERS}points:\n"
        "  - {lr: 1e-3}\n  - {head_layers: 1}\n  - {head_layers: 1, lr: 0.001}\n  - {lr: 1e-3, head_layers: 2}\n",
        [
            "line 7: points[1]: is the first trial again; keep one",
            "line 8: points[2]: is points[0] again; keep one",
        ],
    ),
    "more points than trials": (
        f"version: 1\nsearch:\n{LR}points: [{{lr: 1e-3}}, {{lr: 2e-3}}]\nbudget: {{trials: 2}}\n",
        ["line 5: budget.trials: 2 is too few for the first trial and 2 of points; set 3 or more, or take points out"],
    ),
    "lists that are none": (
        f"version: 1\nsearch:\n{LR}constraints: lr < 1\npoints: {{lr: 1e-3}}\nwarm_start: 3\n",
        [
            "line 4: constraints: 'lr < 1' must be a list",
            "line 5: points: {'lr': 0.001} must be a list",
            "line 6: warm_start: 3 must be text; quote it if it looks like a number",
        ],
    ),
    "a grid without end": (
        f"version: 1\nsearch:\n{LR}  phase1_epochs: {{type: choice, values: [250]}}\n"
        "  width: {type: int, low: 4, high: 4096}\n  batch_size: {type: choice, values: [32]}\n"
        "  epochs: {type: int, low: 1, high: 90000}\nscheduler: {type: none}\nsearcher: {type: grid}\n",
        [
            "line 3: search.lr.type: 'float' has no end of values, and searcher.type is grid; "
            "write {type: choice, values: [...]}",
            "line 7: search.epochs: (1 to 90000) has more than the 5,000 values of a grid; "
            "write {type: choice, values: [...]}",
        ],
    ),
    "a grid that is too large": (
        "version: 1\nsearch:\n  fusion_nets: {type: int, low: 1, high: 64}\n  width: {type: int, low: 4, high: 400}\n"
        "searcher: {type: grid}\n",
        [
            "line 5: searcher.type: 'grid' would try more than 5,000 configurations; "
            "search fewer values, or set hyperopt or random"
        ],
    ),
    "sections that contradict themselves": (
        "version: 1\nevaluation: {folds: 3, first_folds: 3}\nscheduler: {type: none, mode: promote}\n"
        f"search:\n{LR}",
        [
            "line 2: evaluation.first_folds: 3 is not fewer than the 3 folds of a whole trial; "
            "set fewer, or leave it out",
            "line 3: scheduler.mode: 'promote' needs rungs to wait at, and scheduler.type none has none; "
            "set scheduler.type to asha",
        ],
    ),
    "faults in places that depend on each other": (
        "version: 1\nsearch:\n  head_layers: {type: choice, values: [1, 7]}\n"
        f"{REDUCTION}{LR}constraints: [head_layers == 1 or lr < 1e-3, lr <]\n"
        "points: [{head_layers: 2}, {lr: 9.0}]\n",
        [
            "line 3: search.head_layers.values[1]: 7 is outside 1 to 2",
            "line 6: constraints[1]: 'lr <' cannot be read beyond its end; write for example lr < 1e-3 or tau_init > 2",
            "line 7: points[1].lr: 9.0 is outside the range that is searched, 0.0001 to 0.002",
        ],
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_space_is_refused_with_every_fault_and_its_line(case: str, tmp_path: Path) -> None:
    text, expected = MALFORMED[case]
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SpaceError) as caught:
        load_space(tmp_path / "bad.yaml")
    head, *lines = str(caught.value).splitlines()
    assert [line.strip() for line in lines] == expected
    count = "1 fault" if len(expected) == 1 else f"{len(expected)} faults"
    assert head == f"{tmp_path / 'bad.yaml'}: {count}, nothing was started"


def test_a_fault_carries_its_line_path_value_rule_and_near_miss(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\n\nscheduler:\n  type: ash\n")
    with pytest.raises(SpaceError) as caught:
        load_space(tmp_path / "bad.yaml")
    fault = next(fault for fault in caught.value.faults if fault.path == "scheduler.type")
    assert (fault.line, fault.value, fault.rule, fault.hint) == (
        4,
        "ash",
        "must be 'asha' or 'none'",
        "did you mean `asha`?",
    )


def test_a_binary_file_is_refused_at_the_byte_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "shard.parquet").write_bytes(b"PAR1\n\xff\xfe")
    with pytest.raises(SpaceError, match="line 2: not a text file: byte 0xff is not UTF-8"):
        load_space(tmp_path / "shard.parquet")


def test_a_control_character_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_bytes(b"version: 1\nmodel: pam\x00fn\n")
    with pytest.raises(SpaceError, match="line 2: character 0x00 does not belong in a text file"):
        load_space(tmp_path / "odd.yaml")


def test_a_file_too_large_for_a_space_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_text("#" * 1_000_001)
    with pytest.raises(SpaceError, match="--space: the file is larger than 1,000,000 bytes"):
        load_space(tmp_path / "big.yaml")


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("version: " + "[" * 5000)
    with pytest.raises(SpaceError, match="values are nested too deep to be a space file"):
        load_space(tmp_path / "deep.yaml")


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(SpaceError, match="--space: the file cannot be looked up: File name too long"):
        load_space("s" * 300)


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="--space: there is no file rgg.yaml .*; did you mean `rg.yaml`\\?"):
        load_space("rgg.yaml")
    (tmp_path / "skating.yaml").write_text("version: 1\n")
    with pytest.raises(SpaceError, match="did you mean `skating.yaml`\\?"):
        load_space(tmp_path / "skateing.yaml")


def test_a_missing_file_with_no_near_name_lists_the_packaged_spaces() -> None:
    with pytest.raises(SpaceError, match="packaged spaces are .*fisv.yaml, .*rg.yaml"):
        load_space("qqqqqq.yaml")


def test_a_folder_is_no_space_file(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="--space: the file cannot be read: Is a directory"):
        load_space(tmp_path)
