"""What a study will take, before it starts: epochs, branches, time, bytes, and what of it fits this machine."""
