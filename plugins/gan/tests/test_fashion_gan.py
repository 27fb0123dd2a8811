"""The model that ships: it keeps what every model keeps, and is as good as its card says."""

from pathlib import Path

import numpy as np
import pytest

import genservice_gan
from genservice.errors import DataError
from genservice.testing import Harness, ModelConformance
from genservice.training import fashion_mnist
from genservice.training.cache import cache_folder
from genservice_gan.family import ClassConditionalGan

MODELS = Path(genservice_gan.__file__).parent / "models"


@pytest.fixture(scope="module")
def harness():
    with Harness([ClassConditionalGan], MODELS) as harness:
        yield harness


@pytest.fixture(scope="module")
def data():
    try:
        return fashion_mnist.load(cache_folder(), fetchers=())
    except DataError as missing:
        pytest.skip(missing.message)


class TestFashionGan(ModelConformance):
    family = ClassConditionalGan
    store = MODELS
    model = "fashion-gan"
    options = {"label": "sneaker"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _take_data(self, request):
        if request.function.__name__ == "test_samples_of_one_condition_differ_as_real_data_does":
            self._data = request.getfixturevalue("data")

    def real_data(self):
        return self._data.train_inputs[self._data.train_labels == self._data.labels.index("sneaker")][:1000]


def draw(harness, count=64, **options):
    return harness.sample("fashion-gan", count, seed=5, options=options)


def test_a_label_is_given_by_name_or_by_number(harness):
    np.testing.assert_array_equal(draw(harness, label="bag"), draw(harness, label=8))
    assert np.abs(draw(harness, label="bag") - draw(harness, label="boot")).mean() > 0.1


def test_without_a_label_every_label_is_drawn(harness):
    mixed = draw(harness, 200)
    of_one = draw(harness, 200, label="trouser")
    assert mixed.std(axis=0).mean() > 1.2 * of_one.std(axis=0).mean()
    # A drawn label is a label like any other: some sample of the mix is the trouser of the same address.
    same = np.abs(mixed - of_one).reshape(200, -1).max(axis=1) < 1e-4
    assert 5 <= same.sum() <= 45


def test_truncation_leads_from_the_whole_distribution_to_the_mean_of_the_label(harness):
    spreads = [draw(harness, label="dress", truncation_psi=psi).std(axis=0).mean() for psi in (1.0, 0.5, 0.0)]
    assert spreads[0] > spreads[1] > spreads[2]
    assert spreads[2] < 1e-5
    np.testing.assert_array_equal(draw(harness, label="dress"), draw(harness, label="dress", truncation_psi=1.0))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_card_has_the_figures_that_an_evaluation_gives(data):
    import asyncio

    from genservice.plugin_host import PluginHost
    from genservice.store.names import ModelName
    from genservice.store.store import ModelStore
    from genservice.training.evaluation import evaluate, serving

    host = PluginHost.discover()
    store = ModelStore(host.stores)

    async def measure():
        names = [ModelName("fashion-gan"), ModelName("fashion-cnn")]
        async with serving(store, host.families, names) as (generator, judge):
            return await evaluate(generator, data, judge=judge)

    figures = asyncio.run(measure()).metrics()
    assert figures["agreement"] >= 0.9
    assert figures["frechet_ratio"] <= 10
    assert figures["embedding_spread"] >= 0.7
    assert figures["pixel_spread"] >= 0.7
    card = store.manifest("fashion-gan", max(store.versions("fashion-gan"))).card.metrics
    for name in ("agreement", "frechet_ratio", "embedding_spread", "pixel_spread"):
        assert figures[name] == pytest.approx(card[name], rel=0.02)
