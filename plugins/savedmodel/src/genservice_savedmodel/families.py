"""The families `savedmodel`, `savedmodel-classifier` and `savedmodel-generator`: what a user's own graph does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from genservice import Classifier, Generator, Noise, Predictor, Signature
from genservice.model.media import IMAGE_FORMATS, is_image
from genservice_savedmodel.declarations import (
    ClassifierDeclarations,
    Declarations,
    GeneratorDeclarations,
    output_of,
)


class SavedModel(Predictor):
    """Serves the signatures of a SavedModel or a `.keras` file as they are.

    Args:
        config: `Declarations`.

    Raises:
        PluginError: The config is not as it should be.
    """

    family = "savedmodel"
    needs_trust = True
    declarations: ClassVar[type[Declarations]] = Declarations

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self._declared: Any = self.declarations.parse(config)
        self.Options = self._declared.options_class()
        self.tolerance = self._declared.tolerance
        self.default_signature = self._declared.default
        self.event = next(iter(self._declared.requested(self._declared.signature("")).values()))
        self.signatures = {
            name: Signature(
                inputs=self._declared.requested(signature),
                outputs={output: tensor.spec for output, tensor in signature.outputs.items()},
            )
            for name, signature in self._declared.signatures.items()
        }

    def load(self, directory: Path) -> None:
        """Checks the graph, loads it, and checks that it is as declared.

        Raises:
            PluginError: The graph has an operation that is refused, or is not as the config declares it.
        """
        from genservice_savedmodel.loading import load_graph

        self._graph = load_graph(directory / self._declared.path, self._declared.signatures)

    def predict(self, signature: str, inputs: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        """Calls a signature with the request's inputs, and with the options that are inputs of it.

        Returns:
            The declared outputs, `[batch, ...]`, by name.
        """
        import tensorflow as tf

        declared = self._declared.signatures[signature]
        chosen = {
            name: tf.cast(getattr(options, name), tensor.dtype)
            for name, tensor in declared.inputs.items()
            if name in self._declared.options
        }
        outputs = self._graph.functions[signature](**inputs, **chosen)
        return {
            name: tf.ensure_shape(outputs[name], [None, *(None if extent == -1 else extent for extent in tensor.shape)])
            for name, tensor in declared.outputs.items()
        }


class SavedModelClassifier(SavedModel, Classifier):
    """Classifies by one of the signatures; all can be called as they are too.

    Args:
        config: `ClassifierDeclarations`.
    """

    family = "savedmodel-classifier"
    declarations = ClassifierDeclarations

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        chosen = self._declared.classify
        self.labels = chosen.labels
        self.event = self._declared.signature(chosen.signature).inputs[chosen.input].spec

    def logits(self, inputs: Any, options: Any) -> Any:
        """The output as logits: itself, or the logarithm where it holds probabilities.

        Returns:
            float32 or float64 `[batch, labels]`; minus infinity where a probability is 0.
        """
        import tensorflow as tf

        chosen = self._declared.classify
        outputs = self.predict(chosen.signature or self.default_signature, {chosen.input: inputs}, options)
        output = tf.reshape(outputs[chosen.output], [tf.shape(inputs)[0], -1])
        if output.dtype not in (tf.float32, tf.float64):
            output = tf.cast(output, tf.float32)
        probable = chosen.gives == "probabilities"
        if output_of(self._declared.signature(chosen.signature), chosen.output).shape in ((), (1,)):
            # One number for the second of two classes.
            output = tf.concat([1 - output if probable else tf.zeros_like(output), output], axis=1)
        return tf.math.log(output) if probable else output


class SavedModelGenerator(SavedModel, Generator):
    """Samples by one of the signatures; all can be called as they are too, with noise of the caller's own.

    Args:
        config: `GeneratorDeclarations`.
    """

    family = "savedmodel-generator"
    declarations = GeneratorDeclarations

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self._drawing = self._declared.signature(self._declared.sample.signature)
        self.event = self._drawing.outputs[self._declared.sample.output].spec
        self.media_types = tuple(IMAGE_FORMATS) if is_image(self.event) else ()
        self.conditions = {
            name: spec
            for name, spec in self._declared.requested(self._drawing).items()
            if name not in self._declared.sample.noise
        }

    def sample(self, noise: Noise, options: Any, conditions: Mapping[str, Any]) -> Any:
        """Draws by calling the signature with noise, conditions and options."""
        chosen = self._declared.sample
        inputs = {**conditions, **{name: self._noise(noise, name) for name in chosen.noise}}
        return self.predict(chosen.signature or self.default_signature, inputs, options)[chosen.output]

    def _noise(self, noise: Noise, name: str) -> Any:
        """Random numbers for an input."""
        import tensorflow as tf

        spec = self._drawing.inputs[name].spec
        if self._declared.sample.noise[name].distribution == "normal":
            return tf.cast(noise.normal(name, spec.shape), spec.dtype)
        numbers = tf.cast(noise.uniform(name, spec.shape), spec.dtype)
        if spec.minimum is None or spec.maximum is None:
            return numbers
        return spec.minimum + (spec.maximum - spec.minimum) * numbers
