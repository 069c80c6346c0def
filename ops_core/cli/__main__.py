"""`python -m ops_core.cli`: the command `ops` for whoever starts it by its interpreter."""

from ops_core.cli import run

if __name__ == "__main__":
    run()
