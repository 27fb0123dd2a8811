"""The suite that a family passes by subclassing one test class."""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from genservice.engine.call import Output
from genservice.engine.checks import example_request, example_rows
from genservice.engine.verbs import functions_of
from genservice.errors import InvalidRequest
from genservice.model.base import (
    Classifier,
    Comparer,
    Determinism,
    Embedder,
    Generator,
    LabellingScorer,
    Latent,
    Model,
    Retriever,
    ScoreKind,
    Scorer,
    Tagger,
)
from genservice.model.fit import DataSet
from genservice.model.options import ANY_LABEL, Label, OptionScalar
from genservice.plugin_host import Family
from genservice.store.manifest import Serving
from genservice.store.store import ModelStore
from genservice.testing.diversity import measure_diversity
from genservice.testing.harness import Harness
from genservice.training.train import Recipe, train

Test = TypeVar("Test", bound=Callable[..., None])

ROWS = 12
LABEL_SCHEMA = TypeAdapter(Label).json_schema()
_CAPABILITY = "genservice_capability"


def _needs(capability: type[Model]) -> Callable[[Test], Test]:
    """Marks a test that is for models with a capability only."""

    def mark(test: Test) -> Test:
        setattr(test, _CAPABILITY, capability)
        return test

    return mark


class ModelConformance:
    """What every model keeps.

    A subclass sets `family`, and either `store` and `model` or, for a model that is trained first, `data`. For a
    generator it gives real data by overriding `real_data`. Its own tests may take the fixture `harness`.

    Attributes:
        family: The model class.
        store: Folder of a store that has the model.
        model: Its name there.
        data: What the model is trained on, where there is no `store`.
        settings: Settings of that training.
        serving: How that model is served.
        options: Options that pick one condition, such as `{"label": 0}`; for the test of diversity.
    """

    family: ClassVar[type[Model]]
    store: ClassVar[Path | None] = None
    model: ClassVar[str] = "model"
    data: ClassVar[DataSet | None] = None
    settings: ClassVar[Mapping[str, Any]] = {}
    serving: ClassVar[Serving] = Serving()
    options: ClassVar[Mapping[str, OptionScalar]] = {}

    def __init_subclass__(cls) -> None:
        """Leaves out the tests of what the family cannot do; a parent may have left out what it can."""
        super().__init_subclass__()
        family = getattr(cls, "family", Model)
        for name, test in vars(ModelConformance).items():
            capability = getattr(test, _CAPABILITY, None)
            if capability is not None and getattr(cls, name) in (None, test):
                setattr(cls, name, test if issubclass(family, capability) else None)

    def real_data(self) -> NDArray[Any] | None:
        """Real rows of the condition that `options` picks, 64 or more; None skips the test of diversity."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
        """The model on an engine; that it is ready shows that the checks at load pass."""
        store = cls.store if cls.store is not None else cls._trained(tmp_path_factory.mktemp(cls.family.family))
        with Harness([cls.family], store) as harness:
            yield harness

    @classmethod
    def _trained(cls, folder: Path) -> Path:
        """Trains the model, and gives the store that has it."""
        if cls.data is None:
            pytest.fail(f"{cls.__name__} sets neither `store`, a folder that has the model, nor `data` to train on")
        store = folder / "store"
        recipe = Recipe(model=cls.model, settings=cls.settings, serving=cls.serving)
        family = Family(cls.family.family, cls.family, cls.family.__module__, "0")
        train(family, cls.data, ModelStore([store]), recipe, cache=folder)
        return store

    @pytest.fixture
    def description(self, harness: Harness) -> Model:
        """The model, not loaded."""
        description = harness.engine.catalog.versions(self.model)[0].description
        assert description is not None
        return description

    def test_its_module_loads_no_tensorflow(self) -> None:
        heavy = {"tensorflow", "keras", "torch", "jax"}
        module = self.family.__module__
        code = f"import {module}, sys; print(*{heavy} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{module} cannot be imported by itself, as the server does:\n{done.stderr}"
        loaded = ", ".join(done.stdout.split())
        assert not loaded, f"importing {module} imports {loaded}: import that in `load`, in `fit` and in the verbs"

    def test_its_options_are_described_and_have_defaults(self, description: Model) -> None:
        for name, field in description.Options.model_fields.items():
            assert field.description, f"the option {name!r} has no description: give its Field one"
            assert not field.is_required(), f"the option {name!r} has no default: requests need not name it"

    def test_an_unknown_option_is_refused(self, harness: Harness, description: Model) -> None:
        for verb in functions_of(description):
            with pytest.raises(InvalidRequest, match="no option"):
                self._run(harness, description, verb, options={"no_such_option": 1})

    def test_an_option_beyond_its_bounds_is_refused(self, harness: Harness, description: Model) -> None:
        function = functions_of(description)[0]
        for name, schema in description.Options.model_json_schema()["properties"].items():
            for value in _values_beyond(schema, description.labels):
                try:
                    self._run(harness, description, function, options={name: value})
                except InvalidRequest as refusal:
                    assert name in refusal.message  # noqa: PT017 - the other branch is the test's point
                else:
                    pytest.fail(f"the option {name!r} takes {value!r}, which its JSON Schema excludes: {schema}")

    def test_results_have_the_declared_shape_and_type(self, harness: Harness, description: Model) -> None:
        for function in functions_of(description):
            results = _columns(self._run(harness, description, function))
            for name, column in results.items():
                assert len(column) == ROWS, f"`{function}` returned {len(column)} rows of {name} for {ROWS}"
                assert column.dtype.kind != "f" or not np.isnan(column).any(), f"`{function}` returned NaN in {name}"

    @_needs(Classifier)
    def test_probabilities_add_up(self, harness: Harness, description: Model) -> None:
        assert description.labels, "a classifier names its classes: set `labels` in `__init__`"
        probabilities = self._run(harness, description, "classify")
        assert probabilities.shape == (ROWS, len(description.labels)), (
            f"`logits` gave {probabilities.shape[1:]} a row, and there are {len(description.labels)} labels"
        )
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)

    @_needs(Scorer)
    def test_a_score_is_a_number_a_row(self, harness: Harness, description: Model) -> None:
        scores = self._run(harness, description, "score")
        assert scores.shape == (ROWS,), f"`log_prob` gave {list(scores.shape[1:])} a row, and gives one number"
        assert scores.dtype.kind == "f", f"`log_prob` gave {scores.dtype}, and gives float32 or float64"

    @_needs(Latent)
    def test_latents_are_as_declared_and_decode(self, harness: Harness, description: Model) -> None:
        assert isinstance(description, Latent)
        latents = self._run(harness, description, "encode")
        assert (latents.dtype, latents.shape[1:]) == (np.dtype(description.latent.dtype), description.latent.shape), (
            f"`encode` gave {latents.dtype} {list(latents.shape[1:])} a row; `latent` is {description.latent}"
        )
        assert len(harness.call(self.model, "decode", latents)) == ROWS

    @_needs(Embedder)
    def test_embeddings_are_vectors(self, harness: Harness, description: Model) -> None:
        embeddings = self._run(harness, description, "embed")
        assert embeddings.ndim == 2, f"`embed` gave {list(embeddings.shape[1:])} a row, and gives [dimensions]"
        assert embeddings.dtype == np.float32, f"`embed` gave {embeddings.dtype}, and gives float32"
        if isinstance(description, Comparer):
            assert 0 < description.threshold < math.inf, "a Comparer's `threshold` is a distance, above 0"

    @_needs(Retriever)
    def test_the_nearest_neighbours_come_first_and_fewer_are_the_first_of_more(
        self, harness: Harness, description: Model
    ) -> None:
        assert isinstance(description, Retriever)
        request = example_request(description, "neighbours", ROWS)
        most = int(np.asarray(request["k"])[0])
        found = harness.call(self.model, "neighbours", request)
        indexes, distances = found["indexes"], found["distances"]
        assert indexes.shape == distances.shape == (ROWS, most), f"`neighbours` gives [batch, k] twice, k is {most}"
        assert indexes.dtype == np.int64, f"the places are {indexes.dtype}, and have to be int64"
        assert ((indexes >= 0) & (indexes < description.reference_rows)).all(), "a place is in no reference row"
        assert (np.diff(distances, axis=1) >= 0).all(), "the nearest comes first"
        fewer = harness.call(self.model, "neighbours", {**request, "k": np.ones_like(request["k"])})
        given = fewer["distances"].shape[1]
        assert given == 1, f"`neighbours` gave {given} where 1 was asked for: heed `k`"
        self._equal(description, fewer["distances"], distances[:, :1])

    @_needs(Tagger)
    def test_a_tagging_is_of_the_declared_labels_and_its_probabilities_add_up(
        self, harness: Harness, description: Model
    ) -> None:
        assert isinstance(description, Tagger)
        inputs: Any = example_request(description, "tag", ROWS)
        result = harness.call(self.model, "tag", inputs)
        whole = (ROWS, description.positions)
        assert result["labels"].shape == whole, f"`tag` gave labels {result['labels'].shape}; they are {whole}"
        assert result["marginals"].shape == (*whole, len(description.labels)), (
            f"`tag` gave marginals {result['marginals'].shape}; they are {(*whole, len(description.labels))}"
        )
        known = (result["labels"] >= 0) & (result["labels"] < len(description.labels))
        assert known.all(), "`tag` gave places that are in none of `labels`"
        for row, length in enumerate(inputs["lengths"].tolist()):
            np.testing.assert_allclose(result["marginals"][row, :length].sum(axis=-1), 1, atol=1e-4)

    @_needs(LabellingScorer)
    def test_no_labelling_is_more_probable_than_the_one_that_is_given(
        self, harness: Harness, description: Model
    ) -> None:
        assert isinstance(description, LabellingScorer)
        inputs: Any = example_request(description, "tag", ROWS)
        given = harness.call(self.model, "tag", inputs)["labels"].astype(np.int32)
        # Padded as the sequences are: by the last label.
        last = np.minimum(np.arange(description.positions), inputs["lengths"][:, None] - 1)
        best = harness.call(self.model, "score", {**inputs, "labels": np.take_along_axis(given, last, axis=1)})
        if description.score_kind is ScoreKind.EXACT:
            assert (best <= description.tolerance).all(), "ln p(labelling | sequence) is above 0"
        for seed in range(3):
            other: Any = np.random.default_rng(seed).integers(0, len(description.labels), given.shape, np.int32)
            score = harness.call(self.model, "score", {**inputs, "labels": np.take_along_axis(other, last, axis=1)})
            assert (score <= best + description.tolerance * (1 + np.abs(best))).all(), (
                "a labelling made by chance is more probable than the one that `tag` gave"
            )

    @_needs(Tagger)
    def test_what_pads_a_sequence_changes_nothing(self, harness: Harness, description: Model) -> None:
        inputs: Any = example_request(description, "tag", ROWS)
        other: Any = example_request(description, "tag", ROWS, seed=1)
        positions = np.arange(inputs["inputs"].shape[1])
        inside = (positions < inputs["lengths"][:, None]).reshape(
            *inputs["inputs"].shape[:2], *[1] * (inputs["inputs"].ndim - 2)
        )
        changed = {"inputs": np.where(inside, inputs["inputs"], other["inputs"]), "lengths": inputs["lengths"]}
        self._equal(
            description,
            harness.call(self.model, "tag", inputs)["marginals"],
            harness.call(self.model, "tag", changed)["marginals"],
            "what stands beyond the end of a sequence changes its marginals: use `sequences.lengths`",
        )

    def test_a_row_does_not_depend_on_its_neighbours(self, harness: Harness, description: Model) -> None:
        for function in functions_of(description):
            if function == "sample":
                continue
            inputs = example_request(description, function, ROWS)
            together = _columns(harness.call(self.model, function, inputs))
            for place in (0, ROWS // 2, ROWS - 1):
                row = {name: rows[place : place + 1] for name, rows in inputs.items()}
                alone = _columns(harness.call(self.model, function, row))
                for name, column in alone.items():
                    if column.dtype.kind == "f" or len(alone) == 1:
                        other = f"a row of `{function}` alone has another result than among others"
                        self._equal(description, column[0], together[name][place], other)

    @_needs(Generator)
    def test_a_sample_depends_on_its_address_alone(self, harness: Harness, description: Model) -> None:
        whole = self._run(harness, description, "sample")
        again = self._run(harness, description, "sample", chunk_rows=5)
        conditions = {name: rows[-3:] for name, rows in self._conditions(description, ROWS).items()}
        tail = harness.sample(self.model, 3, seed=0, first_index=ROWS - 3, conditions=conditions)
        self._equal(description, whole, again, "the same samples, in other chunks, are others")
        self._equal(description, whole[-3:], tail, "the last samples of a draw, drawn by themselves, are others")

    @_needs(Generator)
    def test_seeds_and_indexes_give_different_samples(self, harness: Harness, description: Model) -> None:
        first = self._run(harness, description, "sample")
        other = self._run(harness, description, "sample", seed=1)
        assert not np.array_equal(first, other), "two seeds give the same samples"
        assert any(not np.array_equal(first[0], sample) for sample in first[1:]), "all indexes give the same sample"

    @_needs(Generator)
    def test_every_media_type_can_be_delivered(self, harness: Harness, description: Model) -> None:
        for media_type in description.media_types:
            files = self._run(harness, description, "sample", output=Output(media_type=media_type))
            assert len(files) == ROWS
            assert all(isinstance(file, bytes) and file for file in files), f"`encode_media` made no {media_type}"

    @_needs(Generator)
    def test_samples_of_one_condition_differ_as_real_data_does(self, harness: Harness, description: Model) -> None:
        real = self.real_data()
        if real is None:
            pytest.skip("no real data at hand to compare with")
        samples = harness.sample(
            self.model, 256, seed=3, conditions=self._conditions(description, 1), options=self.options
        )
        diversity = measure_diversity(samples, real)
        assert diversity.passes, f"samples of one condition hardly differ, or differ by noise alone: {diversity}"

    def _run(
        self,
        harness: Harness,
        description: Model,
        verb: str,
        *,
        seed: int = 0,
        chunk_rows: int = 0,
        output: Output | None = None,
        options: Mapping[str, OptionScalar] | None = None,
    ) -> Any:
        if verb == "sample":
            return harness.sample(
                self.model,
                ROWS,
                seed=seed,
                chunk_rows=chunk_rows,
                conditions=self._conditions(description, ROWS),
                output=output,
                options=options,
            )
        return harness.call(self.model, verb, example_request(description, verb, ROWS), options)

    def _conditions(self, description: Model, rows: int) -> dict[str, Any]:
        return {name: example_rows(spec, rows) for name, spec in description.conditions.items()}

    def _equal(self, description: Model, left: Any, right: Any, fault: str = "") -> None:
        if description.determinism is Determinism.BITWISE or isinstance(left, (list, str)):
            assert np.array_equal(left, right), fault
        else:
            tolerance = description.tolerance
            np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance, err_msg=fault)


def _columns(result: Any) -> dict[str, NDArray[Any]]:
    """Results by name."""
    return result if isinstance(result, dict) else {"": np.asarray(result)}


def _values_beyond(schema: Mapping[str, Any], labels: Sequence[str]) -> list[OptionScalar]:
    """Values that an option refuses, as its JSON Schema says.

    Args:
        schema: Of the option.
        labels: Those of the model.
    """
    if schema.get("anyOf") == LABEL_SCHEMA["anyOf"]:
        return [ANY_LABEL - 1, len(labels), "-".join(["no", "such", *labels])]
    values: list[OptionScalar] = [
        schema[bound] for bound in ("exclusiveMinimum", "exclusiveMaximum") if bound in schema
    ]
    for bound, step in (("minimum", -1), ("maximum", 1)):
        if bound in schema:
            end = schema[bound]
            values.append(math.nextafter(end, step * math.inf) if isinstance(end, float) else end + step)
    return values
