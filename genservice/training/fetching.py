"""Fetches a data set into its folder, whole or not at all."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp

from genservice.errors import DataError

Fetcher = Callable[[Path], None]
"""Puts the files of a data set into an empty folder, or raises a DataError."""


def fetch(
    home: Path,
    fetchers: Sequence[Fetcher],
    *,
    check: Callable[[Path], object],
    complete: Callable[[Path], bool],
    title: str,
    advice: str,
) -> None:
    """Fetches a data set.

    Args:
        home: Its folder, which is not there or not complete.
        fetchers: Ways to fetch it, tried in turn.
        check: Reads a folder, and raises a DataError where it is damaged.
        complete: Says whether a folder has all files.
        title: Name of the data set, for the error.
        advice: What people can do where it cannot be fetched.

    Raises:
        DataError: It cannot be had; the message says why, and what to do.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for fetcher in fetchers:
        draft = Path(mkdtemp(prefix=f".{home.name}.", suffix=".partial", dir=home.parent))
        try:
            fetcher(draft)
            check(draft)
            draft.chmod(0o755)
            draft.rename(home)
        except DataError as failure:
            failures.append(failure.message)
        except OSError as failure:
            # Somebody else has fetched it meanwhile; a rename replaces no folder that has files in it.
            if complete(home):
                return
            raise DataError(f"{home} cannot be written: {failure.strerror}. Remove it and try again.") from failure
        else:
            return
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    raise DataError(f"{title} is not here and could not be fetched ({'; '.join(failures)}). {advice}")
