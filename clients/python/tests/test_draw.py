import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genservice.v1 import generation_pb2, types_pb2
from genservice_client.draw import Draw
from genservice_client.errors import ProtocolError
from genservice_client.row_values import Conditions

span = st.tuples(st.integers(0, 29), st.integers(1, 8))


def header(request):
    return generation_pb2.SampleResponse(
        header=generation_pb2.SampleHeader(model="models/x/versions/1", content_hash="h", seed=request.seed)
    )


def chunk(start, end):
    rows = np.arange(start, end, dtype="<i8")
    tensor = types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_INT64, shape=[end - start], data=rows.tobytes())
    message = generation_pb2.SampleChunk(indexes=[types_pb2.IndexRange(start=start, end=end)], tensor=tensor)
    return generation_pb2.SampleResponse(chunk=message)


def taken(draw):
    rows = []
    while (piece := draw.take()) is not None:
        assert piece.to_numpy().tolist() == piece.indexes.tolist()
        rows.extend(piece.indexes.tolist())
    return rows


@given(first_index=st.integers(0, 2**40), streams=st.lists(st.lists(span), max_size=8))
def test_however_streams_lose_repeat_and_disorder_every_sample_is_given_out_once_in_order(first_index, streams):
    request = generation_pb2.SampleRequest(model="models/x", seed=1, first_index=first_index, sample_count=30)
    draw = Draw(request, Conditions({}, 30), max_request_bytes=1)
    given_out = []
    for chunks in streams:
        if draw.complete:
            break
        asked = draw.ask_next()
        asked.receive(header(asked.request))
        for start, length in chunks:
            try:
                asked.receive(chunk(first_index + start, first_index + start + length))
            except ProtocolError:
                break
        given_out += taken(draw)
    while not draw.complete:
        asked = draw.ask_next()
        asked.receive(header(asked.request))
        asked.receive(chunk(asked.start, asked.end))
        given_out += taken(draw)
    assert given_out == list(range(first_index, first_index + 30))
    assert draw.received_count == 30
