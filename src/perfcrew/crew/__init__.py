"""The crew: who the specialists are, what they are asked, and the rule book that thinks where no model does.

Refuses: measuring anything, and concluding without evidence ids.
"""
