"""MLServer: a model of NumPy in the server's own process, with adaptive batching.

python mlserver_server.py ARRAYS REQUEST [MAX_BATCH_SIZE [MAX_BATCH_TIME_MS]]
"""

import asyncio
import sys

import numpy as np
from common import MODEL, Logistic, announce, free_port
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.grpc import dataplane_pb2
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse


class Model(MLModel):
    """The logistic regression."""

    async def load(self) -> bool:
        """Reads the weights."""
        self._model = Logistic(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answers a batch."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        probabilities = self._model(rows).astype(np.float32)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", probabilities)]
        )


async def main(arrays: str, request_file: str, max_batch_size: int = 32, max_batch_time_ms: float = 5) -> None:
    """Serves until it is terminated."""
    settings = Settings(
        host="127.0.0.1",
        http_port=free_port(),
        grpc_port=free_port(),
        metrics_port=free_port(),
        parallel_workers=0,
        debug=False,
    )
    model = ModelSettings(
        name=MODEL,
        implementation=Model,
        parameters=ModelParameters(uri=arrays),
        max_batch_size=max_batch_size,
        max_batch_time=max_batch_time_ms / 1000,
    )
    serving = asyncio.create_task(MLServer(settings).start([model]))
    await asyncio.to_thread(announce, settings.grpc_port, dataplane_pb2, Logistic(arrays), request_file)
    await serving


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3], *map(int, sys.argv[3:])))
