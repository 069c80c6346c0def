"""What people read: view models of an incident, and the pure functions that turn them into Markdown and terminal lines.

Nothing here looks, decides or acts. A report is a function of its view and the language: rendered twice it is the same
to the byte, and every statement in it cites evidence that the view holds.
"""
