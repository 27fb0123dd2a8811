"""Noise on the weights of the models that ship makes their figures worse: so the figures are of the weights."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.plugin_host import PluginHost
from genservice.store.manifest import Manifest
from genservice.store.names import ModelName
from genservice.store.store import ModelStore
from genservice.training.cache import cache_folder
from genservice.training.evaluation import evaluate, serving

ROWS = 1000
"""Most rows that are measured."""

HOST = PluginHost.discover()
SHIPPED = ModelStore(HOST.stores)


def held_out(source: str) -> DataSet:
    """Data that is at hand, cut to what is measured in little time."""
    if not (cache_folder() / source).is_dir() and source not in ("iris", "digits"):
        pytest.skip(f"{source} is not in the cache")
    try:
        data = HOST.data_sources[source](cache_folder())
    except DataError as missing:
        pytest.skip(missing.message)
    chosen = np.random.default_rng(0).permutation(len(data.test_inputs))[:ROWS]
    known = np.random.default_rng(0).permutation(len(data.train_inputs))[: 10 * ROWS]
    return replace(
        data,
        train_inputs=data.train_inputs[known],
        train_labels=data.train_labels[known],
        test_inputs=data.test_inputs[chosen],
        test_labels=data.test_labels[chosen],
    )


def spoilt(model: str, folder: Path, scale: float) -> ModelStore:
    """A store with the model, its weights off by a factor of about 1 ± scale each."""
    from safetensors.numpy import load_file, save_file

    version = max(SHIPPED.versions(model))
    source = SHIPPED.directory(model, version)
    noise = np.random.default_rng(1)

    def build(directory: Path) -> Manifest:
        manifest = SHIPPED.manifest(model, version)
        for name in manifest.files:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            if not name.endswith(".safetensors"):
                shutil.copyfile(source / name, directory / name)
                continue
            tensors = load_file(source / name)
            for key, values in tensors.items():
                factors = np.exp(scale * noise.standard_normal(values.shape))
                if values.dtype.kind == "f":
                    tensors[key] = (values * factors).astype(values.dtype)
                elif values.dtype == np.uint8:
                    # Bytes stand for values around their middle.
                    tensors[key] = np.clip(128 + (values - 128.0) * factors, 0, 255).astype(np.uint8)
            save_file(tensors, directory / name)
        return manifest

    store = ModelStore([folder])
    store.publish(model, build)
    return store


def figures(store: ModelStore, data: DataSet, model: str, judge: str | None) -> Mapping[str, float | int | str]:
    async def measure() -> Mapping[str, float | int | str]:
        judges = [ModelName(judge)] if judge is not None else []
        async with (
            serving(store, HOST.families, [ModelName(model)]) as [subject],
            serving(SHIPPED, HOST.families, judges) as others,
        ):
            return (await evaluate(subject, data, judge=others[0] if others else None)).metrics()

    return asyncio.run(measure())


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("model", "source", "judge", "scale", "higher", "lower"),
    [
        (
            "fashion-gan",
            "fashion-mnist",
            "fashion-cnn",
            0.3,
            ("agreement", "precision"),
            ("frechet_ratio", "kernel_distance", "pixel_frechet_ratio", "pixel_kernel_distance"),
        ),
        ("fashion-cnn", "fashion-mnist", None, 0.3, ("accuracy", "macro_f1"), ("expected_calibration_error",)),
        (
            "iris-mixture",
            "iris",
            None,
            0.2,
            ("accuracy", "macro_f1", "row_precision"),
            ("nats_per_row", "bits_per_dimension", "row_frechet_ratio", "row_kernel_distance"),
        ),
        (
            "letters",
            "letters",
            None,
            0.5,
            ("token_accuracy", "sequence_accuracy"),
            ("nats_per_token", "nats_per_sequence"),
        ),
        (
            "faces",
            "orl-faces",
            None,
            0.5,
            ("auc", "tpr_at_fpr_1_percent", "tpr_at_fpr_1_permille", "pair_accuracy", "rank_1"),
            (),
        ),
    ],
)
def test_noise_on_the_weights_makes_the_figures_worse(
    tmp_path: Path,
    model: str,
    source: str,
    judge: str | None,
    scale: float,
    higher: tuple[str, ...],
    lower: tuple[str, ...],
) -> None:
    data = held_out(source)
    sound = figures(SHIPPED, data, model, judge)
    noisy = figures(spoilt(model, tmp_path / "store", scale), data, model, judge)
    for name in higher:
        assert noisy[name] < sound[name], name
    for name in lower:
        assert noisy[name] > sound[name], name
