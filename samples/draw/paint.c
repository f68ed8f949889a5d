// Colours, paints and the noise that makes them less flat.
#include "canvas.h"

#include <math.h>

Color rgb(int r, int g, int b) { return (Color){r / 255.0, g / 255.0, b / 255.0, 1}; }
Color fade(Color c, double alpha) { c.a *= alpha; return c; }

Color mix(Color a, Color b, double t) {
    return (Color){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t, a.a + (b.a - a.a) * t};
}

Paint flat(Color c) { return (Paint){.from = c, .to = c}; }

Paint ramp(Color from, Color to, double x0, double y0, double x1, double y1) {
    return (Paint){.from = from, .to = to, .x0 = x0, .y0 = y0, .x1 = x1, .y1 = y1};
}

Paint grainy(Paint p, double grain, double fx, double fy, uint32_t seed) {
    p.grain = grain; p.fx = fx; p.fy = fy; p.seed = seed;
    return p;
}

uint32_t hash2(int32_t x, int32_t y, uint32_t seed) {
    uint32_t h = seed * 0x9E3779B1u ^ (uint32_t)x * 0x85EBCA6Bu ^ (uint32_t)y * 0xC2B2AE35u;
    h ^= h >> 15; h *= 0x2C1B3C6Du;
    h ^= h >> 12; h *= 0x297A2D39u;
    return h ^ h >> 15;
}

static double lattice(double x, double y, uint32_t seed) {
    double fx = floor(x), fy = floor(y), u = x - fx, v = y - fy;
    int32_t i = (int32_t)fx, j = (int32_t)fy;
    double k = 2.0 / 4294967295.0;
    double a = hash2(i, j, seed) * k - 1, b = hash2(i + 1, j, seed) * k - 1;
    double c = hash2(i, j + 1, seed) * k - 1, d = hash2(i + 1, j + 1, seed) * k - 1;
    u = u * u * (3 - 2 * u); v = v * v * (3 - 2 * v);
    return (a + (b - a) * u) * (1 - v) + (c + (d - c) * u) * v;
}

double noise(double x, double y, uint32_t seed) {
    double sum = 0, amplitude = 0.55;
    for (int octave = 0; octave < 3; octave++, x *= 2.03, y *= 2.03, amplitude *= 0.5)
        sum += amplitude * lattice(x, y, seed + 77u * (uint32_t)octave);
    return sum;
}

double uniform(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) / 16777216.0;
}

double between(uint32_t *state, double low, double high) { return low + (high - low) * uniform(state); }
