"""Who may do what: AWS Identity and Access Management, evaluated as AWS documents it.

Everything here is pure: `policies` reads documents, `evaluation` decides, `requests` says which actions a request is,
`reference` is what AWS publishes about its actions, `record` keeps what was decided. What the running emulator makes of
it is in `emulator.bridges.iam`.
"""
