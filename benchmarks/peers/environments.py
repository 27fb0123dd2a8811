"""Where the peers' virtual environments are, and how they are made."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "GENSERVICE_PEERS"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server.

    Args:
        name: Its name here.
        requirement: What pip installs.
        pythons: Versions of Python that it runs on, the preferred first.
    """

    name: str
    requirement: str
    pythons: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Its virtual environment."""
        return peers_folder() / self.name

    @property
    def python(self) -> Path:
        """The interpreter of its virtual environment."""
        return self.folder / "bin" / "python"

    @property
    def installed(self) -> bool:
        """Whether its virtual environment is whole."""
        return self._mark.is_file()

    def environment(self) -> dict[str, str]:
        """Variables that it needs: where the shared library of its Python is, for processes that embed it."""
        command = [self.python, "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
        folder = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [folder, os.environ.get("LD_LIBRARY_PATH")]))}

    @property
    def _mark(self) -> Path:
        return self.folder / f".{self.requirement}"

    def install(self) -> None:
        """Makes the virtual environment.

        Raises:
            LookupError: There is no such Python.
            subprocess.CalledProcessError: pip could not install it.
        """
        found = next((path for version in self.pythons if (path := find_python(version))), None)
        if found is None:
            raise LookupError(f"{self.name} needs Python {' or '.join(self.pythons)}, and there is none")
        subprocess.run([found, "-m", "venv", "--clear", self.folder], check=True)
        subprocess.run([self.python, "-m", "pip", "install", "--quiet", self.requirement], check=True)
        self._mark.touch()


# With 3.13 pip compiles NumPy 1, which it asks for, and of which the others have a wheel.
TRITON = Peer("triton", "nvidia-pytriton==0.7.0", ("3.11", "3.12", "3.13"))
MLSERVER = Peer("mlserver", "mlserver==1.7.1", ("3.12", "3.11"))
PEERS = (TRITON, MLSERVER)


def peers_folder() -> Path:
    """The folder of the virtual environments: $GENSERVICE_PEERS, or one in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(VARIABLE) or Path(cache, "genservice", "peers"))


def find_python(version: str) -> Path | None:
    """An interpreter of a version such as `3.13`: pyenv's, or else one on the PATH."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [*sorted(root.glob(f"versions/{version}.*/bin/python")), shutil.which(f"python{version}")]
    for candidate in filter(None, candidates):
        asked = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
            capture_output=True,
            text=True,
            check=False,
        )
        # pyenv has shims for versions that are not chosen, which only complain.
        if asked.stdout.strip() == version:
            return Path(candidate)
    return None
