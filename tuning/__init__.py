"""Distributed tuning of PAMFN: Ray Tune schedules the trials, ASHA stops the weak ones, MLflow keeps what they did."""
