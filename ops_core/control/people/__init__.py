"""People of the control plane: who they are, how they prove it, and what they may ask for and approve.

An operator is one name and one Ed25519 key, for good. A token speaks for an operator at the server and is good for some
scopes and some days; a signature speaks for the person alone, and is what a window needs two of.
"""

from ops_core.control.people.keys import make_key, public_key_of, sign, signature_ok
from ops_core.control.people.names import fold_name
from ops_core.control.people.operators import (
    Added,
    Operator,
    OperatorSeen,
    add_operator,
    known_operator,
    list_operators,
    operator_of_key,
    revoke_operator,
)
from ops_core.control.people.tokens import (
    SCOPES,
    SCOPES_DEFAULT,
    Forbidden,
    Issued,
    TokenSeen,
    Unauthenticated,
    authenticate,
    issue_token,
    list_tokens,
    revoke_token,
)
from ops_core.control.people.windows import approve_window, keys_problem, note_expiry, request_window, revoke_window

__all__ = [
    "SCOPES",
    "SCOPES_DEFAULT",
    "Added",
    "Forbidden",
    "Issued",
    "Operator",
    "OperatorSeen",
    "TokenSeen",
    "Unauthenticated",
    "add_operator",
    "approve_window",
    "authenticate",
    "fold_name",
    "issue_token",
    "keys_problem",
    "known_operator",
    "list_operators",
    "list_tokens",
    "make_key",
    "note_expiry",
    "operator_of_key",
    "public_key_of",
    "request_window",
    "revoke_operator",
    "revoke_token",
    "revoke_window",
    "sign",
    "signature_ok",
]
