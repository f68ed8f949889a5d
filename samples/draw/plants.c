// Maize leaves as a scanner or camera sees them from close by, and flowers as a garden photograph.
#include "draw.h"

#include <math.h>

static Image photo(Canvas *cv, double soft, double gain, uint32_t seed) {
    Image im = canvas_finish(cv, soft, gain, 0.03, seed);
    canvas_free(cv);
    return im;
}

// ---- leaves: units of the picture's width, the midrib along x = 0 before the leaf is turned ----

// Fine parallel veins: a grain that is long along the leaf and short across it.
static Paint blade(Color left, Color right, uint32_t seed) {
    return grainy(ramp(left, right, -0.4, 0, 0.4, 0), 0.20, 26, 1.6, seed);
}

static void veins(Canvas *cv, double half, double bend, Color c) {
    static Path p;
    for (int i = -9; i <= 9; i++) {
        double x = half * i / 9.5;
        path_clear(&p);
        for (int k = -10; k <= 10; k++) path_to(&p, x * (1 - 0.02 * k * k / 10.0) + bend * k * k / 100.0, k * 0.1);
        stroke(cv, &p, i ? 0.006 : 0.030, 0, flat(fade(c, i ? 0.35 : 0.85)));
    }
}

Image leaf_healthy(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    place(cv, w * 0.52, h * 0.5, w, 14);
    backdrop(cv, blade(rgb(96, 168, 92), rgb(150, 204, 126), 5));
    for (int i = 0; i < 7; i++) { // soft folds
        double x = -0.62 + 0.2 * i;
        rect(cv, x, -1, x + 0.07, 1,
             ramp(fade(rgb(206, 236, 190), 0.30), fade(rgb(206, 236, 190), 0), x, 0, x + 0.07, 0));
        rect(cv, x - 0.09, -1, x, 1, ramp(fade(rgb(44, 112, 60), 0), fade(rgb(44, 112, 60), 0.30), x - 0.09, 0, x, 0));
    }
    veins(cv, 0.7, 0.05, rgb(226, 240, 208));
    return photo(cv, 2.2, 1, 31);
}

// A leaf with a wavy margin, cut out along `half`.
static void leaf_shape(Canvas *cv, double half, uint32_t seed, Paint paint) {
    static Path p;
    path_clear(&p);
    for (int k = -60; k <= 60; k++) path_to(&p, half + 0.07 * noise(k * 0.05, 1, seed), k / 60.0);
    for (int k = 60; k >= -60; k--) path_to(&p, -half - 0.07 * noise(k * 0.05, 7, seed), k / 60.0);
    fill(cv, &p, paint);
}

Image leaf_rust(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 32;
    place(cv, w * 0.5, h * 0.5, w, 18);
    backdrop(cv, flat(rgb(3, 3, 3)));
    leaf_shape(cv, 0.36, 9, blade(rgb(92, 126, 70), rgb(140, 168, 104), 6));
    veins(cv, 0.30, 0.02, rgb(190, 206, 150));
    for (int i = 0; i < 420; i++) { // pustules: a pale halo and a rusty core
        double x = between(&state, -0.31, 0.31), y = between(&state, -0.7, 0.7), r = between(&state, 0.003, 0.0085);
        if (noise(x * 6, y * 6, 4) < -0.12) continue;
        Color core = mix(rgb(120, 52, 18), rgb(196, 104, 40), uniform(&state));
        ellipse(cv, x, y, r * 1.9, r * 2.6, 0, flat(fade(rgb(206, 186, 96), 0.5)));
        ellipse(cv, x, y, r, r * 1.6, 0, flat(core));
    }
    return photo(cv, 0.9, 1, 32);
}

static void lesion(Canvas *cv, double x, double y, double half_w, double half_h, uint32_t seed) {
    static Path p;
    for (int layer = 0; layer < 3; layer++) {
        Color c = layer == 0 ? fade(rgb(112, 92, 52), 0.75) : layer == 1 ? rgb(186, 154, 108) : rgb(214, 190, 150);
        double k = 1 - 0.24 * layer;
        path_clear(&p);
        for (int i = 0; i < 60; i++) {
            double a = i * PI / 30, sharp = 1 - 0.35 * fabs(sin(a)); // pointed at both ends: cigar-shaped
            double edge = 1 + 0.22 * noise(3 * cos(a), 3 * sin(a), seed);
            path_to(&p, x + k * half_w * cos(a) * edge * sharp * 1.3, y + k * half_h * sin(a) * edge);
        }
        fill(cv, &p, grainy(flat(c), 0.22, 40, 7, seed + 5));
    }
}

