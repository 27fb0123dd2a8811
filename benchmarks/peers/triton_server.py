"""Triton (`nvidia-pytriton`): a C++ front end, and a model in Python that gets dynamic batches.

python triton_server.py ARRAYS REQUEST [DELAY_US [INSTANCES]]
"""

import sys

import numpy as np
from common import MODEL, Logistic, announce, free_port
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from tritonclient.grpc import service_pb2

MOST_ROWS = 256


def main(arrays: str, request_file: str, delay_us: int = 0, instances: int = 1) -> None:
    """Serves until it is terminated."""
    model = Logistic(arrays)

    @batch
    def infer(x: np.ndarray) -> list[np.ndarray]:
        return [model(x)]

    config = TritonConfig(
        grpc_port=free_port(), http_port=free_port(), metrics_port=free_port(), grpc_address="127.0.0.1"
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name=MODEL,
            infer_func=[infer] * instances,
            inputs=[Tensor(name="x", dtype=np.float32, shape=(len(model.row),))],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(len(model.bias),))],
            config=ModelConfig(max_batch_size=MOST_ROWS, batcher=DynamicBatcher(max_queue_delay_microseconds=delay_us)),
        )
        triton.run()
        announce(config.grpc_port, service_pb2, model, request_file)
        triton.serve()


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
