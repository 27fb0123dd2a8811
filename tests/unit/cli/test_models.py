import json


def test_models_lists_what_is_served(run, server: str) -> None:
    done = run("models", "--json", "--server", server)
    assert done.exit_code == 0, done.output
    rows = {row["model"]: row for row in json.loads(done.stdout)}
    gan = rows["toy-gan"]
    assert (gan["version"], gan["state"], gan["family"], gan["default"]) == (1, "READY", "toy-garments", True)
    assert gan["verbs"] == ["sample"]
    assert gan["labels"] == ["stable"]
    assert gan["classes"] == ["hat", "glove", "scarf"]
    assert "A toy." in gan["card"]
    assert "| accuracy | 0.5 |" in gan["card"]
    assert rows["toy-cnn"]["verbs"] == ["classify", "embed"]


def test_the_table_has_a_row_for_each_version(run, server: str) -> None:
    table = run("models", "--server", server).stdout
    assert "toy-gan" in table
    assert "1 (default)" in table
    assert "classify, embed" in table
