"""`ops decide --prove`: what holds for every combination of what can be seen, or the smallest exception to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_core.cli.options import clock
from ops_core.cli.output import note, say, say_fitted, say_json
from ops_core.errors import EXIT_DONE, EXIT_FINDINGS

if TYPE_CHECKING:
    from ops_core.config import Settings
    from ops_core.decision.proof import Proof


def prove_table(settings: Settings, *, json: bool) -> int:
    """Prove the table in force, and say what was proven.

    Raises:
        ConfigError: a file of the table or a check cannot be read, or breaks the format.
    """
    from ops_core.decision.inforce import raised_findings, table_in_force
    from ops_core.decision.problems import TableError
    from ops_core.decision.proof import prove
    from ops_core.decision.validate import validate
    from ops_core.remediation.catalogue import load_catalogue

    table, raised = table_in_force(settings), raised_findings(settings)
    began = clock().monotonic()
    proof = prove(table, raised)
    took_s = clock().monotonic() - began
    refused = ""
    try:
        validate(table, raised, load_catalogue(settings).names())
    except TableError as error:
        refused = str(error)
    if json:
        files = [str(file.path) for file in table.files]
        say_json({**proof.as_dict(), "took_s": round(took_s, 3), "files": files, "refused": refused})
    else:
        _tell(proof, took_s, [str(file.path) for file in table.files])
        if refused:
            note(refused)
    return EXIT_DONE if proof.holds and not refused else EXIT_FINDINGS


def _tell(proof: Proof, took_s: float, files: list[str]) -> None:
    from ops_core.decision.proof import Law

    broken = {one.law: one for one in proof.counterexamples}
    for file in files:
        say(f"decision table {file}")
    say(f"{proof.rows} rows, {proof.codes} findings, {proof.facts} facts")
    say()
    for law in Law:
        word = "not proven" if proof.too_large else "proven"
        say_fitted(f"  {'NO' if law in broken else word:10}  ", law.value)
        if law in broken:
            for line in broken[law].told:
                say(f"              {line}")
    for group in proof.too_large:
        say(f"  too many combinations of findings that rows name together: {', '.join(group.codes)}")
        say("              next  name fewer of them in rows of more than one")
    say()
    everything = f"all 3^{proof.codes} x 2^{proof.facts}"
    say(f"{proof.combinations} combinations decided in {took_s:.1f} s; they stand for {everything}")
    say(f"{len(proof.by_place)} pairs of rows that do not do the same are told apart by their place in the file alone")