Image leaf_blight(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 33;
    place(cv, w * 0.5, h * 0.5, w, -10);
    backdrop(cv, grainy(flat(rgb(148, 142, 158)), 0.08, 30, 30, 3));
    leaf_shape(cv, 0.395, 12, flat(rgb(70, 74, 76)));
    leaf_shape(cv, 0.38, 12, blade(rgb(64, 104, 66), rgb(92, 132, 80), 8));
    veins(cv, 0.33, 0.01, rgb(158, 180, 128));
    for (int i = 0; i < 46; i++) {
        double x = between(&state, -0.3, 0.3), y = between(&state, -0.6, 0.6);
        ellipse(cv, x, y, 0.004, 0.007, 0, flat(rgb(140, 92, 44)));
    }
    lesion(cv, 0.14, -0.04, 0.060, 0.36, 2);
    lesion(cv, -0.17, 0.22, 0.036, 0.20, 4);
    lesion(cv, -0.12, -0.36, 0.026, 0.11, 6);
    return photo(cv, 0.9, 1, 33);
}

// ---- flowers: units of half the picture's width, the origin where `place` puts it ----

static void hedge(Canvas *cv, Color dark, Color light, int n, uint32_t seed, double radius) {
    uint32_t state = seed;
    place(cv, 0, 0, cv->w, 0);
    backdrop(cv, grainy(flat(mix(dark, light, 0.3)), 0.3, 5, 5, seed));
    for (int i = 0; i < n; i++) {
        Color c = mix(dark, light, uniform(&state));
        double x = uniform(&state), y = uniform(&state) * cv->h / cv->w, size = between(&state, 0.02, 0.06);
        ellipse(cv, x, y, size * 2.4, size * 0.5, between(&state, -80, 80), flat(fade(c, 0.85)));
    }
    blur(cv, radius);
}

// A petal from (0, 0) outward along angle `deg`.
static void petal(Canvas *cv, double deg, double from, double to, double half, Paint paint, Color crease) {
    static Path p;
    double c = cos(deg * PI / 180), s = sin(deg * PI / 180), mid = from + (to - from) * 0.6;
    const double xy[7][2] = {{from, 0}, {from + (to - from) * 0.2, half}, {mid, half * 1.3}, {to, 0},
                             {mid, -half * 1.3}, {from + (to - from) * 0.2, -half}, {from, 0}};
    double q[7][2];
    for (int i = 0; i < 7; i++) { q[i][0] = c * xy[i][0] - s * xy[i][1]; q[i][1] = s * xy[i][0] + c * xy[i][1]; }
    path_clear(&p);
    path_to(&p, q[0][0], q[0][1]);
    path_curve(&p, q[1][0], q[1][1], q[2][0], q[2][1], q[3][0], q[3][1]);
    path_curve(&p, q[4][0], q[4][1], q[5][0], q[5][1], q[6][0], q[6][1]);
    fill(cv, &p, paint);
    stroke(cv, &p, 0.008, 1, flat(fade(crease, 0.5)));
    line(cv, c * (from + 0.1), s * (from + 0.1), c * (to - 0.08), s * (to - 0.08), 0.012, flat(fade(crease, 0.5)));
}

static Paint radial(Color inner, Color outer, double deg, double from, double to) {
    double c = cos(deg * PI / 180), s = sin(deg * PI / 180);
    return ramp(inner, outer, c * from, s * from, c * to, s * to);
}

