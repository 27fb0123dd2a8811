"""`make bench-peers`: makes the virtual environments of the peers that are missing."""

import subprocess
import sys

from benchmarks.peers.environments import PEERS


def main() -> int:
    """Installs what is missing.

    Returns:
        1 where a peer could not be installed.
    """
    failed = False
    for peer in PEERS:
        try:
            if not peer.installed:
                peer.install()
            print(f"{peer.requirement}: {peer.folder}")
        except (LookupError, subprocess.CalledProcessError) as fault:
            print(f"{peer.requirement}: {fault}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
