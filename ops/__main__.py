"""`python -m ops`, installed as `suppliers`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line, and end by Ctrl-C from the first moment on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ops.command_line import run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
