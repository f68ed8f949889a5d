// Scenes seen from above, in units of the picture's width.
#include "draw.h"

#include <math.h>

static Image photo(Canvas *cv, double soft, uint32_t seed) {
    Image im = canvas_finish(cv, soft, 1, 0.035, seed);
    canvas_free(cv);
    return im;
}

static void tree(Canvas *cv, double x, double y, double r, Color c) {
    disc(cv, x + r * 0.35, y + r * 0.4, r, flat(fade(rgb(6, 14, 8), 0.55)));
    disc(cv, x, y, r, flat(c));
    disc(cv, x - r * 0.25, y - r * 0.28, r * 0.55, flat(fade(mix(c, rgb(190, 206, 120), 0.35), 0.6)));
}

Image aerial_field(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    static const struct { double x0, y0, x1, y1; int r, g, b; } plot[] = {
        {-0.6, -0.6, 0.06, 0.10, 122, 100, 72}, {0.06, -0.6, 0.7, -0.06, 96, 110, 62},
        {-0.6, 0.10, 0.20, 0.75, 74, 92, 48}, {0.06, -0.06, 0.7, 0.28, 142, 118, 86},
        {0.20, 0.28, 0.7, 0.8, 108, 92, 62},
    };
    place(cv, w * 0.5, h * 0.5, w, 9);
    backdrop(cv, flat(rgb(110, 98, 70)));
    for (int i = 0; i < 5; i++) {
        Color c = rgb(plot[i].r, plot[i].g, plot[i].b);
        int across = i % 2;
        double x0 = plot[i].x0, y0 = plot[i].y0, x1 = plot[i].x1, y1 = plot[i].y1;
        rect(cv, x0, y0, x1, y1, grainy(flat(c), 0.16, across ? 3 : 46, across ? 46 : 3, 70 + (uint32_t)i));
        for (int k = 0; k < 60; k++) { // furrows
            double at = k * 0.022;
            Paint furrow = flat(fade(mix(c, rgb(30, 24, 14), 0.5), 0.30));
            if (across && y0 + at < y1) line(cv, x0, y0 + at, x1, y0 + at, 0.005, furrow);
            if (!across && x0 + at < x1) line(cv, x0 + at, y0, x0 + at, y1, 0.005, furrow);
        }
    }
    line(cv, 0.06, -0.8, 0.06, 0.8, 0.014, flat(rgb(176, 164, 138))); // tracks
    line(cv, -0.8, 0.10, 0.06, 0.10, 0.010, flat(rgb(166, 152, 124)));
    line(cv, 0.06, 0.28, 0.8, 0.28, 0.010, flat(rgb(166, 152, 124)));
    return photo(cv, 0.9, 71);
}

static void car(Canvas *cv, double x, double y, uint32_t *state) {
    static const int paint[8][3] = {{236, 236, 238}, {34, 36, 42}, {120, 124, 132}, {128, 34, 36},
                                    {44, 58, 104}, {204, 206, 210}, {64, 66, 72}, {26, 30, 40}};
    const int *c = paint[(int)(uniform(state) * 7.999)];
    rect(cv, x + 0.003, y + 0.004, x + 0.019, y + 0.038, flat(fade(rgb(0, 0, 0), 0.5)));
    rect(cv, x, y, x + 0.016, y + 0.034, flat(rgb(c[0], c[1], c[2])));
    rect(cv, x + 0.002, y + 0.009, x + 0.014, y + 0.013, flat(rgb(30, 34, 40)));
    rect(cv, x + 0.002, y + 0.026, x + 0.014, y + 0.029, flat(rgb(30, 34, 40)));
}

Image aerial_parking(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 72;
    place(cv, w * 0.5, h * 0.5, w, -12);
    backdrop(cv, grainy(flat(rgb(146, 142, 136)), 0.10, 7, 7, 5));
    for (int row = -6; row < 7; row++) {
        double y = row * 0.125;
        line(cv, -0.8, y, 0.8, y, 0.003, flat(rgb(214, 212, 206)));
        for (int i = -34; i < 35; i++) {
            double x = i * 0.0225, full = 0.72 + 0.5 * noise(x * 3, y * 3, 11);
            if ((i + 100) % 23 < 2) continue; // a way across
            line(cv, x, y - 0.040, x, y + 0.040, 0.002, flat(fade(rgb(228, 226, 220), 0.7)));
            if (uniform(&state) < full) car(cv, x + 0.003, y - 0.037, &state);
            if (uniform(&state) < full) car(cv, x + 0.003, y + 0.004, &state);
        }
    }
    // The roof of the shop, with its shadow and air conditioners.
    rect(cv, 0.14, -0.80, 0.80, -0.255, flat(fade(rgb(40, 40, 46), 0.6)));
    rect(cv, 0.16, -0.80, 0.80, -0.28, grainy(flat(rgb(226, 224, 218)), 0.05, 6, 6, 9));
    for (int i = 0; i < 4; i++) rect(cv, 0.21 + 0.09 * i, -0.36, 0.24 + 0.09 * i, -0.33, flat(rgb(150, 152, 156)));
    return photo(cv, 0.5, 72);
}

static void woods(Canvas *cv, int n, uint32_t seed, double r0, double r1) {
    uint32_t state = seed;
    for (int i = 0; i < n; i++) {
        double x = between(&state, -0.6, 0.6), y = between(&state, -0.6, 0.6);
        Color c = mix(rgb(28, 48, 28), rgb(62, 84, 46), uniform(&state));
        tree(cv, x, y, between(&state, r0, r1), c);
    }
}

Image aerial_river(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    static Path p;
    place(cv, w * 0.5, h * 0.5, w, 0);
    backdrop(cv, grainy(flat(rgb(40, 60, 36)), 0.3, 12, 12, 7));
    woods(cv, 1500, 73, 0.010, 0.022);
    path_clear(&p);
    path_to(&p, -0.7, 0.36);
    path_curve(&p, -0.35, 0.42, -0.30, 0.05, -0.08, 0.04);
    path_curve(&p, 0.14, 0.03, 0.12, -0.10, 0.26, -0.24);
    path_curve(&p, 0.36, -0.34, 0.5, -0.30, 0.7, -0.40);
    stroke(cv, &p, 0.435, 0, grainy(flat(rgb(92, 92, 66)), 0.2, 20, 20, 3)); // the bank
    stroke(cv, &p, 0.400, 0, grainy(ramp(rgb(34, 52, 56), rgb(50, 70, 70), -0.5, -0.3, 0.5, 0.3), 0.10, 5, 9, 4));
    stroke(cv, &p, 0.10, 0, flat(fade(rgb(84, 104, 104), 0.25)));
    return photo(cv, 0.8, 73);
}

Image aerial_forest(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    place(cv, w * 0.5, h * 0.5, w, 0);
    backdrop(cv, grainy(flat(rgb(30, 48, 28)), 0.3, 12, 12, 8));
    woods(cv, 2600, 74, 0.010, 0.022);
    return photo(cv, 0.7, 74);
}
