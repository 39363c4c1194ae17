"""The measuring nodes, one file each: ask an instrument, put what came into a slot, tell how far it is.

Refuses: judging what it measured. A slot that is filled is passed over, so that a node may run again.
"""
