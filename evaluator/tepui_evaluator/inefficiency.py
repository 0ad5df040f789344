"""Log densities of e = u + v: one-sided inefficiency u >= 0 of scale s, plus normal noise v of scale sigma.

u is what a model loses against the frontier. Its family is unknown, so the frontier law is fitted under
each of FAMILIES (stochastic frontier analysis: Aigner, Lovell and Schmidt 1977 for the half-normal, Meeusen
and van den Broeck 1977 for the exponential, Greene 1990 for the gamma).

For gamma(m + 1), m = 0 the exponential, with z = e/sigma - sigma/s:

    f(e) = s**-(m+1) sigma**m / m! * exp(-e/s + sigma**2/(2 s**2)) K_m(z)
    K_m(z) = integral over w > 0 of w**m phi(z - w);  K_0 = Phi, K_1 = phi + z Phi, K_{m+1} = z K_m + m K_{m-1}

and d log K_m(z) / dz = K_{m+1}/K_m - z. With J_m = K_m / phi(z) the exponent becomes -e**2/(2 sigma**2), which
is how it is added for negative z: the two large terms of the other form cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import erfcx, gammaln, log_ndtr, ndtr

from tepui_evaluator.points import FloatArray, IntArray

Family = Literal["half_normal", "exponential", "gamma2", "gamma3", "gamma6"]
FAMILIES: tuple[Family, ...] = ("half_normal", "exponential", "gamma2", "gamma3", "gamma6")
GAMMA_SHAPES: dict[Family, int] = {"exponential": 1, "gamma2": 2, "gamma3": 3, "gamma6": 6}

OUTLIER_SHARE, OUTLIER_MEAN, OUTLIER_SD = 0.02, 0.1, 0.2
_HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))
_Z_RECURSION = -4.0  # below, K_7 from the recursion has lost more than 7 of 16 digits
_FRACTION_LEVELS = 36  # of the continued fraction; relative error below 1e-11 from |z| = 4 on


@dataclass(frozen=True, eq=False)
class Density:
    """Log density and its first and second derivatives by e, p = log sigma and q = log s; one shape."""

    value: FloatArray
    e: FloatArray
    p: FloatArray
    q: FloatArray
    ee: FloatArray
    ep: FloatArray
    eq: FloatArray
    pp: FloatArray
    pq: FloatArray
    qq: FloatArray


def log_density(family: Family, e: FloatArray, sigma: FloatArray, s: FloatArray) -> Density:
    """Log density of residuals `e` under one family, with derivatives; arrays of one shape, sigma and s > 0."""
    if family == "half_normal":
        return _half_normal(e, sigma, s)
    return _gamma(GAMMA_SHAPES[family] - 1, e, sigma, s)


def log_densities(family_R: IntArray, e_RN: FloatArray, sigma_RN: FloatArray, s_RN: FloatArray) -> Density:
    """The same with a family number (of FAMILIES) for each row of R problems by N points."""
    parts = {name: np.empty_like(e_RN) for name in Density.__dataclass_fields__}
    for number in np.unique(family_R):
        rows = family_R == number
        density = log_density(FAMILIES[number], e_RN[rows], sigma_RN[rows], s_RN[rows])
        for name, part in parts.items():
            part[rows] = getattr(density, name)
    return Density(**parts)


def with_outliers(d: Density, e: FloatArray) -> Density:
    """Mixture of the density with a broad normal, so that no single model can move the frontier."""
    outlier_e = (OUTLIER_MEAN - e) / OUTLIER_SD**2
    log_outlier = float(np.log(OUTLIER_SHARE / OUTLIER_SD)) - _HALF_LOG_2PI - 0.5 * (OUTLIER_MEAN - e) * outlier_e
    value = np.logaddexp(d.value + float(np.log(1.0 - OUTLIER_SHARE)), log_outlier)
    r = np.exp(d.value + float(np.log(1.0 - OUTLIER_SHARE)) - value)
    both = r * (1.0 - r)
    difference = d.e - outlier_e
    return Density(
        value=value,
        e=r * d.e + (1.0 - r) * outlier_e,
        p=r * d.p,
        q=r * d.q,
        ee=r * d.ee - (1.0 - r) / OUTLIER_SD**2 + both * difference * difference,
        ep=r * d.ep + both * difference * d.p,
        eq=r * d.eq + both * difference * d.q,
        pp=r * d.pp + both * d.p * d.p,
        pq=r * d.pq + both * d.p * d.q,
        qq=r * d.qq + both * d.q * d.q,
    )


def _half_normal(e: FloatArray, sigma: FloatArray, s: FloatArray) -> Density:
    """With S**2 = sigma**2 + s**2, P = sigma**2/S**2, Q = 1 - P, t = e**2/S**2, w = e s/(sigma S)."""
    total = sigma * sigma + s * s
    root = np.sqrt(total)
    P, t = sigma * sigma / total, e * e / total
    Q, PQ = 1.0 - P, P - P * P
    w_e = s / (sigma * root)
    w = e * w_e
    w_p, w_q = -w * (1.0 + P), w * P
    with np.errstate(over="ignore"):
        mills = float(np.sqrt(2.0 / np.pi)) / erfcx(-w * float(np.sqrt(0.5)))
    slope = -mills * (w + mills)
    common = 2.0 * PQ * (t - 1.0)
    return Density(
        value=float(np.log(2.0)) - _HALF_LOG_2PI - np.log(root) - 0.5 * t + log_ndtr(w),
        e=-e / total + mills * w_e,
        p=P * (t - 1.0) + mills * w_p,
        q=Q * (t - 1.0) + mills * w_q,
        ee=-1.0 / total + slope * w_e * w_e,
        ep=2.0 * e * P / total + slope * w_e * w_p - mills * w_e * (1.0 + P),
        eq=2.0 * e * Q / total + slope * w_e * w_q + mills * w_e * P,
        pp=common - 2.0 * t * P * P + slope * w_p * w_p + mills * w * ((1.0 + P) ** 2 - 2.0 * PQ),
        pq=-common - 2.0 * t * PQ + slope * w_p * w_q + mills * w * (2.0 * PQ - P - P * P),
        qq=common - 2.0 * t * Q * Q + slope * w_q * w_q + mills * w * (P * P - 2.0 * PQ),
    )


def _gamma(m: int, e: FloatArray, sigma: FloatArray, s: FloatArray) -> Density:
    a, b = e / sigma, sigma / s
    z = a - b
    log_j, base, rho, slope = _ratios(m, z, a, b)
    z_p = -(a + b)
    one = 1.0 / sigma
    return Density(
        value=base + log_j - (m + 1) * np.log(s) + m * np.log(sigma) - float(gammaln(m + 1)),
        e=one * (rho - a),
        p=m + a * a + rho * z_p,
        q=rho * b - (m + 1),
        ee=one * one * (slope - 1.0),
        ep=one * (2.0 * a + slope * z_p - rho),
        eq=one * slope * b,
        pp=-2.0 * a * a + slope * z_p * z_p + rho * z,
        pq=slope * z_p * b + rho * b,
        qq=slope * b * b - rho * b,
    )


def _ratios(
    m: int, z: FloatArray, a: FloatArray, b: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """log of K_m (J_m below _Z_RECURSION), the exponent to add to it, K_{m+1}/K_m, and its derivative by z."""
    zc = np.maximum(z, _Z_RECURSION)
    phi = np.exp(-0.5 * zc * zc - _HALF_LOG_2PI)
    k = [ndtr(zc)]
    k.append(phi + zc * k[0])
    for j in range(1, m + 2):
        k.append(zc * k[j] + j * k[j - 1])
    log_k, rho = np.log(k[m]), k[m + 1] / k[m]
    slope = k[m + 2] / k[m] - rho * rho
    base = np.where(z < 0.0, 0.5 * (z * z - a * a), b * (0.5 * b - a))
    low = np.flatnonzero(z.reshape(-1) < _Z_RECURSION)
    if low.size:
        far = np.unravel_index(low, z.shape)
        log_k[far], rho[far], slope[far] = _far_ratios(m, z[far])
        base[far] = -0.5 * a[far] ** 2 - _HALF_LOG_2PI
    return log_k, base, rho, slope


def _far_ratios(m: int, z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """log J_m, J_{m+1}/J_m and its derivative for z far below 0.

    r_j = J_j / J_{j-1} obeys the continued fraction r_j = j / (|z| + r_{j+1}), run from far enough.
    """
    r = np.zeros_like(z)
    kept: dict[int, FloatArray] = {}
    for j in range(m + _FRACTION_LEVELS, 0, -1):
        r = j / (r - z)
        kept[j] = r
    log_j = np.log(erfcx(-z * float(np.sqrt(0.5)))) + 0.5 * float(np.log(np.pi / 2.0))
    for j in range(1, m + 1):
        log_j = log_j + np.log(kept[j])
    rho = kept[m + 1]
    return log_j, rho, rho * (kept[m + 2] - rho)
