"""Faults on purpose: a Ray cluster, MLflow and PostgreSQL in network namespaces of one machine, and what kills them.

``network`` makes the machines, ``cluster`` and ``services`` what runs on them, ``study`` launches and resumes,
``blows`` strikes, and ``verdict`` counts what was lost, doubled and done twice.
``python -m benchmarks.faults --help`` runs it.
"""
