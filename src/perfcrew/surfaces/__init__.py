"""Where people meet perfcrew: the command line.

Refuses: measuring, judging and writing prose; a surface only asks for it and shows what came.
"""
