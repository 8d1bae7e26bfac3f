"""Highlight detection (Sec. IV-G): how well detected highlights are ranked, as YouTube Highlights measures it."""
