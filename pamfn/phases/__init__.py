"""Training (Sec. III-F, IV-C): phase 1, phase 2 and one-stage training as generators of reports."""
