"""`docs/write-a-plugin.md` does what it says: its files are written and its commands run, in the order of the page."""

import os
import re
import socket
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"
ADDRESS = "127.0.0.1:8500"
"""Where the page's server listens; here it is given another port."""
BLOCK = re.compile(r"^```(python|toml|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """An empty folder, and the environment of a virtual environment that sees what is installed here."""
    folder = tmp_path_factory.mktemp("genservice-blobs")
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
    return folder, {**os.environ, **settings, **pip, **ports, "PYTHONPATH": "", "PIP_CONFIG_FILE": os.devnull}


def test_the_page_leads_from_an_empty_folder_to_a_served_model(fresh):
    folder, environment = fresh
    server = None
    printed = ""
    page = PAGE.read_text()
    assert page.count(ADDRESS) == 2
    address = free_address()
    page = page.replace(ADDRESS, address)
    # The commands that name no server ask the one at that address, which is their default.
    environment = {**environment, "GENSERVICE_TARGET": address}
    try:
        for language, block in BLOCK.findall(page):
            if language != "bash":
                path = folder / block.split("\n", 1)[0].removeprefix("# ")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block)
            elif "genservice serve" in block:
                server = subprocess.Popen(
                    _as_module(block).split(), cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
                )
                assert any("state=READY" in line for line in server.stderr), "the model was never ready"
            else:
                for command in block.splitlines():
                    ran = subprocess.run(
                        _as_module(command).split(), cwd=folder, env=environment, capture_output=True, text=True
                    )
                    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
                    printed += ran.stdout
    finally:
        if server is not None:
            server.terminate()
            server.communicate(timeout=60)
    assert server.returncode == 0
    assert "blobs" in printed
    assert "mean [2. 1.]" in printed
    assert "named ['east', 'east', 'east']" in printed
    assert (folder / "points.npz").exists()


def free_address():
    """An address whose port was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def _as_module(command):
    """The command with the environment's own Python, which scripts seen through `here.pth` do not use."""
    return re.sub(r"^(genservice|pytest|pip)\b", r"python -m \1", command)
