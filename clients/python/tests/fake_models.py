"""One model, with one version."""

from clients.python.tests.fake_calls import LABELS, PINNED, Cut, FakeCalls
from genservice.v1 import admin_pb2, admin_pb2_grpc, models_pb2, models_pb2_grpc, types_pb2


class FakeModels(FakeCalls, models_pb2_grpc.ModelServiceServicer, admin_pb2_grpc.ModelAdminServiceServicer):
    """`versions`, where they are set, are those of the model."""

    def __init__(self):
        super().__init__()
        self.content_hash = "abc"
        self.labels = LABELS
        self.versions = None

    def model(self, name="models/digits", state=models_pb2.MODEL_STATE_READY):
        event = types_pb2.TensorSpec(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=[3], minimum=-1, maximum=1)
        version = models_pb2.ModelVersion(
            name=PINNED,
            state=state,
            content_hash=self.content_hash,
            family="gan",
            verbs=["sample"],
            options_schema='{"type": "object"}',
            event=event,
            conditions={"prompt": types_pb2.TensorSpec(optional=True)},
            labels=self.labels,
            media_types=["image/png"],
            determinism=types_pb2.DETERMINISM_SAME_DRAWS,
            batch_sizes=[1, 8],
            card="# Digits",
            rows_per_second={"sample": 1500.0},
            features=["preview"],
            positions=40,
            reference_rows=100,
            threshold=1.5,
            signatures={"serve": models_pb2.SignatureSpec(inputs={"x": event}, outputs={"y": event})},
            default_signature="serve",
        )
        return models_pb2.Model(name=name, versions=[version], labels={"stable": 3}, default_version=3)

    def ListModels(self, request, context):
        self._begin("ListModels", request, context)
        if not request.page_token:
            return models_pb2.ListModelsResponse(models=[self.model("models/a")], next_page_token="2")
        return models_pb2.ListModelsResponse(models=[self.model("models/b")])

    def GetModel(self, request, context):
        self._begin("GetModel", request, context)
        model = self.model()
        if self.versions is not None:
            model = models_pb2.Model(name=model.name, versions=self.versions)
        return models_pb2.GetModelResponse(model=model)

    def WatchModel(self, request, context):
        self._begin("WatchModel", request, context)
        if len(self.requests["WatchModel"]) == 1:
            yield models_pb2.WatchModelResponse(model=self.model(state=models_pb2.MODEL_STATE_LOADING))
            Cut().end(context)
        context.add_callback(self.cancelled.set)
        yield models_pb2.WatchModelResponse(model=self.model(state=models_pb2.MODEL_STATE_LOADING))
        yield models_pb2.WatchModelResponse(model=self.model(state=models_pb2.MODEL_STATE_READY))
        self.cancelled.wait(10)

    def LoadModel(self, request, context):
        self._begin("LoadModel", request, context)
        return admin_pb2.LoadModelResponse(version=self.model(state=models_pb2.MODEL_STATE_LOADING).versions[0])

    def UnloadModel(self, request, context):
        self._begin("UnloadModel", request, context)
        return admin_pb2.UnloadModelResponse(version=self.model(state=models_pb2.MODEL_STATE_DRAINING).versions[0])

    def SetLabel(self, request, context):
        self._begin("SetLabel", request, context)
        return admin_pb2.SetLabelResponse(model=self.model())
