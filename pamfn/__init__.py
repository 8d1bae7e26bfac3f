"""PAMFN, the Progressive Adaptive Multimodal Fusion Network: data, model and two-phase training over a replica axis."""
