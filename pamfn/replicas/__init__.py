"""Layers, noise and optimisers with a leading replica axis R: many networks of one shape as one batched program.

Legend of the shape suffixes: R replicas, F FusionNets of all replicas in one flat axis, B videos, T time steps,
M modalities, K FusionNets of one replica, H heads, J tokens, D features.
"""