Image flower_sunflower(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 41;
    static Path p;
    place(cv, 0, 0, w, 0);
    backdrop(cv, grainy(ramp(rgb(28, 92, 196), rgb(120, 178, 232), 0, 0, 0.2, 1), 0.05, 3, 3, 2));
    place(cv, w * 0.5, h * 0.42, w * 0.5, 0);
    line(cv, 0, 0.2, 0.10, 2, 0.11, ramp(rgb(70, 120, 40), rgb(44, 84, 30), 0, 0, 0.1, 0));
    for (int side = -1; side <= 1; side += 2) { // two leaves
        path_clear(&p);
        path_to(&p, 0.06, 1.05);
        path_curve(&p, side * 0.3, 0.6, side * 0.75, 0.75, side * 0.85, 1.0 + 0.1 * side);
        path_curve(&p, side * 0.5, 1.25, side * 0.2, 1.2, 0.06, 1.05);
        fill(cv, &p, grainy(ramp(rgb(96, 148, 52), rgb(46, 96, 34), 0, 0.7, 0, 1.2), 0.2, 6, 6, 4));
    }
    for (int ring = 0; ring < 2; ring++)
        for (int i = 0; i < 19; i++) {
            double deg = i * 360 / 19.0 + ring * 9.5 + between(&state, -3, 3);
            Color outer = mix(rgb(250, 200, 20), rgb(255, 222, 60), uniform(&state));
            Paint gold = radial(rgb(226, 140, 10), outer, deg, 0.28, 0.6);
            petal(cv, deg, 0.26, between(&state, 0.72, 0.82) - 0.05 * ring, 0.105, gold, rgb(190, 120, 10));
        }
    disc(cv, 0, 0, 0.36, ramp(rgb(98, 58, 22), rgb(66, 36, 14), -0.3, -0.3, 0.3, 0.3));
    for (int i = 0; i < 420; i++) { // seeds on a Fibonacci spiral
        double r = 0.35 * sqrt(i / 420.0), a = i * 2.39996323;
        Color c = i < 130 ? rgb(124, 110, 40) : i < 300 ? rgb(70, 40, 18) : rgb(176, 112, 26);
        disc(cv, r * cos(a), r * sin(a), 0.0105, flat(c));
    }
    return photo(cv, 1, 1, 41);
}

Image flower_daisy(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 42;
    hedge(cv, rgb(12, 32, 12), rgb(70, 112, 44), 240, 42, w * 0.03);
    place(cv, w * 0.5, h * 0.48, w * 0.5, 0);
    line(cv, 0, 0, 0.14, 2, 0.06, flat(rgb(70, 112, 48)));
    for (int ring = 0; ring < 2; ring++)
        for (int i = 0; i < 17; i++) {
            double deg = i * 360 / 17.0 + ring * 10 + between(&state, -4, 4), k = ring ? 1 : 0.88;
            Color edge = rgb((int)(250 * k), (int)(250 * k), (int)(252 * k));
            Paint white = radial(rgb(206, 208, 214), edge, deg, 0.2, 0.5);
            petal(cv, deg, 0.16, between(&state, 0.82, 0.92), 0.085, white, rgb(150, 154, 168));
        }
    disc(cv, 0, 0, 0.235, ramp(rgb(252, 204, 40), rgb(214, 140, 10), -0.15, -0.2, 0.15, 0.2));
    for (int i = 0; i < 160; i++) {
        double r = 0.225 * sqrt(i / 160.0), a = i * 2.39996323;
        disc(cv, r * cos(a), r * sin(a), 0.011, flat(i < 60 ? rgb(226, 170, 20) : rgb(190, 116, 8)));
    }
    return photo(cv, 0.8, 1, 42);
}

static void tulip(Canvas *cv, double x, double y, double size, double tilt, Color base, Color edge) {
    static Path p;
    static const double side[3] = {-0.26, 0.26, 0};
    double keep[5] = {cv->ox, cv->oy, cv->scale, cv->c, cv->s};
    place(cv, x, y, size, tilt);
    path_clear(&p);
    path_to(&p, 0, 0.3);
    path_curve(&p, 0.02, 1.4, -0.05, 2.2, 0.05, 4);
    stroke(cv, &p, 0.13, 0, ramp(rgb(120, 160, 70), rgb(54, 98, 40), -0.06, 0, 0.08, 0));
    for (int i = 0; i < 3; i++) { // two outer petals, then the front one
        double o = side[i];
        Color from = mix(base, rgb(60, 0, 10), i == 2 ? 0 : 0.22);
        path_clear(&p);
        path_to(&p, o * 0.4, 0.52);
        path_curve(&p, o - 0.62, 0.45, o - 0.50, -0.35, o * 1.25, -0.72);
        path_curve(&p, o + 0.50, -0.35, o + 0.62, 0.45, o * 0.4, 0.52);
        fill(cv, &p, grainy(ramp(edge, from, o, -0.75, o * 0.5, 0.15), 0.14, 14, 2, 5 + (uint32_t)i));
        stroke(cv, &p, 0.016, 1, flat(fade(edge, 0.6)));
    }
    cv->ox = keep[0]; cv->oy = keep[1]; cv->scale = keep[2]; cv->c = keep[3]; cv->s = keep[4];
}

