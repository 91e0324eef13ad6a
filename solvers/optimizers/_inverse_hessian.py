"""The dense inverse Hessian of a quasi-Newton method, and how a step changes it.

On a CPU it is a NumPy array that BLAS changes in place, whatever the framework; on a GPU an array of the
framework. It has 8 P^2 bytes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import blas

from solvers.backends.base import Array, Backend, Tree

__all__ = ["Change", "InverseHessian", "OnDevice", "OnHost", "from_triangle", "inverse_hessian", "self_scaled"]

DOUBLE = np.dtype("float64")


@dataclass(frozen=True)
class Change:
    """H <- scale H + ss s s' + sh (s h' + h s') + hh h h', with the step s (P,) and h = H y (P,), where y is the
    change of the gradient."""

    scale: float
    ss: float
    sh: float
    hh: float


def self_scaled(update: str, first: bool, bent: float, ys: float, yhy: float, parameters: int) -> Change:
    """The update of BFGS, or of self-scaled BFGS or Broyden (Al-Baali 1998; Urban, Stefanou and Pons 2025).

    ``bent`` is s'Bs, where B is the inverse of H, which is -a s'g for a step of length a along -H g; ``ys`` is y's
    and ``yhy`` y'Hy. With h = y'Hy / y's, b = s'Bs / y's and v = s / y's - H y / y'Hy the update is

        H <- [H - H y (H y)' / y'Hy + phi y'Hy v v'] / tau + s s' / y's.

    BFGS has phi = tau = 1; SSBFGS tau = min(1, 1 / b); SSBroyden both from its own bounds. The ``first`` update,
    of an H that is the identity, has tau = h / (1 + (b h - 1) theta): for BFGS the usual scaling of the identity
    by y's / y'y.
    """
    h, b = yhy / ys, bent / ys
    theta, tau = 0.0, 1.0
    if update == "ssbroyden":
        theta, tau = _broyden(h, b, parameters)
    elif update == "ssbfgs":
        tau = min(1.0, 1 / b)
    bound = 1 + (b * h - 1) * theta
    phi = (1 - theta) / bound
    if first:
        tau = h / bound
    return Change(1 / tau, phi * yhy / (tau * ys**2) + 1 / ys, -phi / (tau * ys), (phi - 1) / (tau * yhy))


def _broyden(h: float, b: float, parameters: int) -> tuple[float, float]:
    """theta and tau of the second self-scaled Broyden method. Where b h = 1, as on a quadratic along an
    eigenvector, its bounds have no limits of their own, and theta = 0 is BFGS."""
    a = b * h - 1
    rho = min(1.0, 1 / b)
    if abs(a) < 1e-14:
        return 0.0, rho
    lower = min(1.0, h * (1 - np.sqrt(abs(a) / (1 + a))))
    theta = max((lower - 1) / a, min(1 / lower, (1 - b) / b))
    sigma = 1 + a * theta
    root = abs(sigma) ** (1 / (1 - parameters)) if parameters > 1 else 1.0
    tau = min(rho * root, sigma) if theta <= 0 else rho * min(root, 1 / theta)
    return float(theta), float(tau)


@dataclass(frozen=True)
class OnHost:
    """A symmetric matrix (P, P) in NumPy, of which the upper triangle counts. BLAS sees its transpose, which is
    ordered by columns, so that nothing is copied: neither here nor for a checkpoint."""

    array: np.ndarray

    def times(self, vector: np.ndarray) -> np.ndarray:
        """H v (P,)."""
        return blas.dsymv(1.0, self.array.T, vector, lower=1)

    def changed(self, change: Change, s: np.ndarray, h: np.ndarray) -> "OnHost":
        """The matrix after ``change``, in the same memory: in one pass where it is BFGS."""
        columns = self.array.T
        if change.scale != 1:
            blas.dscal(change.scale, self.array.reshape(-1))
        if change.hh != 0:
            blas.dsyr(change.hh, h, lower=1, a=columns, overwrite_a=1)
        # ss s s' + sh (s h' + h s') = s w' + w s' with this w.
        w = change.sh * h + 0.5 * change.ss * s
        blas.dsyr2(1.0, s, w, lower=1, a=columns, overwrite_a=1)
        return self

    def identity(self) -> "OnHost":
        """The identity, in the same memory."""
        self.array.fill(0)
        np.fill_diagonal(self.array, 1)
        return self

    @property
    def kept(self) -> Any:
        """What an optimizer's memory holds."""
        return self.array


@dataclass(frozen=True)
class OnDevice:
    """A symmetric matrix (P, P) of a backend, in float64. NumPy makes an array of it when a checkpoint asks."""

    array: Array
    backend: Backend

    def times(self, vector: np.ndarray) -> np.ndarray:
        """H v (P,)."""
        return self._call("inverse Hessian times", lambda _, matrix, vector: matrix @ vector, vector)

    def changed(self, change: Change, s: np.ndarray, h: np.ndarray) -> "OnDevice":
        """The matrix after ``change``."""

        def new(_: Tree, matrix: Array, pair: Array, middle: Array, scale: Array) -> Array:
            return scale * matrix + (pair @ middle) @ pair.T

        middle = np.array([[change.ss, change.sh], [change.sh, change.hh]])
        given = np.stack([s, h], axis=1), middle, np.array(change.scale)
        found = self.backend.call("inverse Hessian", new, self.array, *self.backend.array(given, DOUBLE))
        return OnDevice(found, self.backend)

    def identity(self) -> "OnDevice":
        """The identity."""
        return OnDevice(self.backend.array(np.eye(len(self.array)), DOUBLE), self.backend)

    def _call(self, key: str, function: Any, vector: np.ndarray) -> np.ndarray:
        found = self.backend.call(key, function, self.array, self.backend.array(vector, DOUBLE))
        return self.backend.numpy(found)

    @property
    def kept(self) -> Any:
        """What an optimizer's memory holds."""
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """For a checkpoint."""
        return np.asarray(self.backend.numpy(self.array), dtype)


InverseHessian = OnHost | OnDevice


def from_triangle(upper: np.ndarray, backend: Backend) -> InverseHessian:
    """The matrix of which an array (P, P) holds the upper triangle; it takes the array over."""
    if backend.on_cpu:
        return inverse_hessian(upper, backend)
    own = np.triu(upper)
    return inverse_hessian(own + np.triu(own, 1).T, backend)


def inverse_hessian(kept: Any, backend: Backend) -> InverseHessian:
    """The matrix that an optimizer's memory holds, from itself or from a checkpoint."""
    if isinstance(kept, OnDevice):
        return kept
    if not backend.on_cpu:
        return OnDevice(backend.array(kept, DOUBLE), backend)
    # An array from a checkpoint may be one that must not be changed.
    usable = kept.flags.c_contiguous and kept.flags.writeable
    return OnHost(kept if usable else np.array(kept, order="C"))
