"""Answers about rows that can be told from the rows."""

import numpy as np

from clients.python.tests.fake_calls import LABELS, PINNED, FakeCalls, array, tensor
from genservice.v1 import classification_pb2, classification_pb2_grpc


class FakeClassification(FakeCalls, classification_pb2_grpc.ClassificationServiceServicer):
    """A row's first number is its label, modulo three; numbers are their own embeddings."""

    def _classify(self, request):
        row_count = request.inputs.tensor.shape[0] if request.inputs.HasField("tensor") else 2
        row_count = len(request.inputs.encoded.rows) or row_count
        values = (
            array(request.inputs.tensor) if request.inputs.HasField("tensor") else np.zeros((row_count, 1), np.float32)
        )
        best = values.reshape(row_count, -1)[:, 0].astype(int) % 3
        probabilities = np.full((row_count, 3), 0.1, np.float32)
        probabilities[np.arange(row_count), best] = 0.8
        response = classification_pb2.ClassifyResponse(model=PINNED, probabilities=tensor(probabilities))
        if request.top_k:
            for column in best:
                scored = classification_pb2.ScoredLabel(label=LABELS[column], index=column, probability=0.8)
                response.top.append(classification_pb2.TopLabels(labels=[scored]))
        return response

    def Classify(self, request, context):
        self._begin("Classify", request, context)
        return self._classify(request)

    def StreamClassify(self, request_iterator, context):
        self._begin("StreamClassify", None, context)
        for place, request in enumerate(request_iterator):
            if place and self.failures["StreamClassify"]:
                self.failures["StreamClassify"].popleft().end(context)
            self.requests["streamed"].append(request)
            yield classification_pb2.StreamClassifyResponse(response=self._classify(request.request))

    def Embed(self, request, context):
        self._begin("Embed", request, context)
        return classification_pb2.EmbedResponse(model=PINNED, embeddings=tensor(self.embedded(request.inputs)))

    def embedded(self, inputs):
        """Numbers are their own embeddings; a file's is its last byte."""
        if inputs.HasField("encoded"):
            return np.array([[file[-1]] for file in inputs.encoded.rows], np.float32)
        return array(inputs.tensor)

    def Compare(self, request, context):
        self._begin("Compare", request, context)
        gaps = self.embedded(request.inputs) - self.embedded(request.others)
        distances = np.linalg.norm(gaps, axis=1).astype(np.float32)
        return classification_pb2.CompareResponse(model=PINNED, distances=tensor(distances), threshold=1.5)

    def Identify(self, request, context):
        self._begin("Identify", request, context)
        gaps = self.embedded(request.inputs)[:, None] - array(request.gallery)
        distances = np.linalg.norm(gaps, axis=2).astype(np.float32)
        names = [request.names[row.argmin()] if row.min() < 1.5 else "" for row in distances]
        return classification_pb2.IdentifyResponse(
            model=PINNED, names=names, distances=tensor(distances.min(axis=1)), threshold=1.5
        )

    def Neighbours(self, request, context):
        self._begin("Neighbours", request, context)
        indexes = np.arange(request.k) + array(request.inputs.tensor).astype(np.int64)
        distances = np.tile(np.arange(request.k, dtype=np.float32), (len(indexes), 1))
        return classification_pb2.NeighboursResponse(model=PINNED, indexes=tensor(indexes), distances=tensor(distances))

    def Tag(self, request, context):
        self._begin("Tag", request, context)
        response = classification_pb2.TagResponse(model=PINNED)
        for sequence in request.sequences:
            tokens = list(sequence.tokens.rows) or array(sequence.tensor)[:, 0].astype(int).astype(str)
            columns = [len(str(token)) % 3 for token in tokens]
            marginals = np.full((len(tokens), 3), 0.2, np.float32)
            marginals[np.arange(len(tokens)), columns] = 0.6
            labels = [LABELS[column] for column in columns]
            response.taggings.add(labels=labels, marginals=tensor(marginals))
        return response

    def Predict(self, request, context):
        self._begin("Predict", request, context)
        outputs = {f"{name}_doubled": tensor(2 * array(values)) for name, values in request.inputs.items()}
        return classification_pb2.PredictResponse(model=PINNED, outputs=outputs)
