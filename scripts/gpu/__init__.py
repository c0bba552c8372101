"""Training on a GPU that is lent for minutes: what travels there, what runs there, and what comes back
(docs/training.md).
"""
