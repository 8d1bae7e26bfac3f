"""The engine: many trials' replicas in one process on one device, and what has to be known of it elsewhere.

``actor`` is that process, ``thin`` the trial as Ray Tune sees it, ``pool`` the driver's side.
"""
