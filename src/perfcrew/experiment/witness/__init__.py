"""What runs in the target's interpreter beside its tests and says how each of them ended.

Refuses: to import anything of perfcrew, to need more than the standard library, and to change what a test does.
"""
