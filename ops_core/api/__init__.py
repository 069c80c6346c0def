"""The control plane over HTTP: routes only. Everything that is decided is decided on the floors below.

`app.create_app` puts it together: `guarding` stands before every request, `authority` says which acts need whose token,
`bodies` says what may be sent, `control_routes` and `ops_routes` answer.
"""
