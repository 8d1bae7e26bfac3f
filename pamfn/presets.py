"""What a preset says otherwise than a recipe's defaults, which are the paper's for scores of videos."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {
        "cmfd_sign": "positive",
        "policy_layers": 1,
        "fusion_design": "trunk",
        "fusion_activation": "relu",
        "query_layers": 2,
        "head_layers": 2,
        "fixed_branches": "drifting",
        "mixed_start": "computed",
        "tau_form": "plain",
        "evaluation_noise": True,
        "weight_decay": 0.01,
        "clip_norm": 2.0,
        "phase1_clip_norm": 2.0,
    },
    "highlights": {  # K and the learning rate of phase 2 are the defaults
        "task": "highlights",
        "padding": "mask",
        "batch_size": 1,
        "epochs": 300,
        "phase1_epochs": 300,
        "phase1_optimizer": "adamw",
        "phase1_lr": 5e-4,
    },
}
