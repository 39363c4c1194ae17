"""The probe: what runs inside the target's own process and sees its requests, statements and calls.

It does three things: `inject` builds the environment that carries it into any Python process the target
starts, `boot/` is what is found there, and what it saw is written as JSON lines, one file a process.

It refuses to import anything of perfcrew or to change what the target does: a hook that fails leaves a note
and the target's call goes on; the target's own packages always win over the probe's.
"""
