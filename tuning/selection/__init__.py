"""The end of a study: the best configurations trained on the whole training split, and the test split opened once.

``choosing`` says which and ``luck`` how much of their scores is, ``openings`` keeps the record of the test split,
``training`` and ``judging`` are of the final networks, ``words`` says it in lines.

The order is the point: choose by held-out folds, record the opening, train with the test split scored on the way,
which influences nothing, judge the networks of the last epoch.
"""
