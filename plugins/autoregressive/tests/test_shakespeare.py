"""The model that ships: it keeps what every model keeps, and is as good as its card says."""

from pathlib import Path

import numpy as np
import pytest

import genservice_autoregressive
from genservice.errors import DataError, InvalidRequest
from genservice.store.store import ModelStore
from genservice.testing import Harness, ModelConformance
from genservice.training import shakespeare
from genservice.training.cache import cache_folder
from genservice_autoregressive.family import Transformer

MODELS = Path(genservice_autoregressive.__file__).parent / "models"


@pytest.fixture(scope="module")
def harness():
    with Harness([Transformer], MODELS) as harness:
        yield harness


@pytest.fixture(scope="module")
def published():
    """The manifest of the newest version, and the model, loaded."""
    store = ModelStore([MODELS])
    version = store.versions("shakespeare")[-1]
    manifest = store.verify("shakespeare", version)
    model = Transformer(manifest.config)
    model.load(store.directory("shakespeare", version))
    return manifest, model


@pytest.mark.slow
class TestShakespeare(ModelConformance):
    family = Transformer
    store = MODELS
    model = "shakespeare"


def draw(harness, count=8, prompt="", **options):
    return list(harness.sample("shakespeare", count, seed=5, conditions={"prompt": [prompt]}, options=options))


def test_it_goes_on_from_a_prompt(harness):
    texts = draw(
        harness, prompt="ROMEO.\nWhat lady is that, which doth enrich the hand\nOf yonder knight", max_length=100
    )
    assert all(len(text) == 100 for text in texts)
    assert len(set(texts)) == len(texts)
    assert not any("ROMEO.\nWhat lady" in text for text in texts)


def test_a_text_depends_on_its_address_alone(harness):
    whole = draw(harness, 20, prompt="JULIET.\n")
    part = harness.sample(
        "shakespeare", 3, seed=5, first_index=15, conditions={"prompt": ["JULIET.\n"]}, options={"max_length": 60}
    )
    assert [text[:60] for text in whole[15:18]] == list(part)


def test_most_words_are_words(harness):
    words = " ".join(draw(harness, 16, max_length=400, temperature=0.7)).lower()
    known = {"the", "and", "to", "of", "i", "you", "my", "that", "is", "a", "in", "not"}
    assert sum(word in known for word in words.split()) > 0.15 * len(words.split())


def test_a_text_ends_before_a_stop_string(harness):
    whole = draw(harness, prompt="KING.\n", max_length=300)
    for text, stopped in zip(whole, draw(harness, prompt="KING.\n", max_length=300, stop=("\n\n", ".")), strict=True):
        ends = [text.find(stop) for stop in ("\n\n", ".") if stop in text]
        assert stopped == (text[: min(ends)] if ends else text)


def test_a_prompt_without_room_is_refused(harness):
    with pytest.raises(InvalidRequest, match="max_length"):
        draw(harness, prompt="a" * 400, max_length=200)


def test_real_lines_are_likelier_than_shuffled_ones(published):
    _, model = published
    line = "If music be the food of love, play on,\nGive me excess of it; that, surfeiting,\n"
    shuffled = "".join(np.random.default_rng(0).permutation(list(line)))
    real, other = np.asarray(model.log_prob(np.stack([model.tokenize(line), model.tokenize(shuffled)]), None))
    assert -real / len(line) < 2
    assert -other / len(line) > 3


def test_the_weights_are_small_and_the_serving_is_what_bitwise_needs(published):
    manifest, model = published
    assert sum(entry.size_bytes for entry in manifest.files.values()) < 6_000_000
    assert manifest.serving.jit_compile
    assert manifest.serving.sizes == (16,)
    assert len(manifest.config["characters"]) <= 100
    assert model.tokens.shape == (511,)


@pytest.mark.slow
def test_the_card_has_the_figure_that_an_evaluation_gives(published):
    import asyncio

    from genservice.plugin_host import PluginHost
    from genservice.store.names import ModelName
    from genservice.training.evaluation import evaluate, serving

    try:
        plays = shakespeare.load(cache_folder(), fetchers=())
    except DataError as missing:
        pytest.skip(missing.message)

    async def measure():
        async with serving(ModelStore([MODELS]), PluginHost.discover().families, [ModelName("shakespeare")]) as [model]:
            return await evaluate(model, plays, samples=16)

    figures = asyncio.run(measure()).metrics()
    assert figures["nats_per_character"] <= 1.75
    # A card has four digits.
    manifest, _ = published
    assert figures["nats_per_character"] == pytest.approx(manifest.card.metrics["nats_per_character"], abs=1e-3)
    assert figures["near_copies"] <= 0.2
