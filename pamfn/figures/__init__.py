"""The paper's figures of what a network does, each a pure function from arrays to a figure in a module of its own."""
