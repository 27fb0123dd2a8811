"""Trains the densities with scikit-learn, and takes over its parameters as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice import DataSet
from genservice.errors import DataError
from genservice.model.fit import Progress


@dataclass(frozen=True, slots=True)
class NaiveBayesRecipe:
    """Hyperparameters of `train_naive_bayes`.

    Attributes:
        var_smoothing: Share of the greatest variance of an element that is added to all variances.
    """

    var_smoothing: float = 1e-9


@dataclass(frozen=True, slots=True)
class MixtureRecipe:
    """Hyperparameters of `train_mixture`.

    Attributes:
        components: Gaussians of each label.
        reg_covar: Added to the diagonals of the covariances, in the squared units of the data.
        restarts: Runs of EM from different starts, of which the likeliest is kept.
        max_steps: Most steps of a run.
    """

    components: int = 2
    reg_covar: float = 1e-6
    restarts: int = 5
    max_steps: int = 500


def train_naive_bayes(data: DataSet, recipe: NaiveBayesRecipe, progress: Progress) -> Mapping[str, NDArray[Any]]:
    """Fits the means and variances of each label by scikit-learn's `GaussianNB`.

    Args:
        data: Numbers with labels.
        recipe: The hyperparameters.
        progress: Is told when it is done, and the mean log-likelihood of a row and its label.

    Returns:
        float64: `prior` `[labels]`, `weights` `[labels, 1]`, `means` and `variances` `[labels, 1, dimensions]`.

    Raises:
        DataError: The data is not numbers with labels, or has no row of a label.
    """
    from sklearn.naive_bayes import GaussianNB

    rows = np.concatenate([rows for rows, _ in _rows_by_label(data)])
    labels = np.sort(data.train_labels)
    fitted = GaussianNB(var_smoothing=recipe.var_smoothing).fit(rows, labels)
    joint = fitted.predict_joint_log_proba(rows)[np.arange(len(rows)), labels]
    progress(1, 1, {"log_likelihood": float(joint.mean())})
    return {
        "prior": fitted.class_prior_,
        "weights": np.ones((len(data.labels), 1)),
        "means": fitted.theta_[:, None],
        "variances": fitted.var_[:, None],
    }


def train_mixture(data: DataSet, recipe: MixtureRecipe, seed: int, progress: Progress) -> Mapping[str, NDArray[Any]]:
    """Fits a mixture for each label by EM (Bishop 2006, section 9.2.2, equations 9.23 to 9.28), by scikit-learn.

    The priors are the shares of the labels (equation 4.73).

    Args:
        data: Numbers with labels.
        recipe: The hyperparameters.
        seed: Seeds the starts.
        progress: Is told labels done, and the last one's mean log-likelihood of a row.

    Returns:
        float64: `prior` `[labels]`, `weights` `[labels, components]`, `means` `[labels, components, dimensions]`, and
        `factors`, the lower triangles of the Cholesky factors of the covariances, row by row.

    Raises:
        DataError: The data is not numbers with labels, has fewer rows of a label than there are components, or rows
            of a label that lie in a plane, for which `reg_covar` is too small.
    """
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    count = len(data.labels)
    shares, weights, means, factors = [], [], [], []
    for done, (rows, name) in enumerate(_rows_by_label(data), start=1):
        if len(rows) < recipe.components:
            raise DataError(f"{data.name} has {len(rows)} rows of {name!r}, for {recipe.components} components.")
        mixture = GaussianMixture(
            recipe.components,
            reg_covar=recipe.reg_covar,
            n_init=recipe.restarts,
            max_iter=recipe.max_steps,
            random_state=seed,
        )
        try:
            # In one thread, so that sums have one order: several threads would change the last bits.
            with threadpool_limits(1):
                fitted = mixture.fit(rows)
        except ValueError as fault:
            raise DataError(f"{data.name}, {name!r}: {fault}") from fault
        lower = np.linalg.cholesky(fitted.covariances_)
        shares.append(len(rows) / len(data.train_inputs))
        weights.append(fitted.weights_)
        means.append(fitted.means_)
        factors.append(lower[:, *np.tril_indices(rows.shape[1])])
        progress(done, count, {"log_likelihood": float(fitted.score(rows))})
    return {
        "prior": np.array(shares),
        "weights": np.stack(weights),
        "means": np.stack(means),
        "factors": np.stack(factors),
    }


def _rows_by_label(data: DataSet) -> list[tuple[NDArray[np.float64], str]]:
    """The training rows of each label, flat, in float64."""
    if not data.labels or data.train_inputs.dtype.kind not in "fiu":
        raise DataError(f"{data.name} is not rows of numbers with labels, which a joint density is trained on.")
    flat = data.train_inputs.reshape(len(data.train_inputs), -1).astype(np.float64)
    by_label = [(flat[data.train_labels == label], name) for label, name in enumerate(data.labels)]
    for rows, name in by_label:
        if not len(rows):
            raise DataError(f"{data.name} has no row of the label {name!r} to train on.")
    return by_label
