"""The suite that a family passes by subclassing one test class."""

import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from genservice.engine.call import Output
from genservice.engine.checks import example_request, example_rows
from genservice.engine.verbs import functions_of
from genservice.errors import InvalidRequest
from genservice.model.base import Determinism, Generator, Model, Tagger
from genservice.model.options import ANY_LABEL, Label, OptionScalar
from genservice.testing.diversity import measure_diversity
from genservice.testing.harness import Harness

ROWS = 12
LABEL_SCHEMA = TypeAdapter(Label).json_schema()


class ModelConformance:
    """What every model keeps.

    A subclass sets:

    Attributes:
        family: The model class.
        store: Folder of a store that has the model.
        model: Its name there.
        options: Options that pick one condition, such as `{"label": 0}`; for the test of diversity.

    and, for a generator, gives real data of that condition by overriding `real_data`.
    """

    family: ClassVar[type[Model]]
    store: ClassVar[Path]
    model: ClassVar[str]
    options: ClassVar[Mapping[str, OptionScalar]] = {}

    def real_data(self) -> NDArray[Any] | None:
        """Real rows of the condition that `options` picks, 64 or more; None skips the test of diversity."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls) -> Iterator[Harness]:
        """The model on an engine; that it is ready shows that the checks at load pass."""
        with Harness([cls.family], cls.store) as harness:
            yield harness

    @pytest.fixture
    def description(self, harness: Harness) -> Model:
        """The model, not loaded."""
        description = harness.engine.catalog.versions(self.model)[0].description
        assert description is not None
        return description

    def test_its_module_loads_no_tensorflow(self) -> None:
        heavy = {"tensorflow", "keras", "torch", "jax"}
        code = f"import {self.family.__module__}, sys; print(*{heavy} & set(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert not loaded, f"{self.family.__module__} imports {loaded}: import them in `load` and `fit`"

    def test_its_options_are_described_and_have_defaults(self, description: Model) -> None:
        for name, field in description.Options.model_fields.items():
            assert field.description, f"the option {name!r} has no description"
            assert not field.is_required(), f"the option {name!r} has no default"

    def test_an_unknown_option_is_refused(self, harness: Harness, description: Model) -> None:
        for verb in functions_of(description):
            with pytest.raises(InvalidRequest, match="no option"):
                self._run(harness, description, verb, options={"no_such_option": 1})

    def test_an_option_beyond_its_bounds_is_refused(self, harness: Harness, description: Model) -> None:
        verb = functions_of(description)[0]
        for name, schema in description.Options.model_json_schema()["properties"].items():
            for value in _values_beyond(schema, description.labels):
                with pytest.raises(InvalidRequest, match=name):
                    self._run(harness, description, verb, options={name: value})

    def test_results_have_the_declared_shape_and_type(self, harness: Harness, description: Model) -> None:
        for verb in functions_of(description):
            result = self._run(harness, description, verb)
            for column in result.values() if isinstance(result, dict) else [result]:
                assert len(column) == ROWS
            if verb in ("sample", "decode") and description.event.dtype != "string":
                assert result.dtype == np.dtype(description.event.dtype)
            if verb == "classify":
                assert result.shape == (ROWS, len(description.labels))
                np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-4)
            if verb == "embed":
                assert result.ndim == 2
            if verb == "neighbours":
                assert result["indexes"].shape == result["distances"].shape
                assert (np.diff(result["distances"], axis=1) >= 0).all(), "the nearest comes first"

    def test_a_tagging_is_of_the_declared_labels_and_its_probabilities_add_up(
        self, harness: Harness, description: Model
    ) -> None:
        self._needs(description, Tagger)
        assert isinstance(description, Tagger)
        inputs: Any = example_request(description, "tag", ROWS)
        result = harness.call(self.model, "tag", inputs)
        assert result["labels"].shape == (ROWS, description.positions)
        assert result["marginals"].shape == (ROWS, description.positions, len(description.labels))
        for row, length in enumerate(inputs["lengths"].tolist()):
            assert ((result["labels"][row] >= 0) & (result["labels"][row] < len(description.labels))).all()
            np.testing.assert_allclose(result["marginals"][row, :length].sum(axis=-1), 1, atol=1e-4)

    def test_what_pads_a_sequence_changes_nothing(self, harness: Harness, description: Model) -> None:
        self._needs(description, Tagger)
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
                        self._equal(description, column[0], together[name][place])

    def test_a_sample_depends_on_its_address_alone(self, harness: Harness, description: Model) -> None:
        self._needs(description, Generator)
        whole = self._run(harness, description, "sample")
        again = self._run(harness, description, "sample", chunk_rows=5)
        conditions = {name: rows[-3:] for name, rows in self._conditions(description, ROWS).items()}
        tail = harness.sample(self.model, 3, seed=0, first_index=ROWS - 3, conditions=conditions)
        self._equal(description, whole, again)
        self._equal(description, whole[-3:], tail)

    def test_seeds_and_indexes_give_different_samples(self, harness: Harness, description: Model) -> None:
        self._needs(description, Generator)
        first = self._run(harness, description, "sample")
        other = self._run(harness, description, "sample", seed=1)
        assert not np.array_equal(first, other), "two seeds give the same samples"
        assert any(not np.array_equal(first[0], sample) for sample in first[1:]), "all indexes give the same sample"

    def test_every_media_type_can_be_delivered(self, harness: Harness, description: Model) -> None:
        self._needs(description, Generator)
        for media_type in description.media_types:
            files = self._run(harness, description, "sample", output=Output(media_type=media_type))
            assert len(files) == ROWS
            assert all(isinstance(file, bytes) and file for file in files)

    def test_samples_of_one_condition_differ_as_real_data_does(self, harness: Harness, description: Model) -> None:
        self._needs(description, Generator)
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

    def _needs(self, description: Model, capability: type[Model]) -> None:
        if not isinstance(description, capability):
            pytest.skip(f"not a {capability.__name__}")

    def _equal(self, description: Model, left: Any, right: Any) -> None:
        if description.determinism is Determinism.BITWISE or isinstance(left, (list, str)):
            assert np.array_equal(left, right)
        else:
            np.testing.assert_allclose(left, right, rtol=description.tolerance, atol=description.tolerance)


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
