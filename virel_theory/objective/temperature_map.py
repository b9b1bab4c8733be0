r"""Temperature map $g(\omega, \cdot)$ and enclosures of it for temperatures in $[a, b]$, rounding included.

With $v_\varepsilon(s) = E_{\pi_\varepsilon}[Q(\cdot,s)]$ and
$V_\varepsilon(s) = Var_{\pi_\varepsilon}(Q(\cdot,s)) / \varepsilon^2$: $v' = -V \le 0$, so every
$\beta_h(\varepsilon) = r + \gamma P v_\varepsilon - Q$ falls monotonically from $\mathcal T^*$'s residual to
the uniform policy's. Hence a box encloses $\beta_h$ between its end points, $g = \sum w|\beta|^p$ by monotone
pieces, and $g' = -\gamma \sum w\,\psi(\beta)\,P V$ with $\psi(\beta) = p\,\mathrm{sign}(\beta)|\beta|^{p-1}$
monotone. For V: in the inverse temperature, $|d \log Var| \le R_s$ (third central moment over variance, R_s
the range of Q(., s)); and $V \le \sum_a x_a^2 e^{-x_a}$ with $x_a = (\max Q - Q_a)/\varepsilon$, as the
partition sum is at least 1.

Rounding (u = 2.2e-16, twice the unit roundoff, which pays for second-order terms). A weight e^-x carries (3
x + 2) u, and x e^-x <= 1/e, x^2 e^-x < 1; so the loss sum_a p_a gap_a of at most A terms is off by (5 A +
8) u R, v by another 2 u max|q|; P v by (S + 2) u max|q| more; the three sums and products of beta by 4 u
(max|r| + max|q|). V, a sum of A terms below 4/e^2 in which x and its mean (<= A/e) each carry A + 8 ulps,
is off by less than 64 (A + 4)^2 u. Its upper bound sum_a x_a^2 e^-x_a has no cancellation: x is off by u
x and e^-x by (x + 8) u relative, the sum by A u; x^2 e^-x falls beyond 2, so x may be cut at 700, where
nothing underflows: relative (A + 800) u. Underflow: terms w |beta|^p lose |H| 5e-324 < `TINY`, times 1 + sum
w + sum |beta|^p.

Units: $\beta$ at temperature $s\varepsilon$ of s q and s r is $s\beta$. Hence $\varepsilon = s e$ solves
$\varepsilon = \sum w|\beta|^p$ iff e solves it with q / s, r / s and the weights $s^{p-1}w$. With s a
power of 2 that is exact, but for $s^{p-1}$ where it is none: $k(p-1)$ and 2 to its fractional part add
(|k (p - 1)| + 2) u, s = 2^k.
"""

from dataclasses import dataclass, replace

import numpy as np

from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

