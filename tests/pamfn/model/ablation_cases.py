"""The ablations of Tables VI to VIII, with the parameters that each has beside its branches', counted by hand."""

from __future__ import annotations

from small_networks import network

from pamfn.model.network import PAMFN
from pamfn.recipe import recipe

SMALL = {"width": 8, "fusion_nets": 2}
D, M, K, HIDDEN = 8, 3, 2, 4
MSFD, CMFD = 3 * (D * D + D), 2 * D * D + D + 2 * (D * D + D)  # query, key and value
POLICY = M * D * D + D + K * (D + 1)
NETS = M * (D * D + 3 * D) + K * (M * D * HIDDEN + HIDDEN + HIDDEN * M + M + 2 * (3 * D * D + 3 * D))
LENGTHS = [[9, 4, 16, 21, 12, 7], [4, 21, 3, 16, 8, 13]]


def mixed(inputs: int) -> int:
    """Returns the parameters of a convolution block: two convolutions and a shortcut, each with its batch norm."""
    return 3 * inputs * D + 3 * D * D + inputs * D + 3 * (D + 2 * D)


FULL = 3 * (mixed(3 * D) + MSFD + NETS + POLICY + CMFD) + (3 * D + 1) + 1  # three stages, head, temperature
CASES: dict[str, tuple[dict[str, object], int]] = {  # settings, and parameters beside the branches'
    "full": ({}, FULL),
    "without CMFD": ({"cmfd": "none"}, 3 * (mixed(2 * D) + MSFD) + 2 * D + 1),
    "without MSFD": (
        {"msfd": "none"},
        3 * (mixed(2 * D) + NETS + POLICY + CMFD - D * D) + 2 * D + 1 + 1,  # CMFD's query has half the inputs
    ),
    "weighted CMFD": ({"cmfd": "weighted"}, FULL - 3 * (CMFD - K)),
    "weighted MSFD": ({"msfd": "weighted"}, FULL - 3 * (MSFD - M)),
    "both weighted": ({"msfd": "weighted", "cmfd": "weighted"}, FULL - 3 * (MSFD - M + CMFD - K)),
    "unranked": ({"policy": "unranked"}, FULL - 3 * (CMFD - (D * D + D))),  # the value map alone
    "unranked, weighted": ({"policy": "unranked", "cmfd": "weighted"}, FULL - 3 * CMFD),
    "free": ({"policy": "free"}, FULL - 3 * POLICY - 1),
    "first stage": (
        {"fusing_stages": 1},
        mixed(3 * D) + MSFD + NETS + POLICY + CMFD + mixed(3 * D) + mixed(D) + (D + 1) + 1,
    ),
    "first two stages": (
        {"fusing_stages": 2},
        2 * (mixed(3 * D) + MSFD + NETS + POLICY + CMFD) + mixed(3 * D) + (D + 1) + 1,
    ),
    "first stage without MSFD": (
        {"fusing_stages": 1, "msfd": "none"},
        mixed(2 * D) + NETS + POLICY + CMFD - D * D + mixed(2 * D) + mixed(D) + (D + 1) + 1,
    ),
}
ABLATIONS = {name: settings for name, (settings, _) in CASES.items() if name != "full"}


def made_of(settings: dict[str, object], preset: str = "paper") -> PAMFN:
    """Returns a stirred network whose audio branch is trained."""
    made = network(recipe(preset, **{**SMALL, **settings}))
    made.fix(["rgb", "flow"])
    return made
