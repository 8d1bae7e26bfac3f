"""PAMFN, Section III of the paper, one file a part; everything over the replica axis."""
