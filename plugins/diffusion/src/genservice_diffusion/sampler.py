"""The sampler: DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095) over the noise levels of EDM, row by row.

The noise of EDM (Karras et al. 2022, arXiv:2206.00364) has alpha_t = 1 and sigma_t = sigma, so that the half-logarithm
of the signal-to-noise ratio is lambda = -ln sigma. The solver evaluates the denoiser once a step and remembers its last
answer; it is of second order, deterministic, and its first-order case is DDIM (Song et al. 2021, arXiv:2010.02502).

Everything here works on rows that differ in how many steps they take and how many they have taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import keras
from keras import ops

GUIDED_BELOW = 3.0
"""The noise level above which samples are not guided, for pixels from -1 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseLevels:
    """The noise levels of a draw: sigma_0 > ... > sigma_{N-1} > sigma_N = 0 (EDM, eq. 5).

    The lowest level is higher than EDM's 0.002: the denoiser is trusted with the last of the noise, which it removes
    better than it draws it. On Fashion-MNIST, at 20 steps, the Fréchet distance is 0.252 from 0.02, 0.227 from 0.05
    and 0.223 from 0.1 on.

    Args:
        sigma_min: sigma_{N-1}.
        sigma_max: sigma_0.
        rho: How much closer the levels are towards the end.
    """

    sigma_min: float = 0.08
    sigma_max: float = 80.0
    rho: float = 7.0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The levels that a version's config tells."""
        return cls(**{name: float(value) for name, value in config.items()})

    def at(self, position: keras.KerasTensor, steps: keras.KerasTensor) -> keras.KerasTensor:
        """Gives sigma_i.

        Args:
            position: i, int32 `[batch]`; what lies outside 0 .. N gives the nearest level.
            steps: N, int32 `[batch]`, from 1.

        Returns:
            Float32 `[batch]`; 0 at i = N.
        """
        high, low = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        place = ops.cast(position, "float32") / ops.cast(ops.maximum(steps - 1, 1), "float32")
        levels = ops.power(high + ops.clip(place, 0.0, 1.0) * (low - high), self.rho)
        return ops.where(position >= steps, 0.0, levels)


def guidance_weights(
    guidance_scale: keras.KerasTensor, sigmas: keras.KerasTensor, guided_below: float
) -> keras.KerasTensor:
    """Limits guidance to the lower noise levels (Kynkäänniemi et al. 2024, arXiv:2404.07724).

    Above them it would only drive the samples of a label together: on Fashion-MNIST, the limit takes a quarter off the
    Fréchet distance at the same agreement with the label. It is a limit to what goes beyond the label's distribution;
    a scale below 1, towards samples of any label, holds at every level.

    Args:
        guidance_scale: What was asked for, float32 `[batch]`.
        sigmas: The noise levels, float32 `[batch]`.
        guided_below: The highest level that is guided.

    Returns:
        w, float32 `[batch]`: the scale, or at most 1 above the limit.
    """
    return ops.where(sigmas <= guided_below, guidance_scale, ops.minimum(guidance_scale, 1.0))


def advance(
    images: keras.KerasTensor,
    denoised: keras.KerasTensor,
    denoised_before: keras.KerasTensor,
    position: keras.KerasTensor,
    steps: keras.KerasTensor,
    levels: NoiseLevels,
) -> keras.KerasTensor:
    """Takes one step of DPM-Solver++(2M) (Lu et al. 2022, algorithm 2).

    The first step has no answer before it, and the last goes to sigma = 0, where lambda has no end: both are of first
    order, which is DDIM's step, so the last one gives the denoised images themselves.

    Args:
        images: x at sigma_i, float32 `[batch, height, width, channels]`.
        denoised: D(x; sigma_i), in the same shape.
        denoised_before: D at sigma_{i-1}; anything finite where i = 0.
        position: i, int32 `[batch]`, 0 .. N - 1.
        steps: N, int32 `[batch]`, from 1.
        levels: The noise levels.

    Returns:
        x at sigma_{i+1}, in the shape of the images.
    """
    before, here, after = (levels.at(position + offset, steps) for offset in (-1, 0, 1))
    first, last = position == 0, position + 1 >= steps
    # Where a neighbour is missing, the logarithms are taken of some other level, and their ratio is not used.
    step = ops.log(here) - ops.log(ops.where(last, here / 2, after))  # h_{i+1} = lambda_{i+1} - lambda_i
    step_before = ops.log(ops.where(first, here * 2, before)) - ops.log(here)
    extrapolation = ops.where(first | last, 0.0, step / (2 * step_before))  # 1 / (2 r)
    kept = after / here  # e^-h, and 0 at the end
    kept, extrapolation = (each[:, None, None, None] for each in (kept, extrapolation))
    estimate = denoised + extrapolation * (denoised - denoised_before)
    return kept * images + (1 - kept) * estimate
