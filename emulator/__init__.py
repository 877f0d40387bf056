"""A local AWS on this machine: the pinned ministack, its gaps bridged, real containers behind it.

`python -m emulator up` starts an instance, `down` removes every trace of it. The modules a newcomer
reads first: `lifecycle` (start and stop), `gateway` (the process that runs), `bridges` (what is added to
ministack, one gap a module), `ledger` (what was created, what was only recorded).
"""
