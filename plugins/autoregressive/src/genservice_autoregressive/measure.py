"""Measures how well a model predicts text it was not trained on: `python -m genservice_autoregressive.measure`."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from genservice_autoregressive.family import Transformer

MODELS = Path(__file__).parent / "models"
COMMAND = "python -m genservice_autoregressive.measure"
FOLDER = click.Path(file_okay=False, path_type=Path)
BATCH = 16


def nats_per_character(model: Transformer, texts: Sequence[str]) -> float:
    """The mean of -log p(x_t | what is before it in its excerpt).

    Each text is cut into consecutive excerpts of as many characters as the model takes, 511; the last is shorter. So
    the first characters of each are predicted with little in sight, and 0 nats would be certainty.

    Args:
        model: The model, loaded.
        texts: Texts of characters that it knows.

    Returns:
        Nats; divided by log 2 they are bits.
    """
    import tensorflow as tf

    score = tf.function(lambda rows: model.log_prob(rows, None), jit_compile=True, autograph=False)
    length = model.excerpt_characters
    excerpts = np.stack(
        [model.tokenize(text[start : start + length]) for text in texts for start in range(0, len(text), length)]
    )
    total = 0.0
    for start in range(0, len(excerpts), BATCH):
        batch = excerpts[start : start + BATCH]
        padding = np.full((BATCH - len(batch), *batch.shape[1:]), -1, np.int32)
        total += float(np.sum(score(tf.constant(np.concatenate([batch, padding]))).numpy(), dtype=np.float64))
    return -total / sum(map(len, texts))


@click.command()
@click.option("--model", "name", default="shakespeare", show_default=True, help="Its name.")
@click.option("--store", type=FOLDER, default=MODELS, help="Folder of models that has it; the plugin's own by default.")
@click.option("--publish", "target", type=FOLDER, help="Folder of models that gets the same files with the figures.")
def main(name: str, store: Path, target: Path | None) -> None:
    """Measures the newest version of a model on Twelfth Night, the play that is held out."""
    from genservice.store.store import ModelStore
    from genservice.training import shakespeare
    from genservice.training.cache import cache_folder
    from genservice.training.measured import publish_measured

    source = ModelStore([store])
    version = source.versions(name)[-1]
    model = Transformer(source.verify(name, version).config)
    model.load(source.directory(name, version))
    plays = list(shakespeare.load(cache_folder()).test_inputs)
    metrics: dict[str, float | int | str] = {
        "data": f"{shakespeare.NAME}: {shakespeare.HELD_OUT}, held out",
        "characters": sum(map(len, plays)),
        "excerpt_characters": model.excerpt_characters,
        "nats_per_character": round(nats_per_character(model, plays), 4),
    }
    for figure, value in metrics.items():
        click.echo(f"{figure}: {value}")
    if target is not None:
        number = publish_measured(source, name, version, ModelStore([target]), metrics, COMMAND)
        click.echo(f"models/{name}/versions/{number} is in {target}")


if __name__ == "__main__":
    main(prog_name=COMMAND)
