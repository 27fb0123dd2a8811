"""What the peers' servers share. It runs in their virtual environments: nothing of genservice is there."""

import socket
from pathlib import Path
from typing import Any

import grpc
import numpy as np

METHOD = "/inference.GRPCInferenceService/ModelInfer"
MODEL = "logistic"
LIMIT_S = 60


class Logistic:
    """softmax(x W + b).

    Args:
        arrays: `kernel`, `bias`, `row` and `probabilities`.
    """

    def __init__(self, arrays: str) -> None:
        with np.load(arrays) as loaded:
            self.kernel, self.bias = loaded["kernel"], loaded["bias"]
            self.row, self.probabilities = loaded["row"], loaded["probabilities"]

    def __call__(self, rows: Any) -> Any:
        """Gives float32 `[batch, 10]` for float32 `[batch, 784]`."""
        logits = rows @ self.kernel + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def announce(port: int, stubs: Any, model: Logistic, request_file: str) -> None:
    """Asks the server once, checks the answer, and tells the benchmark where to go and what to send.

    Args:
        port: Of the gRPC service.
        stubs: The module of the protocol's messages.
        model: What is served.
        request_file: Where to write the request, serialized.
    """
    tensor = stubs.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, len(model.row)])
    request = stubs.ModelInferRequest(
        model_name=MODEL,
        inputs=[tensor],
        outputs=[stubs.ModelInferRequest.InferRequestedOutputTensor(name="probabilities")],
        raw_input_contents=[model.row.astype(np.float32).tobytes()],
    )
    Path(request_file).write_bytes(request.SerializeToString())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary(
            METHOD, lambda message: message.SerializeToString(), stubs.ModelInferResponse.FromString
        )
        response = method(request, timeout=LIMIT_S, wait_for_ready=True)
    if response.raw_output_contents:
        answer = np.frombuffer(response.raw_output_contents[0], np.float32)
    else:
        answer = np.array(response.outputs[0].contents.fp32_contents, np.float32)
    np.testing.assert_allclose(answer, model.probabilities, atol=1e-4)
    print(f"ready 127.0.0.1:{port} {response.ByteSize()}", flush=True)
