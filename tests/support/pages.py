"""Follows a page of the documentation: writes its files and runs its commands, in the order of the page."""

import os
import re
import shlex
import socket
import subprocess
import sys
import sysconfig
import threading
import venv
from pathlib import Path

BLOCK = re.compile(r"^```(python|toml|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = "127.0.0.1:8500"
"""Where a page's server listens; here it is given another port."""


def fresh_environment(tmp_path_factory):
    """The environment of a new virtual environment that sees what is installed here; nothing is fetched."""
    environment = tmp_path_factory.mktemp("venv")
    venv.create(environment, with_pip=True)
    purelib = sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})
    here = sysconfig.get_path("purelib")
    # addsitedir, so that editable installations here are seen too.
    Path(purelib, "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    scripts = f"{environment / 'bin'}{os.pathsep}{Path(sys.executable).parent}"
    settings = {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Nothing is fetched: what the page's packages need is here already.
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_FIND_LINKS": ""}
    ports = {"GENSERVICE_SERVER__HTTP_LISTEN": "127.0.0.1:0"}
    return {**os.environ, **settings, **pip, **ports, "PYTHONPATH": "", "PIP_CONFIG_FILE": os.devnull}


class Reader:
    """Somebody who does what pages say, in a folder.

    Args:
        folder: Where; files are written and commands run there.
        environment: Of the commands.

    Attributes:
        printed: What the commands have printed.
        address: Where the server listens that a page starts.
    """

    def __init__(self, folder, environment):
        self.printed = ""
        self.address = _free_address()
        self._folder = folder
        self._models = set()
        self._server = self._log = None
        # The commands that name no server ask the one at that address, and a server listens there that is told nothing.
        ours = {"GENSERVICE_TARGET": self.address, "GENSERVICE_SERVER__LISTEN": self.address}
        self._environment = {**environment, **ours}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._server is None:
            return
        self._server.terminate()
        # Read to the end: a server whose pipe is full would wait for ever.
        self._server.communicate(timeout=60) if self._log is None else self._log.join(timeout=60)
        assert self._server.wait(timeout=60) == 0
        self._server.stderr.close()

    def follow(self, page):
        """Writes the files of a page, and runs its commands; a server goes on until the reader leaves."""
        for language, block in BLOCK.findall(page):
            if language != "bash":
                self.write(block.split("\n", 1)[0].removeprefix("# "), block)
                continue
            for command in block.replace("\\\n", " ").splitlines():
                if command.startswith("genservice serve"):
                    self._serve(command)
                elif command:
                    self.run(command)

    def write(self, path, text):
        """Writes a file."""
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace(ADDRESS, self.address))

    def run(self, command):
        """Runs a command, which has to succeed."""
        self._models.update(re.findall(r"--model (\S+)", command))
        ran = subprocess.run(
            _as_module(command), cwd=self._folder, env=self._environment, capture_output=True, text=True
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        self.printed += ran.stdout

    def _serve(self, command):
        """Starts the server, and waits for the models that were made before."""
        self._server = subprocess.Popen(
            _as_module(command.replace(ADDRESS, self.address)),
            cwd=self._folder,
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting, log = set(self._models), []
        while waiting and (line := self._server.stderr.readline()):
            log.append(line)
            assert "state=FAILED" not in line, line
            if "state=READY" in line:
                waiting.discard(re.search(r"model=(\S+)", line)[1])
        assert not waiting, f"never ready: {waiting}\n{''.join(log)}"
        self._log = threading.Thread(target=self._server.stderr.read, daemon=True)
        self._log.start()


def _free_address():
    """An address whose port was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def _as_module(command):
    """The command with the environment's own Python, which scripts seen through `here.pth` do not use."""
    words = shlex.split(command)
    return ["python", "-m", *words] if words[0] in ("genservice", "pytest", "pip") else words
