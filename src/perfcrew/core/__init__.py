"""The nouns: frozen models, metrics and units, prose with cited figures, errors.

Refuses: input and output, decisions, and knowledge of any other room.
"""
