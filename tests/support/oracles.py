"""Numerical oracles that test files share: finite differences."""

import numpy as np


def finite_difference(f, x, *, rel_step=None):
    """Jacobian of `f` at `x` by central differences, `[*f(x).shape, *x.shape]`.

    The step is h = rel_step * max(1, |x_i|), rounded so that x + h - x = h exactly. The truncation error is
    h^2 |f'''| / 6, the rounding error about u |f| / h (u = 2.2e-16); their sum is smallest near h = u^(1/3),
    6e-6, the default, and is then about u^(2/3), 4e-11, of max(|f|, |f'''|). Trust it no further: where `f`
    has scale F and third derivative D, compare with atol = u F / h + h^2 D / 6. A kink within h of `x` spoils
    it altogether.
    """
    x = np.asarray(x, dtype=np.float64)
    rel_step = np.finfo(np.float64).eps ** (1 / 3) if rel_step is None else rel_step
    columns = []
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = rel_step * max(1.0, abs(x[index]))
        step = (x + step) - x
        difference = np.asarray(f(x + step)) - np.asarray(f(x - step))
        columns.append(difference / (2 * step[index]))
    return np.stack(columns, axis=-1).reshape((*np.shape(columns[0]), *x.shape))
