"""Matching of feature moments: a critic of the mean and covariance of frozen features within each label.

The adversarial losses look at one sample at a time and are slow to notice that a label's samples vary too little. This
term compares distributions: it descends the Fréchet distance (Heusel et al. 2017, arXiv:1706.08500, eq. 6) between the
features of real and generated images of a label, as feature matching (Salimans et al. 2016, arXiv:1606.03498, section
3.1) does with the mean alone.
"""

import numpy as np
import tensorflow as tf


class FeatureMoments:
    """Real and running generated moments of one frozen feature vector, and the loss that draws them together.

    With real mean m and covariance C, d = E[f] - m of generated features f, and h = C^(-1/4) (f - m), the distance of
    the two Gaussians is near its minimum

        |d|^2 + 1/4 |E[h h^T] - C^(1/2)|_F^2,

    the second-order expansion of the Fréchet distance for covariances that commute. A batch holds too few samples of a
    label to estimate it, so running averages take the place of the expectations where the gradient meets them.

    Attributes:
        variables: Both running averages, the state to keep in a checkpoint.
        running_mean: Average of f - m, float32 `[num_classes, dim]`.
        running_second: Average of h h^T, float32 `[num_classes, dim, dim]`.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, *, decay: float) -> None:
        """Measures the real moments.

        Args:
            features: Features of real images, float32 `[count, dim]`.
            labels: Their labels, integers `[count]`, all of 0 .. num_classes - 1 present.
            decay: Decay a step of the running averages.
        """
        groups = [features[labels == label].astype(np.float64) for label in range(int(labels.max()) + 1)]
        means = np.stack([group.mean(axis=0) for group in groups])
        variances, bases = np.linalg.eigh(np.stack([np.cov(group, rowvar=False) for group in groups]))
        # Directions that hardly vary would otherwise dominate.
        variances = np.maximum(variances, 0.01 * variances.mean(axis=1, keepdims=True))
        self._means = tf.constant(means[:, None], tf.float32)
        self._whitening = tf.constant(bases * variances[:, None] ** -0.25, tf.float32)
        self._targets = tf.constant(np.stack([np.diag(row**0.5) for row in variances]), tf.float32)
        self._scale = float(variances.sum(axis=1).mean())
        self._decay = decay
        self.running_mean = tf.Variable(tf.zeros(means.shape), trainable=False)
        self.running_second = tf.Variable(self._targets, trainable=False)
        self.variables = [self.running_mean, self.running_second]

    def loss(self, features: tf.Tensor) -> tf.Tensor:
        """Updates the running moments, and returns what has the gradient of the distance.

        Args:
            features: Features of generated images, float32 `[batch, dim]`, sorted by label, equally many of each.

        Returns:
            Float32 scalar whose gradient is that of the distance, averaged over the labels, as a part of the real
            features' variance; its value means nothing.
        """
        num_classes, dim = self.running_mean.shape
        centred = tf.reshape(features, (num_classes, -1, dim)) - self._means
        whitened = tf.matmul(centred, self._whitening)
        mean = tf.reduce_mean(centred, axis=1)
        second = tf.matmul(whitened, whitened, transpose_a=True) / tf.cast(tf.shape(whitened)[1], tf.float32)
        self._average(self.running_mean, mean)
        self._average(self.running_second, second)
        slope = 2 * self.running_mean, (self.running_second - self._targets) / 2
        total = tf.reduce_sum(slope[0] * mean) + tf.reduce_sum(slope[1] * second)
        return total / (num_classes * self._scale)

    def distance(self) -> tf.Tensor:
        """Returns the distance of the running moments, relative like the loss's gradient, float32 scalar."""
        gap = tf.reduce_sum(self.running_mean**2) + tf.reduce_sum((self.running_second - self._targets) ** 2) / 4
        return gap / (self.running_mean.shape[0] * self._scale)

    def _average(self, running: tf.Variable, current: tf.Tensor) -> None:
        """Moves a running average towards a batch's value."""
        running.assign_add((1 - self._decay) * (tf.stop_gradient(current) - running))
