"""Texts of a real model: the same bits however they are asked for, and each character told once."""

import json
import subprocess
import sys

import numpy as np
import pytest

from genservice_client import Client, SampleChunk, TextDelta

COUNT = 4
REQUEST = {"seed": 5, "conditions": {"prompt": "HAMLET.\n"}, "max_length": 80}


def told(client, count=COUNT, **request):
    """The texts of a stream, and the joined deltas of each."""
    deltas, texts = {}, {}
    for event in client.sample("shakespeare", count, text_deltas=True, **{**REQUEST, **request}).events():
        if isinstance(event, TextDelta):
            place = deltas.get(event.index, "")
            assert event.character_offset == len(place)
            deltas[event.index] = place + event.text
        elif isinstance(event, SampleChunk):
            texts.update(zip(event.indexes.tolist(), event.texts(), strict=True))
    return deltas, texts


@pytest.fixture(scope="module")
def whole(server):
    with Client(server.address) as client:
        return told(client)[1]


def test_a_text_stream_that_is_cut_in_the_middle_of_a_row_tells_each_character_once(server, cutting_proxy, whole):
    with cutting_proxy() as proxy, Client(proxy.address) as client:
        told(client)
        call_bytes = proxy.call_bytes
    limits = [round(call_bytes * part) for part in (0.2, 0.35, 0.5)]
    with cutting_proxy(limits) as proxy, Client(proxy.address) as client:
        deltas, texts = told(client)
        assert proxy.cuts == len(limits)
    assert texts == whole
    assert deltas == texts


def test_a_text_is_the_same_in_other_company(server, whole):
    with Client(server.address) as client:
        beside = [client.sample("shakespeare", 5, seed=seed, max_length=60, temperature=1.5) for seed in range(3)]
        for index in (0, COUNT - 1):
            alone = client.sample("shakespeare", 1, first_index=index, **REQUEST).all().texts()
            assert alone == [whole[index]]
        assert all(len(stream.all()) == 5 for stream in beside)


def test_texts_of_one_call_differ_in_everything(server):
    prompts = ["HAMLET.\n", "", "To be, or not to be, that is the "]
    with Client(server.address) as client:
        request = {"seed": 3, "max_length": 40}
        together = client.sample("shakespeare", 3, conditions={"prompt": prompts}, **request).all().texts()
        for index, prompt in enumerate(prompts):
            drawn = client.sample("shakespeare", 1, first_index=index, conditions={"prompt": prompt}, **request)
            assert drawn.all().texts() == [together[index]]
        stopped = client.sample("shakespeare", 1, **REQUEST, stop=["\n"]).all().texts()[0]
        assert "\n" not in stopped
        greedy = [client.sample("shakespeare", 1, seed=seed, temperature=0.0, max_length=30) for seed in (1, 2)]
        assert greedy[0].all().texts() == greedy[1].all().texts()


def test_a_text_is_likelier_than_its_letters_in_disorder(server):
    text = "What say you to this, my good lord?"
    disorder = "".join(np.random.default_rng(0).permutation(list(text)))
    with Client(server.address) as client:
        likely, unlikely = client.score("shakespeare", [text, disorder]).log_prob
    assert likely > unlikely + 20


def test_the_command_line_prints_texts_or_writes_them(server, whole, tmp_path):
    def sample(*arguments):
        command = [sys.executable, "-m", "genservice", "sample", "shakespeare", str(COUNT), "--seed", "5"]
        draw = ["-c", "prompt=HAMLET.\n", "-o", "max_length=80", "--server", server.address]
        return subprocess.run(
            [*command, *draw, *map(str, arguments)], capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout

    printed = sample()
    assert all(text in printed for text in whole.values())
    sample("--out", tmp_path / "texts.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text().splitlines()]
    assert lines == [{"index": index, "text": text} for index, text in whole.items()]
    sample("--out", tmp_path / "texts")
    assert (tmp_path / "texts" / "000003.txt").read_text() == whole[3]
    assert "\n" not in sample("-o", 'stop=["\\n"]').splitlines()[0]
