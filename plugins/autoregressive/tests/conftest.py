"""A tiny network that nothing has trained: what the tests are about does not depend on its weights."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import utils

from genservice import save_weights
from genservice.model.noise import Noise, TensorFlowOps, words
from genservice_autoregressive.family import WEIGHTS, Transformer

CHARACTERS = "\n abcdefgh"
CONFIG = {"characters": CHARACTERS, "context": 24, "layers": 2, "width": 16, "heads": 2, "hidden": 24}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The model, loaded."""
    from genservice_autoregressive.network import Decoder

    utils.set_random_seed(1)
    shape = {name: value for name, value in CONFIG.items() if name != "characters"}
    folder = tmp_path_factory.mktemp("tiny")
    save_weights(Decoder(characters=len(CHARACTERS), **shape), folder / WEIGHTS)
    model = Transformer(CONFIG)
    model.load(folder)
    return model


class Driver:
    """Drives a model by hand as an engine does: compiled, with one number of slots; each row has its own step."""

    def __init__(self, model, slots):
        import tensorflow as tf

        self.model, self.slots = model, slots
        self.state = model.allocate(slots)
        self.texts = {}
        self.logits = {}
        self._rows = [None] * slots
        self._seeds, self._indexes = np.zeros((slots, 2), np.uint32), np.zeros((slots, 2), np.uint32)
        self._steps = np.zeros(slots, np.uint32)
        self._tf = tf

        def enter(slots, prompt, options):
            noise = Noise(tf.zeros_like(slots), tf.zeros_like(slots), tf.zeros_like(slots), TensorFlowOps())
            model.enter(self.state, slots, noise, SimpleNamespace(**options), {"prompt": prompt})

        def step(seeds, indexes, steps):
            seen = []
            decoder_step = model._decoder.step

            def spied(*arguments):
                outputs = decoder_step(*arguments)
                seen.append(outputs[0])
                return outputs

            model._decoder.step = spied
            try:
                done, tokens = model.step(self.state, Noise(seeds, indexes, steps, TensorFlowOps()), slots)
            finally:
                model._decoder.step = decoder_step
            return done, tokens, seen[0]

        self._enter = tf.function(enter, jit_compile=True, autograph=False)
        self._step = tf.function(step, jit_compile=True, autograph=False)

    def enter(self, slot, name, prompt="", seed=7, index=0, **options):
        """Puts a row into a slot; what is written of it is gathered under its name."""
        import tensorflow as tf

        values = {**self.model.Options(**options).model_dump()}
        kinds = {"temperature": tf.float32, "top_k": tf.int64, "top_p": tf.float32, "max_length": tf.int64}
        columns = {name: tf.constant([values[name]], kind) for name, kind in kinds.items()}
        self._enter(tf.constant([slot]), tf.constant(self.model.tokenize(prompt)[None]), columns)
        self._seeds[slot], self._indexes[slot], self._steps[slot] = words([seed])[0], words([index])[0], 0
        self._rows[slot], self.texts[name], self.logits[name] = name, "", []

    def step(self):
        """Makes one step of all slots.

        Returns:
            Names of the rows that are done; they have left their slots.
        """
        self._steps += 1
        arguments = [self._tf.constant(array) for array in (self._seeds, self._indexes, self._steps)]
        done, tokens, logits = (part.numpy() for part in self._step(*arguments))
        left = []
        for slot, name in enumerate(self._rows):
            if name is None:
                continue
            self.logits[name].append(logits[slot].tobytes())
            if tokens[slot] >= 0:
                self.texts[name] += self.model.detokenize([tokens[slot]])
            if done[slot]:
                left.append(name)
                self._rows[slot] = None
        return left

    def run(self):
        """Steps until no row is left."""
        while any(name is not None for name in self._rows):
            self.step()


@pytest.fixture(scope="session")
def driver():
    """Makes a driver of a model."""
    return Driver