TINY = float(np.finfo(np.float64).tiny)
MAX_EXPONENT = 4000  # 2 to this power, times any float64 but 0, is out of range
Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class TemperatureMap:
    """Temperature map `g(omega, .)` of a table of action values, with its rounding allowances (`eta_...`).

    `gap [S, A]` is how far a value is below its row's maximum, inf where the action does not exist.
    """

    mdp: TabularMDP
    q: Array
    gap: Array
    weights: Array
    p_norm: float
    eta_beta: float
    eta_v: float
    eta_weights: float = 0.0

    @staticmethod
    def of(mdp: TabularMDP, table: Array, weights: Array, p_norm: float) -> "TemperatureMap":
        """Build the temperature map of a table of action values, with the allowances for its rounding."""
        on = mdp.available
        q_max, r_max = float(np.abs(table[on]).max()), float(np.abs(mdp.reward[on]).max())
        gap = table.max(axis=1, keepdims=True) - table
        n_states, n_actions = mdp.shape
        spread = float(gap[on].max())
        eta_beta = U * ((5 * n_actions + 8) * spread + (n_states + 4) * q_max + 4 * (q_max + r_max))
        q = np.where(on, table, 0.0)
        return TemperatureMap(mdp, q, gap, weights, p_norm, eta_beta, 64 * (n_actions + 4) ** 2 * U)

    @staticmethod
    def in_own_units(
        mdp: TabularMDP, table: Array, weights: Array, p_norm: float
    ) -> tuple["TemperatureMap", float]:
        """Build the temperature map in a unit that keeps values and rewards below 2; also return that unit.

        The unit is a power of 2.
        """
        on = mdp.available
        size = max(float(np.abs(table[on]).max()), float(np.abs(mdp.reward[on]).max()))
        k = int(np.frexp(size)[1]) - 1
        power = float(np.clip(k * (p_norm - 1), -MAX_EXPONENT, MAX_EXPONENT))
        whole = int(np.floor(power))
        with np.errstate(over="ignore"):
            scaled = np.ldexp(weights * np.exp2(power - whole), whole)
        small = replace(mdp, reward=np.ldexp(mdp.reward, -k))
        g = TemperatureMap.of(small, np.ldexp(table, -k), scaled, p_norm)
        return replace(g, eta_weights=(abs(power) + 2) * U), float(np.ldexp(1.0, k))

    def policy(self, eps: float) -> Array:
        """Boltzmann policy at temperature `eps`: greedy (uniform over ties) at 0, uniform at inf."""
        if eps == 0:
            mass = (self.gap == 0).astype(np.float64)
        elif eps == np.inf:
            mass = np.isfinite(self.gap).astype(np.float64)
        else:
            mass = np.exp(-self._scaled(eps))
        out: Array = mass / mass.sum(axis=1, keepdims=True)
        return out

    def beta(self, eps: float) -> Array:
        """Bellman residual `[S, A]` of the Boltzmann policy at `eps`, 0 where the action does not exist."""
        exists = np.isfinite(self.gap)
        loss = (self.policy(eps) * np.where(exists, self.gap, 0.0)).sum(axis=1)
        v = self.q.max(axis=1, where=exists, initial=-np.inf) - loss
        return np.where(
            self.mdp.available, self.mdp.reward + self.mdp.gamma * self.mdp.expect_next(v) - self.q, 0.0
        )

    def value(self, eps: float) -> float:
        """Value `g(omega, eps)` of the temperature map, in floating point."""
        return float(np.sum(self.weights * np.abs(self.beta(eps)) ** self.p_norm))

    def scaled_variance(self, eps: float) -> Array:
        """Variance of Q under the Boltzmann policy over `eps^2`, `[S]`; 0 in both limits of `eps`."""
        if eps in (0, np.inf):
            return np.zeros(self.mdp.n_states)
        pi, x = self.policy(eps), self._scaled(eps)
        x = np.where(pi > 0, x, 0.0)
        mean = (pi * x).sum(axis=1, keepdims=True)
        out: Array = (pi * (x - mean) ** 2).sum(axis=1)
        return out

    def slope(self, eps: float) -> float:
        """Partial derivative of the temperature map with respect to eps, in floating point."""
        psi = self._psi(self.beta(eps))
        return 0.0 - self.mdp.gamma * float(
            np.sum(self.weights * psi * self.mdp.expect_next(self.scaled_variance(eps)))
        )

    def value_range(self, a: float, b: float) -> Range:
        """Enclosure of the temperature map on `[a, b]`, rounding included; b may be inf."""
        top = self.beta(a) + self.eta_beta
        bottom = (top if a == b else self.beta(b) + self.eta_beta) - 2 * self.eta_beta
        low = np.maximum(0.0, np.maximum(bottom, -top))
        slack = (self.weights.size + 8) * U + self.eta_weights
        power = np.maximum(np.abs(top), np.abs(bottom)) ** self.p_norm
        lost = TINY * float(1 + self.weights.sum() + power.sum())
        g_low, g_high = np.sum(self.weights * low**self.p_norm), np.sum(self.weights * power)
        return float(g_low) * (1 - slack) - lost, float(g_high) * (1 + slack) + lost

    def slope_range(self, a: float, b: float) -> Range:
        """Enclosure of the temperature map's derivative in eps on `[a, b]`, a >= 0, rounding included."""
        low, high = self._psi(self.beta(b) - self.eta_beta), self._psi(self.beta(a) + self.eta_beta)
        v_low, v_high = self._variance_range(a, b)
        n_terms = self.weights.size + self.mdp.n_states + 16
        pv_low, pv_high = self.mdp.expect_next(v_low), self.mdp.expect_next(v_high)
        top = np.sum(self.weights * np.where(high > 0, high * pv_high, high * pv_low))
        bottom = np.sum(self.weights * np.where(low > 0, low * pv_low, low * pv_high))
        slack = (n_terms * U + self.eta_weights) * float(
            np.sum(self.weights * np.maximum(np.abs(low), np.abs(high)) * pv_high)
        )
        gamma = self.mdp.gamma
        return -gamma * (float(top) + slack), -gamma * (float(bottom) - slack)

    def _variance_range(self, a: float, b: float) -> tuple[Array, Array]:
        """Enclosure of every state's scaled variance on the temperatures `[a, b]`, two arrays `[S]`."""
        with np.errstate(divide="ignore", over="ignore"):
            x_low, x_high = self._scaled(b), self.gap / a if a > 0 else np.where(self.gap > 0, np.inf, 0.0)
        peak = np.minimum(np.clip(2.0, x_low, x_high), 700.0)
        high = (peak**2 * np.exp(-peak)).sum(axis=1, where=np.isfinite(self.gap))
        high *= 1 + (self.gap.shape[1] + 800) * U
        if a == 0:
            return np.zeros(self.mdp.n_states), high
        middle = 0.5 * (a + b)
        spread = np.max(self.gap, axis=1, where=np.isfinite(self.gap), initial=0.0)
        shift = spread * (max(1 / a - 1 / middle, 1 / middle - 1 / b) * (1 + 8 * U))
        v = self.scaled_variance(middle)
        down, up = np.exp(-shift) * (middle / b) ** 2, np.exp(np.minimum(shift, 700.0)) * (middle / a) ** 2
        low = np.maximum(0.0, (v - self.eta_v) * down * (1 - 16 * U))
        return low, np.minimum(high, (v + self.eta_v) * up * (1 + 16 * U))

    def _scaled(self, eps: float) -> Array:
        """Gaps below the best action, divided by the temperature; inf where the quotient overflows."""
        with np.errstate(over="ignore"):
            out: Array = self.gap / eps
        return out

    def _psi(self, beta: Array) -> Array:
        """Derivative of `|beta|^p` with respect to the residual beta, elementwise."""
        out: Array = self.p_norm * np.sign(beta) * np.abs(beta) ** (self.p_norm - 1)
        return out
