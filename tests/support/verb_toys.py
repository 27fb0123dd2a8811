"""Models with the verbs of discriminative models, and what requests to them are made of."""

from io import BytesIO
from types import MappingProxyType

import numpy as np
from PIL import Image

from genservice import Classifier, Comparer, LabellingScorer, Options, Predictor, Retriever, Signature, TensorSpec
from genservice.v1.classification_pb2 import Sequence
from genservice.v1.types_pb2 import Condition, EncodedRows, StringRows

REFERENCE = np.linspace(-1, 1, 7, dtype=np.float32)


class Pictures(Comparer, Retriever, Classifier):
    """Knows a picture of 4 by 3 by its mean."""

    family = "pictures"
    traced = False
    event = TensorSpec((4, 3, 1), minimum=-1, maximum=1)
    labels = ("dark", "light")
    threshold = 0.25
    reference_rows = len(REFERENCE)

    def load(self, directory):
        pass

    def embed(self, inputs, options):
        return inputs.mean(axis=(1, 2, 3))[:, None] * np.ones(2, np.float32)

    def logits(self, inputs, options):
        mean = inputs.mean(axis=(1, 2, 3))
        return np.stack([-mean, mean], axis=1)

    def neighbours(self, inputs, k, options):
        distances = np.abs(inputs.mean(axis=(1, 2, 3))[:, None] - REFERENCE)
        places = np.argsort(distances, axis=1, kind="stable")[:, : int(k)]
        return places, np.take_along_axis(distances, places, axis=1)


class Tags(LabellingScorer):
    """Says of each word whether it is long; the probability of that grows with its length."""

    family = "tags"
    traced = False
    event = TensorSpec((), "string")
    tokens = TensorSpec((1,), "int32", -1, 20)
    labels = ("short", "long")
    positions = 5

    def load(self, directory):
        pass

    def tokenize(self, text):
        if len(text) > 20:
            raise ValueError(f"a word has at most 20 letters; got {len(text)}")
        return np.array([len(text)], np.int32)

    def _long(self, sequences):
        return (np.asarray(sequences.values)[..., 0].clip(0) / 20).astype(np.float32)

    def tag(self, sequences, options):
        long = self._long(sequences)
        return (long > 0.5).astype(np.int32), np.stack([1 - long, long], axis=-1)

    def labelling_log_prob(self, sequences, labels, options):
        long = self._long(sequences)
        chosen = np.where(labels == 1, long, 1 - long)
        inside = np.arange(chosen.shape[1]) < np.asarray(sequences.lengths)[:, None]
        return np.log(np.where(inside, chosen, 1)).sum(axis=1)


class SumOptions(Options):
    factor: float = 1.0


class Sums(Predictor):
    """Two functions, and no event."""

    family = "sums"
    traced = False
    Options = SumOptions
    default_signature = "add"
    signatures = MappingProxyType(
        {
            "add": Signature({"a": TensorSpec((2,)), "b": TensorSpec(())}, {"sum": TensorSpec((2,))}),
            "count": Signature({"a": TensorSpec((-1,))}, {"n": TensorSpec((), "int64"), "copy": TensorSpec((-1,))}),
        }
    )

    def load(self, directory):
        pass

    def predict(self, signature, inputs, options):
        a = np.asarray(inputs["a"])
        if signature == "add":
            return {"sum": ((a + inputs["b"][:, None]) * options.factor[:, None]).astype(np.float32)}
        return {"n": np.full(len(a), a.shape[1], np.int64), "copy": a}


def array(tensor, dtype="<f4"):
    return np.frombuffer(tensor.data, dtype).reshape(tensor.shape)


def grey(*means):
    return [np.full((4, 3, 1), mean, np.float32) for mean in means]


def file_of(pixels, kind="PNG", mode=None, **kwargs):
    file = BytesIO()
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(file, kind, **kwargs)
    return file.getvalue()


def encoded(*files, media_type="image/png"):
    return Condition(encoded=EncodedRows(media_type=media_type, rows=files))


def words(*texts):
    return Sequence(tokens=StringRows(rows=texts))