Image flower_tulips(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    static Path p;
    hedge(cv, rgb(14, 30, 12), rgb(66, 110, 52), 160, 43, w * 0.05);
    for (int i = 0; i < 6; i++) { // long leaves
        double x = w * (0.06 + 0.18 * i), lean = w * (i % 2 ? 0.14 : -0.10);
        path_clear(&p);
        path_to(&p, x, h * 1.02);
        path_curve(&p, x - w * 0.10, h * 0.85, x + lean * 0.4, h * 0.65, x + lean, h * 0.52);
        path_curve(&p, x + lean * 0.8 + w * 0.05, h * 0.7, x + w * 0.10, h * 0.85, x + w * 0.08, h * 1.02);
        place(cv, 0, 0, 1, 0);
        fill(cv, &p, ramp(rgb(92, 150, 84), rgb(34, 82, 46), x - w * 0.05, 0, x + w * 0.1, 0));
    }
    tulip(cv, w * 0.22, h * 0.36, w * 0.19, -5, rgb(206, 26, 30), rgb(250, 158, 40));
    tulip(cv, w * 0.78, h * 0.34, w * 0.19, 6, rgb(206, 26, 30), rgb(250, 158, 40));
    tulip(cv, w * 0.50, h * 0.30, w * 0.22, 1, rgb(224, 34, 28), rgb(255, 184, 52));
    return photo(cv, 1, 1, 43);
}

Image flower_rose(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 44;
    static Path p;
    hedge(cv, rgb(10, 24, 12), rgb(48, 84, 44), 140, 44, w * 0.035);
    place(cv, w * 0.5, h * 0.5, w * 0.5, 0);
    // Petals from the outside in: every one an arc of a lobe with a lit rim and a dark root.
    for (int ring = 0; ring < 7; ring++) {
        double r = 0.86 * pow(0.78, ring), n = ring < 3 ? 5 : ring < 5 ? 4 : 3;
        for (int i = 0; i < (int)n; i++) {
            double deg = i * 360 / n + ring * 47 + between(&state, -8, 8);
            double c = cos(deg * PI / 180), s = sin(deg * PI / 180);
            Color rim = mix(rgb(226, 40, 62), rgb(168, 12, 36), ring / 7.0);
            Color root = mix(rgb(110, 4, 22), rgb(50, 0, 12), ring / 7.0);
            path_clear(&p);
            for (int k = 0; k < 40; k++) {
                double a = k * PI / 20, wave = 1 + 0.06 * noise(k * 0.4, ring, 9);
                double u = r * (0.46 + 0.52 * cos(a)), v = r * 0.72 * sin(a) * wave;
                path_to(&p, c * u - s * v, s * u + c * v);
            }
            Paint velvet = ramp(root, rim, c * r * 0.25, s * r * 0.25, c * r * 0.95, s * r * 0.95);
            fill(cv, &p, grainy(velvet, 0.10, 7, 7, 6 + (uint32_t)(ring * 9 + i)));
            stroke(cv, &p, 0.012, 1, flat(fade(mix(rim, rgb(255, 190, 196), 0.4), 0.45)));
        }
    }
    return photo(cv, 1.2, 1, 44);
}

Image flower_dandelion(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 45;
    hedge(cv, rgb(22, 56, 16), rgb(98, 156, 54), 300, 45, w * 0.022);
    place(cv, w * 0.5, h * 0.45, w * 0.5, 0);
    line(cv, 0, 0, -0.06, 2, 0.07, ramp(rgb(150, 170, 90), rgb(100, 130, 60), -0.04, 0, 0.04, 0));
    for (int ring = 0; ring < 6; ring++)
        for (int i = 0; i < 44 - 5 * ring; i++) {
            double deg = i * 360.0 / (44 - 5 * ring) + between(&state, -5, 5);
            double to = 0.66 - 0.105 * ring + between(&state, -0.05, 0.05);
            Color tip = mix(rgb(250, 206, 10), rgb(255, 232, 70), uniform(&state));
            petal(cv, deg, 0, to, 0.032, radial(rgb(214, 140, 0), tip, deg, to - 0.3, to - 0.05), rgb(180, 110, 0));
        }
    return photo(cv, 0.8, 1, 45);
}
