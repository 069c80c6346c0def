"""How everything stands: one overall status, and the risks behind it, each with its evidence and what to type.

`facts` reads what was recorded, `risks` says what it means and is pure, `summary` records what that comes to.
"""
