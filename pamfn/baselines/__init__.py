"""The comparison models of the paper's tables, one file each; ``pamfn.catalogue`` lists them."""
