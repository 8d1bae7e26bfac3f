"""Names that a modality must not have."""

from __future__ import annotations

from torch import nn

from pamfn.data.schema import MODULE_WORDS


def test_no_branch_can_be_called_what_a_torch_module_calls_its_own() -> None:
    words = {name for name in dir(nn.ModuleDict()) if not name.startswith("_")}
    assert words <= MODULE_WORDS
