"""The authors' released checkpoints: their state dicts read, matched to the released preset, and made networks."""
