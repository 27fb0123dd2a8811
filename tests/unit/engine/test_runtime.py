"""What a model must show before it is ready."""

from typing import ClassVar

import numpy as np
import pytest

from genservice import Classifier, Determinism, Generator, Options, TensorSpec
from genservice.engine.call import Call, Slice
from genservice.engine.runtime import Runtime
from genservice.errors import PluginError
from genservice.model.options import Options as BaseOptions
from genservice.store.manifest import Serving


class Plain(Generator):
    family = "plain"
    event = TensorSpec((4,))
    traced = False

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        return noise.normal("z", (4,))


def ready(model, tmp_path, **serving):
    runtime = Runtime(model({}), Serving(**{"max_batch_rows": 16, **serving}))
    runtime.load(tmp_path)
    for _ in runtime.warm_up():
        pass
    return runtime


def test_a_good_model_is_ready(tmp_path):
    assert ready(Plain, tmp_path).answer_row_bytes == {"sample": 16}


def test_a_constant_generator_is_refused(tmp_path):
    class Constant(Plain):
        def sample(self, noise, options, conditions):
            return np.ones((len(noise.uniform("z")), 4), np.float32)

    with pytest.raises(PluginError, match="not a constant"):
        ready(Constant, tmp_path)


def test_randomness_of_its_own_is_refused(tmp_path):
    class Own(Plain):
        def sample(self, noise, options, conditions):
            return np.random.default_rng().normal(size=(len(noise.uniform("z")), 4)).astype(np.float32)

    with pytest.raises(PluginError, match="noise object"):
        ready(Own, tmp_path)


def test_rows_that_depend_on_their_neighbours_are_refused(tmp_path):
    class Mixing(Plain):
        def sample(self, noise, options, conditions):
            samples = noise.normal("z", (4,))
            return samples - samples.mean(axis=0)

    with pytest.raises(PluginError, match="depend on each other"):
        ready(Mixing, tmp_path)


def test_options_of_one_row_that_reach_another_are_refused(tmp_path):
    class Leaking(Plain):
        class Options(BaseOptions):
            shift: float = 0.0

        def sample(self, noise, options, conditions):
            return noise.normal("z", (4,)) + options.shift[0]

    with pytest.raises(PluginError, match="depend on each other"):
        ready(Leaking, tmp_path)


def test_conditions_of_one_row_that_reach_another_are_refused(tmp_path):
    class Leaking(Plain):
        conditions: ClassVar = {"mean": TensorSpec((1,))}

        def sample(self, noise, options, conditions):
            return noise.normal("z", (4,)) + conditions["mean"][0]

    with pytest.raises(PluginError, match="depend on each other"):
        ready(Leaking, tmp_path)


def test_a_classifier_whose_rows_depend_on_the_batch_is_refused(tmp_path):
    class Counting(Classifier):
        family = "counting"
        event = TensorSpec((2,))
        labels = ("a", "b")
        traced = False

        def load(self, directory):
            pass

        def logits(self, inputs, options):
            return inputs + np.array([0, len(inputs)])

    with pytest.raises(PluginError, match="classify"):
        ready(Counting, tmp_path)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (lambda z: z.astype(np.float64), "float64"),
        (lambda z: z[:, :3], r"\[3\]"),
        (lambda z: z * np.float32(np.nan), "NaN"),
        (lambda z: z[:-1] if len(z) > 1 else z, "rows"),
    ],
    ids=["type", "shape", "nan", "rows"],
)
def test_samples_that_are_not_the_event_are_refused(tmp_path, samples, message):
    class Off(Plain):
        def sample(self, noise, options, conditions):
            return samples(noise.normal("z", (4,)))

    with pytest.raises(PluginError, match=message):
        ready(Off, tmp_path)


def test_samples_beyond_the_events_bounds_are_refused(tmp_path):
    class Beyond(Plain):
        event = TensorSpec((4,), minimum=-0.01, maximum=0.01)

    with pytest.raises(PluginError, match="event goes from"):
        ready(Beyond, tmp_path)


def test_bitwise_needs_one_batch_size(tmp_path):
    class Exact(Plain):
        determinism = Determinism.BITWISE

    with pytest.raises(PluginError, match="one batch size"):
        ready(Exact, tmp_path)
    ready(Exact, tmp_path, batch_sizes=[16])


def test_bitwise_needs_xla(tmp_path):
    class Exact(Traced):
        determinism = Determinism.BITWISE

    with pytest.raises(PluginError, match="jit_compile"):
        ready(Exact, tmp_path, batch_sizes=[16])
    ready(Exact, tmp_path, batch_sizes=[16], jit_compile=True)


def test_an_option_that_cannot_reach_a_traced_model_is_refused(tmp_path):
    class Named(Traced):
        class Options(BaseOptions):
            name: str = ""

    with pytest.raises(PluginError, match="name"):
        ready(Named, tmp_path)


def test_a_string_option_reaches_an_untraced_model_as_a_list(tmp_path):
    seen = []

    class Named(Plain):
        class Options(BaseOptions):
            name: str = "x"

        def sample(self, noise, options, conditions):
            seen.append(options.name)
            return noise.normal("z", (4,))

    runtime = ready(Named, tmp_path)
    seen.clear()
    calls = [Call("sample", 2, Named.Options(name="a")), Call("sample", 1, Named.Options(name="b"))]
    runtime.run([Slice(call, 0, call.row_count) for call in calls])
    assert seen == [["a", "a", "b", "b"]]


class Traced(Plain):
    traced = True

    class Options(Options):
        shift: float = 0.0
        count: int = 0
        flag: bool = False

    def sample(self, noise, options, conditions):
        import tensorflow as tf

        moved = noise.normal("z", (4,)) + options.shift[:, None] + tf.cast(options.count, tf.float32)[:, None]
        return tf.where(options.flag[:, None], -moved, moved)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_traced_model_gets_options_a_row_and_is_traced_before_it_is_ready(tmp_path, jit_compile):
    traces = []

    class Counted(Traced):
        def sample(self, noise, options, conditions):
            traces.append(1)
            return super().sample(noise, options, conditions)

    runtime = ready(Counted, tmp_path, jit_compile=jit_compile)
    warmed = len(traces)
    options = [Traced.Options(), Traced.Options(shift=2.0), Traced.Options(count=3, flag=True)]
    calls = [Call("sample", 3, each, seed=9, first_index=5) for each in options]
    plain, shifted, flagged = (results["samples"] for results in runtime.run([Slice(call, 0, 3) for call in calls]))
    np.testing.assert_allclose(shifted, plain + 2, atol=1e-5)
    np.testing.assert_allclose(flagged, -(plain + 3), atol=1e-5)
    assert len(traces) == warmed
    assert ("xla" if jit_compile else "graph") in runtime.numerics
