"""What is promised and what was kept: availability, error budget and recovery, from what was recorded.

`periods`, `intervals`, `availability` and `recovery` are arithmetic: pure, handed the time. `sights` and
`happened` read the records, `figures` puts both together, `documents` and `charts` tell it, `rollout` acts on it.
"""
