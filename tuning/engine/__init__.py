"""The engine: many trials' replicas in one process on one device, and what has to be known of it elsewhere.

``actor`` is that process, ``residence`` what is in it, ``device`` its loop, ``thin`` the trial as Ray Tune sees it, and
``pool`` the driver's side.
"""
