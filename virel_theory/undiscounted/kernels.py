"""Compiled loops over the pairs of an MDP; they check nothing, and the caller owns the out-arguments."""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit


@njit(cache=True)
@no_type_check
def attract(ptr, before, owner, allowed, reached, via, queue):
    """Add to `reached` the states that may get there by allowed pairs; `via[s] <-` the pair that does.

    `via` of the states reached at the start is left as it is. The nearest come first.
    """
    n = 0
    for s in range(len(reached)):
        if reached[s]:
            queue[n] = s
            n += 1
    i = 0
    while i < n:
        t = queue[i]
        i += 1
        for j in range(ptr[t], ptr[t + 1]):
            c = before[j]
            s = owner[c]
            if allowed[c] and not reached[s]:
                reached[s] = True
                via[s] = c
                queue[n] = s
                n += 1


@njit(cache=True)
@no_type_check
def trim(ptr, before, owner, allowed, inside, kept, queue):
    """Shrink `inside` and `allowed` to the states that an allowed pair keeps inside for good.

    A pair is dropped once a successor is outside, a state once it has no pair; states in `kept` need none.
    """
    count = np.zeros(len(inside), dtype=np.int64)
    for c in range(len(owner)):
        if not inside[owner[c]]:
            allowed[c] = False
        if allowed[c]:
            count[owner[c]] += 1
    n = 0
    for s in range(len(inside)):
        if inside[s] and count[s] == 0 and not kept[s]:
            inside[s] = False
        if not inside[s]:
            queue[n] = s
            n += 1
    i = 0
    while i < n:
        t = queue[i]
        i += 1
        for j in range(ptr[t], ptr[t + 1]):
            c = before[j]
            if not allowed[c]:
                continue
            allowed[c] = False
            s = owner[c]
            count[s] -= 1
            if count[s] == 0 and inside[s] and not kept[s]:
                inside[s] = False
                queue[n] = s
                n += 1
    for c in range(len(owner)):
        if not inside[owner[c]]:
            allowed[c] = False


@njit(cache=True)
@no_type_check
def best_above(first, start, successor, prob, reward, x, error, tiny, high, arg):
    """Upper bounds `high <- max` over the pairs of a state of the backup of x, and the pair `arg`."""
    for s in range(len(x)):
        best, k = -np.inf, first[s]
        for c in range(first[s], first[s + 1]):
            total, size = 0.0, abs(reward[c])
            for j in range(start[c], start[c + 1]):
                y = prob[j] * x[successor[j]]
                total += y
                size += abs(y)
            value = reward[c] + total + (error * size + tiny)
            if value > best:
                best, k = value, c
        high[s] = best
        arg[s] = k


@njit(cache=True)
@no_type_check
def backup_of(pairs, start, successor, prob, reward, x, error, tiny, out, margin):
    """Backups `out[i] <- r + P x` of the chosen pairs, and bounds `margin[i]` on their errors."""
    for i in range(len(pairs)):
        c = pairs[i]
        total, size = 0.0, abs(reward[c])
        for j in range(start[c], start[c + 1]):
            y = prob[j] * x[successor[j]]
            total += y
            size += abs(y)
        out[i] = reward[c] + total
        margin[i] = error * size + tiny


@njit(cache=True)
@no_type_check
def sweep(first, start, successor, prob, reward, gamma, v, w, arg):
    """Sweep of the optimal operator, `w <- max r + gamma P v`, and the pair `arg` of each maximum."""
    for s in range(len(w)):
        best, k = -np.inf, first[s]
        for c in range(first[s], first[s + 1]):
            total = 0.0
            for j in range(start[c], start[c + 1]):
                total += prob[j] * v[successor[j]]
            value = reward[c] + gamma * total
            if value > best:
                best, k = value, c
        w[s] = best
        arg[s] = k
