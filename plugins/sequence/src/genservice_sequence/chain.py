"""Inference in a linear-chain conditional random field (Lafferty, McCallum & Pereira 2001), in log space.

The symbols are those of Sutton & McCallum 2012, An Introduction to Conditional Random Fields (arXiv:1011.4088),
definition 2.2 and section 4.1: M labels, T positions, factors Psi, forward variables alpha, backward variables beta,
the normalisation Z, and delta of the Viterbi recursion. Positions are counted from 0 here, and from 1 there.
"""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """The factors of p(y | x) = 1/Z(x) prod_t Psi_t(y_t, y_{t-1}, x_t) for a batch of sequences (definition 2.2).

    Here log Psi_t(j, i, x_t) = unary[t, j] + transitions[i, j]; the second term is left out at the first position.

    Args:
        unary: What a position says of its label, float32 or float64 `[batch, T, M]`, T being the longest of the lengths
            or more. What stands in the padding has no influence, as long as it is finite.
        transitions: What label i says of its successor j, in the same type, `[M, M]`.
        lengths: Positions of each sequence that are no padding, int32 `[batch]`, 1 or greater.
    """

    unary: tf.Tensor
    transitions: tf.Tensor
    lengths: tf.Tensor

    @property
    def positions(self) -> tf.Tensor:
        """T, an int32 scalar."""
        return tf.shape(self.unary)[1]

    def as_float64(self) -> "Chain":
        """The same factors with more digits to sum them in."""
        return Chain(tf.cast(self.unary, tf.float64), tf.cast(self.transitions, tf.float64), self.lengths)

    def log_alpha(self) -> tf.Tensor:
        """Forward variables: alpha_t(j) = sum_i Psi_t(j, i, x_t) alpha_{t-1}(i), and alpha_0(j) = Psi_0(j, x_0).

        Returns:
            In the type of `unary`, `[T, batch, M]`; in the padding as at the last position.
        """

        def step(alpha: tf.Tensor, position: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            t, psi = position
            moved = psi + tf.reduce_logsumexp(alpha[:, :, None] + self.transitions, axis=1)
            return self._unless_padding(t, tf.where(t == 0, psi, moved), alpha)

        return tf.scan(step, self._positions(), initializer=tf.zeros_like(self.unary[:, 0]))

    def log_beta(self) -> tf.Tensor:
        """Backward variables: beta_t(i) = sum_j Psi_{t+1}(j, i, x_{t+1}) beta_{t+1}(j), and 1 at the last position.

        Returns:
            In the type of `unary`, `[T, batch, M]`; 0 in the padding.
        """

        def step(beta: tf.Tensor, following: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            t, psi = following
            return self._unless_padding(
                t, tf.reduce_logsumexp(self.transitions + (psi + beta)[:, None, :], axis=2), tf.zeros_like(beta)
            )

        t, psi = self._positions()
        following = (t + 1, tf.roll(psi, -1, axis=0))
        return tf.scan(step, following, initializer=tf.zeros_like(self.unary[:, 0]), reverse=True)

    def log_z(self) -> tf.Tensor:
        """Logarithm of Z(x) = sum_j alpha_T(j), in the type of `unary`, `[batch]`."""
        return tf.reduce_logsumexp(self.log_alpha()[-1], axis=1)

    def log_psi(self, labels: tf.Tensor) -> tf.Tensor:
        """Logarithm of prod_t Psi_t(y_t, y_{t-1}, x_t) for one labelling of each sequence.

        Args:
            labels: int32 `[batch, T]`, from 0 to M - 1.

        Returns:
            In the type of `unary`, `[batch]`.
        """
        unary = tf.gather(self.unary, labels, axis=2, batch_dims=2)
        moves = tf.gather_nd(self.transitions, tf.stack([labels[:, :-1], labels[:, 1:]], axis=2))
        inside = tf.sequence_mask(self.lengths, self.positions, unary.dtype)
        return tf.reduce_sum(unary * inside, axis=1) + tf.reduce_sum(moves * inside[:, 1:], axis=1)

    def log_prob(self, labels: tf.Tensor) -> tf.Tensor:
        """Gives log p(y | x) of one labelling of each sequence, in the type of `unary`, `[batch]`; see `log_psi`."""
        return self.log_psi(labels) - self.log_z()

    def marginals(self) -> tf.Tensor:
        """p(y_t = j | x) = alpha_t(j) beta_t(j) / Z(x), in the type of `unary`, `[batch, T, M]`."""
        return tf.transpose(tf.nn.softmax(self.log_alpha() + self.log_beta()), [1, 0, 2])

    def viterbi(self) -> tf.Tensor:
        """The most probable labelling: delta_t(j) = max_i Psi_t(j, i, x_t) delta_{t-1}(i), then back along the maxima.

        Returns:
            int32 `[batch, T]`; in the padding the label of the last position.
        """
        labels = tf.range(tf.shape(self.unary)[2])

        def step(state: tuple[tf.Tensor, tf.Tensor], position: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            delta, stay = state[0], tf.broadcast_to(labels, tf.shape(state[1]))
            t, psi = position
            arrivals = delta[:, :, None] + self.transitions
            moved = tf.where(t == 0, psi, psi + tf.reduce_max(arrivals, axis=1))
            origin = tf.argmax(arrivals, axis=1, output_type=tf.int32)
            return self._unless_padding(t, moved, delta), self._unless_padding(t, origin, stay)

        first = tf.zeros_like(self.unary[:, 0])
        delta, origins = tf.scan(step, self._positions(), initializer=(first, tf.cast(first, tf.int32)))
        last = tf.argmax(delta[-1], axis=1, output_type=tf.int32)
        # What origin t gives is the label at t - 1; that of the first position points nowhere and is dropped.
        earlier = tf.scan(
            lambda label, origin: tf.gather(origin, label, batch_dims=1), origins, initializer=last, reverse=True
        )
        return tf.transpose(tf.concat([earlier[1:], last[None]], axis=0))

    def _positions(self) -> tuple[tf.Tensor, tf.Tensor]:
        """What the recursions go over: t and log Psi_t without its transitions, `[T]` and `[T, batch, M]`."""
        return tf.range(self.positions), tf.transpose(self.unary, [1, 0, 2])

    def _unless_padding(self, t: tf.Tensor, inside: tf.Tensor, outside: tf.Tensor) -> tf.Tensor:
        return tf.where((t < self.lengths)[:, None], inside, outside)
