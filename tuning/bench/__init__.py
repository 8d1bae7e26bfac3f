"""The outside benchmark: our search and its peers on LCBench's learning curves, on one clock, in one run.

python -m tuning.bench --data ../shared/data/lcbench --json figures.json
"""
