import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

import genservice_client

README = Path(__file__).parents[1] / "README.md"


def test_what_is_exported_is_pinned_and_sorted():
    assert genservice_client.__all__ == sorted(genservice_client.__all__)
    public = {name for name, value in vars(genservice_client).items() if isinstance(value, type)}
    assert set(genservice_client.__all__) == public


def test_it_is_typed():
    assert files("genservice_client").joinpath("py.typed").is_file()


def test_importing_it_loads_nothing_of_the_server():
    forbidden = [
        "tensorflow",
        "keras",
        "pydantic",
        "pluggy",
        "msgspec",
        "PIL",
        "tqdm",
        "genservice.errors",
        "genservice.model",
        "genservice.server",
    ]
    script = f"import sys, genservice_client; print([name for name in {forbidden} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    "module", sorted(Path(genservice_client.__file__).parent.glob("*.py")), ids=lambda path: path.name
)
def test_a_module_is_small(module):
    assert len(module.read_text().splitlines()) <= 250


def test_the_code_of_the_readme_works(running, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ann.png", "bob.png"):
        Image.new("L", (3, 3)).save(tmp_path / name)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(re.sub(r"localhost:\d+", running.target, block), {})
