"""The command `ops`: one module per verb, no decisions of its own.

`main` turns every foreseen failure into its message and its exit code: 0 done, 1 findings, 2 refused by a guard,
3 operational failure, 64 usage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

DEBUG_VARIABLE = "OPS_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ops` with the arguments given (default: those of the process) and return its exit code."""
    from ops_core.cli.app import build_app
    from ops_core.cli.output import fail
    from ops_core.errors import EXIT_FAILED, EXIT_USAGE, OpsError, UsageError

    arguments = list(sys.argv[1:] if argv is None else argv)
    # Errors have to be JSON too, even where the arguments cannot be parsed.
    as_json = "--json" in arguments
    try:
        result = build_app(arguments, completing="_OPS_COMPLETE" in os.environ)(
            arguments, prog_name="ops", standalone_mode=False
        )
        sys.stdout.flush()
    except OpsError as error:
        return fail(error, as_json=as_json)
    except KeyboardInterrupt:
        return fail(OpsError("interrupted"), as_json=as_json)
    except BrokenPipeError:
        # Whoever read our output has gone: nothing more can be said, and the interpreter must not try to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001  # a traceback that reaches a person is a bug
        if type(error).__name__ in {"Abort", "Exit"}:
            return int(getattr(error, "exit_code", EXIT_FAILED))
        if not hasattr(error, "format_message"):
            return _unforeseen(error, as_json=as_json)
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")
            return EXIT_USAGE
        # What typer raises when the arguments do not fit; its classes are not public, their method is.
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "ops"
        return fail(UsageError(error.format_message(), next_step=f"{path} --help"), as_json=as_json)
    return int(result or 0)


def _unforeseen(error: Exception, *, as_json: bool) -> int:
    """A defect of ours: say so in one line, and how to see more."""
    from ops_core.cli.output import fail
    from ops_core.errors import OpsError

    if os.environ.get(DEBUG_VARIABLE):
        raise error
    what = f"this is a defect of ops: {type(error).__name__}: {error}"
    return fail(
        OpsError(what, next_step=f"run it again with {DEBUG_VARIABLE}=1 and report the traceback"), as_json=as_json
    )


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())
