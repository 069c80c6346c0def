"""The live cycle of the operator's host: what the bundle in force says is to be done, previewed on the console alone.

`judging` says what it comes to, `preview` what people read, `run` carries one out, `receipts` reads the latest one
back, `snapshots` finds what was recorded by its reference. Nothing here sends anything to anybody outside.
"""
