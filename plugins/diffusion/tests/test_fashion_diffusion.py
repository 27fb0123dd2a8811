"""The model that ships: it keeps what every model keeps, and is as good as its card says."""

from pathlib import Path

import numpy as np
import pytest

import genservice_diffusion
from genservice.errors import DataError
from genservice.testing import Harness, ModelConformance
from genservice.training import fashion_mnist
from genservice.training.cache import cache_folder
from genservice_diffusion.family import ClassConditionalDiffusion

MODELS = Path(genservice_diffusion.__file__).parent / "models"
QUICK = {"steps": 4}


@pytest.fixture(scope="module")
def harness():
    with Harness([ClassConditionalDiffusion], MODELS) as harness:
        yield harness


@pytest.fixture(scope="module")
def data():
    try:
        return fashion_mnist.load(cache_folder(), fetchers=())
    except DataError as missing:
        pytest.skip(missing.message)


@pytest.mark.slow
class TestFashionDiffusion(ModelConformance):
    family = ClassConditionalDiffusion
    store = MODELS
    model = "fashion-diffusion"
    options = {"label": "sneaker"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _take_data(self, request):
        if request.function.__name__ == "test_samples_of_one_condition_differ_as_real_data_does":
            self._data = request.getfixturevalue("data")

    def real_data(self):
        return self._data.train_inputs[self._data.train_labels == self._data.labels.index("sneaker")][:1000]


def draw(harness, count=16, **options):
    return harness.sample("fashion-diffusion", count, seed=5, options={**QUICK, **options})


def test_a_label_is_given_by_name_or_by_number(harness):
    tolerance = ClassConditionalDiffusion.tolerance
    np.testing.assert_allclose(draw(harness, label="bag"), draw(harness, label=8), atol=tolerance)
    assert np.abs(draw(harness, label="bag") - draw(harness, label="boot")).mean() > 0.1


def test_without_a_label_every_label_is_drawn(harness):
    mixed = draw(harness, 60)
    of_one = draw(harness, 60, label="trouser")
    assert mixed.std(axis=0).mean() > 1.2 * of_one.std(axis=0).mean()
    # A drawn label is a label like any other: some sample of the mix is the trouser of the same address.
    same = np.abs(mixed - of_one).reshape(60, -1).max(axis=1) < ClassConditionalDiffusion.tolerance
    assert 1 <= same.sum() <= 18


def test_more_steps_change_the_sample_less_and_less(harness):
    few, more, most = (draw(harness, 4, label="dress", steps=steps) for steps in (3, 12, 48))
    assert np.abs(most - more).mean() < 0.5 * np.abs(most - few).mean()


def test_guided_by_zero_the_samples_are_of_any_label(harness):
    unguided, of_label = (draw(harness, 32, label="boot", guidance_scale=scale) for scale in (0.0, 1.0))
    assert unguided.std(axis=0).mean() > 1.2 * of_label.std(axis=0).mean()
    tolerance = ClassConditionalDiffusion.tolerance
    np.testing.assert_allclose(unguided, draw(harness, 32, label="dress", guidance_scale=0.0), atol=tolerance)


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
        names = [ModelName("fashion-diffusion"), ModelName("fashion-cnn")]
        async with serving(store, host.families, names) as (generator, judge):
            return await evaluate(generator, data, judge=judge, samples=2000)

    figures = asyncio.run(measure()).metrics()
    assert figures["agreement"] >= 0.85
    assert figures["embedding_spread"] >= 0.7
    assert figures["pixel_spread"] >= 0.7
    card = store.manifest("fashion-diffusion", max(store.versions("fashion-diffusion"))).card.metrics
    for name in ("agreement", "embedding_spread", "pixel_spread"):
        assert figures[name] == pytest.approx(card[name], rel=0.04)
