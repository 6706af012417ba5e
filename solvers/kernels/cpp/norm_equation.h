// One scalar equation per group, as in solvers/regularizers/norm_equation.py: with r = ||z||, z = r*b / (r*d + t) and
// phi(r) = sum b^2 / (r*d + t)^2 = 1. Here with one division an entry and iteration, and every quantity that is summed
// lies in [0, 1] at the root: b*u, r*d*u with u = 1 / (r*d + t). Sums are taken in R over at most 64 terms, then in
// double.
#pragma once

#include <cmath>

constexpr int max_iterations = 20;

struct GroupRoot {
    double t = 1, r = 0, low = 0, high = INFINITY;
    double b_scale = 1, d_scale = 1; // of the B and D that the sums were taken of
    bool done = true;                // r is the root; r = 0, t = 1 give z = 0
    bool lost = false;               // out of range: no root was found

    // size_square = sum b^2, weighted = sum b^2*d, steepest = max d.
    void start(double threshold, double size_square, double weighted, double steepest) {
        const double size = std::sqrt(size_square);
        *this = {.b_scale = b_scale, .d_scale = d_scale};
        if (size <= threshold) return;
        // Jensen's lower bound with the mean of d under the weights b^2, and the crude one, which guards it against
        // rounding.
        const double crude = (size - threshold) / steepest, jensen = (size - threshold) * size_square / weighted;
        low = jensen > crude ? jensen : crude;
        lost = !(low > 0 && low < INFINITY);
        if (lost) return;
        t = threshold;
        r = low;
        done = false;
    }

    // One step of Cauchy's third-order method on h(r) = phi^(-1/2), between the best bounds known; the sums are
    // dimensionless: psi = sum b^2 u^2 (rdu), chi = sum b^2 u^2 (rdu)^2.
    void move(double phi, double psi, double chi, double close, double exact) {
        const double gap = 1 - std::sqrt(phi), slope = psi / phi, bend = 3 * (slope * slope - chi / phi);
        if (!(slope > 0 && std::fabs(gap) < INFINITY)) return lose();
        const double newton = r * (1 - gap / slope);
        if (newton > low) low = newton;
        if (gap > 0 && r < high) high = r;
        const double radicand = slope * slope - 2 * gap * bend;
        const double step = -2 * gap / (slope + std::sqrt(radicand > 0 ? radicand : 0));
        double next = r * (1 + step);
        if (next < low) next = low;
        if (next > high) next = high;
        // The error that is left is of the order of the cube of this step.
        done = std::fabs(next - r) <= close * r || std::fabs(gap) <= exact;
        r = next;
    }

    void lose() {
        *this = {.b_scale = b_scale, .d_scale = d_scale};
        lost = true;
    }
};
