"""Calls that are wrong, with files that are damaged, on machines that are full: every one must end in one message."""
