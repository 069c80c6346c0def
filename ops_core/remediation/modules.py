"""Modules of somebody's own, run by their path and under private names, so that no folder competes with a package.

A module that is broken is told with its file and line: at 3 a.m. nobody wants to read a traceback.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from ops_core.errors import ConfigError, OpsError


def load_module(path: Path, kind: str) -> ModuleType:
    """Run a module of somebody's own under a private name that says what it is for.

    Raises:
        ConfigError: it cannot be run; the message names file and line.
    """
    token = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = f"_ops_{kind}_{token}_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path.name} cannot be loaded", where=f"{path}:1")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while the module is still being made.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except SyntaxError as error:
        where = f"{error.filename or path}:{error.lineno or 1}"
        raise ConfigError(f"{path.name} is not valid Python: {error.msg}", where=where) from None
    except OpsError as error:
        where = line_of(error, path) or f"{path}:1"
        raise ConfigError(error.what, where=where, allowed=error.allowed, next_step=error.next_step) from None
    except BaseException as error:  # noqa: BLE001 - a module may do anything when it is loaded, also exit
        where = line_of(error, path) or f"{path}:1"
        raise ConfigError(f"{path.name} cannot be loaded: {said(error)}", where=where) from None
    finally:
        sys.modules.pop(name, None)
    return module


def line_of(error: BaseException, path: Path) -> str:
    """The innermost line of `path` on the way to the error."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            found = f"{path}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def said(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
