"""The elementwise part of each method: the state takes the gradient in, and gives B and D. Formulas in contract.py.

A tensor is loaded when its turn comes, not all at the beginning: at most three tiles are in registers at a time.
"""

import triton
import triton.language as tl

from solvers.kernels.gpu.arithmetic import cube_root


@triton.jit
def form(
    point, gradient, x0, x1, x2, at, inside, k, price, FIRST: tl.constexpr, SHRINK: tl.constexpr, SPEC: tl.constexpr
):
    """B and D of the entries ``at``, zero where not ``inside``; with ``FIRST`` the gradient enters the state before,
    with ``SHRINK`` B is shrunk by ``price``, what psi charges for a unit of an entry.

    ``k`` points to the coefficients, the others to the tensors.
    """
    g = tl.zeros(at.shape, SPEC.sums)
    if FIRST and SPEC.gradient:
        g = take(gradient, at, inside, SPEC)
    UPDATE: tl.constexpr = FIRST and SPEC.gradient
    if SPEC.recurrence == "ramda":
        b, d = ramda(g, x0, x1, x2, at, inside, k, UPDATE, SPEC)
    elif SPEC.recurrence == "rmda":
        b, d = rmda(g, x0, x1, at, inside, k, UPDATE, SPEC)
    elif SPEC.recurrence == "proxsgd":
        b, d = proxsgd(g, point, x0, at, inside, k, UPDATE, SPEC)
    else:
        b, d = proxgen(g, point, x0, x1, x2, at, inside, k, UPDATE, SPEC)
    if SHRINK:
        left = tl.abs(b) - price
        # In this order a NaN stays.
        b = tl.where(left <= 0, 0.0, tl.where(b < 0, -left, left))
    return tl.where(inside, b, 0.0), tl.where(inside, d, 0.0)


@triton.jit
def take(tensor, at, inside, SPEC: tl.constexpr):
    return tl.load(tensor + at, mask=inside, other=0.0).to(SPEC.sums)


@triton.jit
def coefficient(k, number: tl.constexpr, SPEC: tl.constexpr):
    return tl.load(k + number).to(SPEC.sums)


@triton.jit
def ramda(g, initial_point, grad_sum, grad_sq_sum, at, inside, k, UPDATE: tl.constexpr, SPEC: tl.constexpr):
    s, eps = coefficient(k, 0, SPEC), coefficient(k, 1, SPEC)
    U = take(grad_sq_sum, at, inside, SPEC)
    if UPDATE:
        U += s * g * g
        tl.store(grad_sq_sum + at, U, mask=inside)
    P = cube_root(U, SPEC.sums) + eps
    V = take(grad_sum, at, inside, SPEC)
    if UPDATE:
        V += s * g
        tl.store(grad_sum + at, V, mask=inside)
    return P * take(initial_point, at, inside, SPEC) - V, P + coefficient(k, 2, SPEC)


@triton.jit
def rmda(g, initial_point, grad_sum, at, inside, k, UPDATE: tl.constexpr, SPEC: tl.constexpr):
    s, beta = coefficient(k, 0, SPEC), coefficient(k, 1, SPEC)
    V = take(grad_sum, at, inside, SPEC)
    if UPDATE:
        V += s * g
        tl.store(grad_sum + at, V, mask=inside)
    return beta * take(initial_point, at, inside, SPEC) - V, tl.zeros_like(V) + beta + coefficient(k, 2, SPEC)


@triton.jit
def proxsgd(g, point, momentum_buffer, at, inside, k, UPDATE: tl.constexpr, SPEC: tl.constexpr):
    rate = coefficient(k, 1, SPEC)
    m = take(momentum_buffer, at, inside, SPEC)
    if UPDATE:
        m = (1 - tl.load(k)).to(SPEC.sums) * m + coefficient(k, 0, SPEC) * g
        tl.store(momentum_buffer + at, m, mask=inside)
    return coefficient(k, 2, SPEC) * take(point, at, inside, SPEC) - rate * m, tl.zeros_like(m) + 1


@triton.jit
def proxgen(g, point, exp_avg, exp_avg_sq, max_exp_avg_sq, at, inside, k, UPDATE: tl.constexpr, SPEC: tl.constexpr):
    if UPDATE or SPEC.recurrence == "proxgen":
        v = take(exp_avg_sq, at, inside, SPEC)
        if UPDATE:
            v = coefficient(k, 2, SPEC) * v + coefficient(k, 3, SPEC) * (g * g)
            tl.store(exp_avg_sq + at, v, mask=inside)
    if SPEC.recurrence == "proxgen_amsgrad":
        largest = take(max_exp_avg_sq, at, inside, SPEC)
        if UPDATE:
            largest = tl.where(largest > v, largest, v)
            tl.store(max_exp_avg_sq + at, largest, mask=inside)
        v = largest
    d = coefficient(k, 4, SPEC) * tl.sqrt(v) + coefficient(k, 5, SPEC)
    m = take(exp_avg, at, inside, SPEC)
    if UPDATE:
        m += coefficient(k, 1, SPEC) * (g - m)
        tl.store(exp_avg + at, m, mask=inside)
    return d * (coefficient(k, 0, SPEC) * take(point, at, inside, SPEC)) - coefficient(k, 6, SPEC) * m, d
