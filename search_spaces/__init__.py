"""The space files that come with the project: one study each, headed by the command that runs it."""
