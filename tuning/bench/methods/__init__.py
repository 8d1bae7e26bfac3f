"""Our search and its peers, one file each, behind one interface: ``tuning.bench.simulation.Method``."""
