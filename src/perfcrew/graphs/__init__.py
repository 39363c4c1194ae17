"""The workflows in LangGraph: state, nodes, one file a graph.

State holds ids and small values; everything measured lies in the ledger, in slots that are filled once, so that a
node may run again after a crash. Refuses: judging, and keeping live handles in state (they are in the context).
"""
