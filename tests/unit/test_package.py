import subprocess
import sys

import pytest

import genservice

HEAVY = ("tensorflow", "keras", "grpc", "pydantic", "pluggy", "numpy")


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_importing_genservice_loads_nothing_heavy():
    assert run(f"import sys, genservice; print(sorted(set({HEAVY}) & set(sys.modules)))") == "[]\n"


def test_the_whole_author_api_loads_neither_tensorflow_nor_grpc():
    script = "import sys; from genservice import *; print(sorted({'tensorflow', 'keras', 'grpc'} & set(sys.modules)))"
    assert run(script) == "[]\n"


def test_what_is_exported_is_sorted():
    assert genservice.__all__ == sorted(genservice.__all__)


@pytest.mark.parametrize("name", genservice.__all__)
def test_each_exported_name_resolves_and_is_listed(name):
    assert getattr(genservice, name) is getattr(genservice, name)
    assert name in dir(genservice)


def test_a_name_that_is_not_exported_is_refused():
    with pytest.raises(AttributeError, match="module 'genservice' has no attribute 'Generater'"):
        _ = genservice.Generater


def test_the_exported_names_are_those_that_authors_rely_on():
    assert set(genservice.__all__) == {
        "ANY_LABEL",
        "Classifier",
        "Comparer",
        "DataSet",
        "Determinism",
        "Embedder",
        "FitRun",
        "Generator",
        "IterativeGenerator",
        "Label",
        "LabellingScorer",
        "Latent",
        "Model",
        "Noise",
        "Options",
        "Predictor",
        "Retriever",
        "ScoreKind",
        "Scorer",
        "Sequences",
        "Signature",
        "Static",
        "Tagger",
        "TensorSpec",
        "TextGenerator",
        "hookimpl",
        "load_weights",
        "save_weights",
    }
