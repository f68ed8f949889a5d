// Garments laid out on a floor or cut out, and waste on a plain background.
#include "draw.h"

#include <math.h>

static Image photo(Canvas *cv, double soft, double noise_size, uint32_t seed) {
    Image im = canvas_finish(cv, soft, 1, noise_size, seed);
    canvas_free(cv);
    return im;
}

static void mirrored(Path *p, const double (*xy)[2], int n) {
    path_clear(p);
    for (int i = 0; i < n; i++) path_to(p, xy[i][0], xy[i][1]);
    for (int i = n - 1; i >= 0; i--) path_to(p, -xy[i][0], xy[i][1]);
}

// Floor boards along x, in units of the picture's width.
static void wooden_floor(Canvas *cv) {
    place(cv, 0, 0, cv->w, -4);
    for (int i = -2; i < 14; i++) {
        double y = i * 0.125, k = hash2(i, 3, 5) % 100 / 100.0;
        Color c = mix(rgb(206, 158, 92), rgb(226, 184, 120), k);
        rect(cv, -0.2, y, 1.2, y + 0.125, grainy(flat(c), 0.10, 2, 44, 60 + (uint32_t)i));
        line(cv, -0.2, y, 1.2, y, 0.004, flat(fade(rgb(110, 70, 30), 0.7)));
        double x = hash2(i, 8, 5) % 100 / 100.0;
        line(cv, x, y, x, y + 0.125, 0.003, flat(fade(rgb(110, 70, 30), 0.7)));
    }
}

static void shadow(Canvas *cv, const Path *p, double radius) {
    stroke(cv, p, 0.06, 1, flat(fade(rgb(30, 20, 10), 0.35)));
    blur(cv, radius);
}

// ---- garments: units of half the picture's width ----

Image cloth_t_shirt(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    static Path p;
    const double half[11][2] = {{0.20, -0.80}, {0.34, -0.76}, {0.50, -0.68}, {0.66, -0.52}, {0.93, -0.14}, {0.70, 0.06},
                                {0.54, -0.16}, {0.54, 0.20}, {0.55, 0.56}, {0.57, 0.86}, {0.0, 0.89}};
    Color cloth = rgb(172, 32, 46);
    place(cv, w * 0.5, h * 0.5, w * 0.5, 0);
    mirrored(&p, half, 11);
    Paint cotton = ramp(mix(cloth, rgb(255, 255, 255), 0.08), mix(cloth, rgb(0, 0, 0), 0.22), -0.5, -0.6, 0.5, 0.8);
    fill(cv, &p, grainy(cotton, 0.16, 2.4, 1.1, 7));
    stroke(cv, &p, 0.012, 1, flat(fade(rgb(90, 8, 20), 0.8)));
    ellipse(cv, 0, -0.785, 0.215, 0.125, 0, flat(rgb(148, 24, 38))); // the collar, then the inside of the back
    ellipse(cv, 0, -0.80, 0.185, 0.090, 0, flat(rgb(92, 12, 22)));
    rect(cv, -0.05, -0.86, 0.05, -0.82, flat(rgb(226, 220, 210)));
    for (int side = -1; side <= 1; side += 2) {
        line(cv, side * 0.50, -0.64, side * 0.53, -0.16, 0.012, flat(fade(rgb(90, 8, 20), 0.7)));
        line(cv, side * 0.88, -0.15, side * 0.68, 0.01, 0.010, flat(fade(rgb(90, 8, 20), 0.6)));
        line(cv, side * 0.12, 0.10, side * 0.26, 0.68, 0.03, flat(fade(rgb(110, 14, 28), 0.35)));
    }
    line(cv, -0.55, 0.815, 0.55, 0.815, 0.008, flat(fade(rgb(90, 8, 20), 0.6)));
    return photo(cv, 0.8, 0, 51);
}

Image cloth_jeans(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    static Path p;
    const double half[8][2] = {{0.32, -0.84}, {0.37, -0.70}, {0.44, -0.40}, {0.46, 0.10},
                               {0.45, 0.86}, {0.17, 0.88}, {0.12, 0.2}, {0.0, -0.30}};
    Color denim = rgb(44, 62, 104);
    place(cv, w * 0.5, h * 0.5, h * 0.5, 2);
    mirrored(&p, half, 8);
    fill(cv, &p, grainy(ramp(denim, mix(denim, rgb(0, 0, 0), 0.3), 0, -0.8, 0, 0.9), 0.16, 30, 4, 8));
    for (int side = -1; side <= 1; side += 2) {
        for (int i = 0; i < 6; i++) // worn thighs
            ellipse(cv, side * 0.28, 0.02 + 0.02 * i, 0.10 - 0.013 * i, 0.46 - 0.055 * i, 0,
                    flat(fade(rgb(130, 152, 196), 0.07)));
        path_clear(&p); // pocket
        path_to(&p, side * 0.14, -0.74);
        path_curve(&p, side * 0.16, -0.60, side * 0.28, -0.58, side * 0.37, -0.60);
        stroke(cv, &p, 0.012, 0, flat(rgb(190, 150, 90)));
        line(cv, side * 0.42, -0.4, side * 0.44, 0.84, 0.008, flat(fade(rgb(16, 24, 48), 0.8)));
    }
    rect(cv, -0.33, -0.84, 0.33, -0.755, flat(rgb(34, 48, 84)));
    line(cv, 0, -0.75, 0, -0.32, 0.014, flat(rgb(20, 30, 58)));
    disc(cv, 0, -0.80, 0.022, flat(rgb(206, 176, 120)));
    return photo(cv, 0.9, 0, 52);
}

Image cloth_dress(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 53;
    static Path p;
    const double half[10][2] = {{0.12, -0.68}, {0.17, -0.92}, {0.24, -0.92}, {0.29, -0.62}, {0.25, -0.30},
                                {0.24, -0.14}, {0.39, 0.20}, {0.53, 0.54}, {0.65, 0.86}, {0.0, 0.93}};
    Color cloth = rgb(88, 62, 150);
    wooden_floor(cv);
    place(cv, w * 0.5, h * 0.5, h * 0.5, 0);
    mirrored(&p, half, 10);
    shadow(cv, &p, w * 0.015);
    Paint cotton = ramp(mix(cloth, rgb(255, 255, 255), 0.14), mix(cloth, rgb(0, 0, 0), 0.16), -0.4, 0, 0.5, 0.4);
    fill(cv, &p, grainy(cotton, 0.20, 6, 0.7, 9));
    for (int i = -4; i <= 4; i++) // folds of the skirt
        line(cv, i * 0.05, -0.10, i * 0.125, 0.86, 0.014, flat(fade(rgb(44, 26, 90), 0.4)));
    for (int i = 0; i < 110; i++) { // printed dots
        double y = between(&state, -0.56, 0.84), reach = y < -0.1 ? 0.18 : 0.18 + (y + 0.1) * 0.34;
        double x = between(&state, -reach, reach);
        disc(cv, x, y, 0.012, flat(rgb(226, 220, 246)));
    }
    rect(cv, -0.225, -0.17, 0.225, -0.105, flat(rgb(40, 24, 84)));
    return photo(cv, 0.9, 0.02, 53);
}

// Seen from above, the toe up; `k` is the size and `lean` bends the toe inward.
static void shoe_outline(Path *p, double x, double k, double lean) {
    path_clear(p);
    path_to(p, x + lean, -0.80 * k);
    path_curve(p, x + lean + 0.26 * k, -0.80 * k, x + 0.36 * k, -0.34 * k, x + 0.26 * k, -0.02 * k);
    path_curve(p, x + 0.20 * k, 0.20 * k, x + 0.25 * k, 0.38 * k, x + 0.24 * k, 0.56 * k);
    path_curve(p, x + 0.22 * k, 0.88 * k, x - 0.22 * k, 0.88 * k, x - 0.24 * k, 0.56 * k);
    path_curve(p, x - 0.25 * k, 0.38 * k, x - 0.20 * k, 0.20 * k, x - 0.26 * k, -0.02 * k);
    path_curve(p, x - 0.36 * k, -0.34 * k, x + lean - 0.26 * k, -0.80 * k, x + lean, -0.80 * k);
}

static void shoe(Canvas *cv, double x, double lean) {
    static Path p;
    Color dark = rgb(34, 22, 16);
    shoe_outline(&p, x, 1.06, lean);
    fill(cv, &p, flat(rgb(196, 178, 150))); // the rim of the sole
    stroke(cv, &p, 0.02, 1, flat(dark));
    shoe_outline(&p, x, 0.97, lean);
    fill(cv, &p, grainy(ramp(rgb(142, 88, 48), rgb(74, 42, 24), x - 0.25, -0.5, x + 0.25, 0.6), 0.16, 6, 6, 8));
    ellipse(cv, x, 0.42, 0.16, 0.31, 0, flat(dark)); // the opening and the insole
    ellipse(cv, x, 0.48, 0.12, 0.23, 0, flat(rgb(104, 80, 58)));
    ellipse(cv, x, 0.02, 0.13, 0.23, 0, flat(rgb(92, 54, 30))); // the tongue
    path_clear(&p); // the toe cap
    path_arc(&p, x + lean * 0.5, -0.34, 0.25, 0.14, 180, 360);
    stroke(cv, &p, 0.016, 0, flat(dark));
    for (int i = 0; i < 5; i++) // laces
        line(cv, x - 0.15, -0.19 + 0.085 * i, x + 0.15, -0.16 + 0.085 * i, 0.028, flat(rgb(222, 208, 180)));
}

Image cloth_shoes(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    static Path p;
    place(cv, 0, 0, w, 0);
    backdrop(cv, grainy(ramp(rgb(206, 196, 182), rgb(180, 168, 152), 0, 0, 1, 1), 0.06, 12, 12, 5));
    place(cv, w * 0.5, h * 0.49, h * 0.56, 183);
    for (int side = -1; side <= 1; side += 2) {
        shoe_outline(&p, side * 0.40 - 0.05, 1.05, side * -0.04);
        fill(cv, &p, flat(fade(rgb(20, 14, 8), 0.6)));
    }
    blur(cv, w * 0.02);
    shoe(cv, -0.40, 0.04);
    shoe(cv, 0.40, -0.04);
    return photo(cv, 0.9, 0.02, 54);
}

// ---- waste: units of the picture's width ----

static void table(Canvas *cv, Color from, Color to, uint32_t seed) {
    place(cv, 0, 0, cv->w, 0);
    backdrop(cv, grainy(ramp(from, to, 0, 0, 1, 0.8), 0.025, 7, 7, seed));
}

static void bottle_shape(Path *p, double k) {
    const double half[8][2] = {{0.045, -0.46}, {0.045, -0.24}, {0.065, -0.16}, {0.118, -0.08}, {0.130, 0.0},
                               {0.130, 0.38}, {0.115, 0.42}, {0, 0.43}};
    double grown[8][2];
    for (int i = 0; i < 8; i++) { grown[i][0] = half[i][0] * k; grown[i][1] = half[i][1]; }
    mirrored(p, (const double (*)[2])grown, 8);
}

static void bottle(Canvas *cv) {
    static Path p;
    bottle_shape(&p, 1);
    fill(cv, &p, grainy(ramp(rgb(30, 62, 26), rgb(92, 134, 52), -0.13, 0, 0.13, 0), 0.10, 9, 3, 5));
    stroke(cv, &p, 0.008, 1, flat(rgb(14, 34, 14)));
    bottle_shape(&p, 0.55);
    fill(cv, &p, ramp(fade(rgb(150, 190, 90), 0), fade(rgb(168, 204, 110), 0.55), -0.07, 0, 0.07, 0));
    line(cv, -0.085, 0.02, -0.085, 0.36, 0.018, flat(fade(rgb(236, 246, 226), 0.75)));
    line(cv, -0.025, -0.40, -0.025, -0.22, 0.012, flat(fade(rgb(236, 246, 226), 0.7)));
    line(cv, 0.10, 0.06, 0.10, 0.38, 0.010, flat(fade(rgb(220, 240, 190), 0.5)));
    rect(cv, -0.053, -0.475, 0.053, -0.43, ramp(rgb(40, 76, 34), rgb(110, 146, 70), -0.05, 0, 0.05, 0));
}

Image waste_bottle(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    place(cv, w * 0.5, h * 0.5, h * 0.98, 24);
    bottle(cv);
    return photo(cv, 0.8, 0, 61);
}

static void face_of_box(Canvas *cv, const double (*xy)[2], Color from, Color to, uint32_t seed) {
    fill_points(cv, xy, 4, grainy(ramp(from, to, xy[0][0], xy[0][1], xy[2][0], xy[2][1]), 0.06, 40, 5, seed));
}

Image waste_box(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    const double front[4][2] = {{0.13, 0.34}, {0.58, 0.44}, {0.58, 0.70}, {0.15, 0.58}};
    const double side[4][2] = {{0.58, 0.44}, {0.88, 0.30}, {0.86, 0.54}, {0.58, 0.70}};
    const double top[4][2] = {{0.13, 0.34}, {0.44, 0.22}, {0.88, 0.30}, {0.58, 0.44}};
    const double flap[4][2] = {{0.13, 0.34}, {0.44, 0.22}, {0.40, 0.08}, {0.08, 0.19}};
    const double tape[4][2] = {{0.335, 0.385}, {0.385, 0.396}, {0.385, 0.645}, {0.34, 0.632}};
    const double shade[5][2] = {{0.15, 0.57}, {0.58, 0.70}, {0.88, 0.54}, {0.93, 0.60}, {0.60, 0.73}};
    table(cv, rgb(226, 220, 210), rgb(200, 192, 182), 5);
    fill_points(cv, shade, 5, flat(fade(rgb(60, 46, 34), 0.6)));
    blur(cv, w * 0.02);
    face_of_box(cv, flap, rgb(196, 152, 98), rgb(176, 132, 82), 3);
    face_of_box(cv, top, rgb(112, 80, 46), rgb(148, 108, 66), 4);
    face_of_box(cv, front, rgb(190, 146, 92), rgb(168, 124, 74), 5);
    face_of_box(cv, side, rgb(146, 104, 60), rgb(128, 90, 50), 6);
    fill_points(cv, tape, 4, flat(fade(rgb(222, 196, 150), 0.7)));
    line(cv, 0.58, 0.44, 0.58, 0.70, 0.006, flat(rgb(206, 166, 112)));
    line(cv, 0.13, 0.34, 0.58, 0.44, 0.006, flat(rgb(214, 176, 122)));
    line(cv, 0.58, 0.44, 0.88, 0.30, 0.006, flat(rgb(196, 156, 104)));
    return photo(cv, 0.9, 0.02, 62);
}

Image waste_newspaper(int w, int h) {
    Canvas *cv = canvas_new(w, h);
    uint32_t state = 63;
    Color ink = rgb(20, 20, 20);
    table(cv, rgb(206, 206, 206), rgb(168, 168, 168), 6);
    place(cv, w * 0.5, h * 0.5, w, -8);
    rect(cv, -0.37, -0.45, 0.43, 0.47, flat(fade(rgb(0, 0, 0), 0.5)));
    blur(cv, w * 0.015);
    rect(cv, -0.40, -0.48, 0.40, 0.44, ramp(rgb(246, 246, 246), rgb(222, 222, 222), -0.4, 0, 0.4, 0));
    for (int i = 0; i < 9; i++) { // the headline
        double x = -0.34 + i * 0.076;
        rect(cv, x, -0.43, x + between(&state, 0.045, 0.062), -0.355, flat(ink));
    }
    line(cv, -0.36, -0.325, 0.36, -0.325, 0.006, flat(ink));
    for (int column = 0; column < 3; column++)
        for (int row = 0; row < 30; row++) {
            double x = -0.36 + column * 0.25, y = -0.29 + row * 0.0235;
            if (column < 2 && row > 5 && row < 17) continue; // room for a photograph
            rect(cv, x, y, x + between(&state, 0.17, 0.225), y + 0.0115, flat(rgb(60, 60, 60)));
        }
    rect(cv, -0.36, -0.145, 0.115, 0.105,
         grainy(ramp(rgb(190, 190, 190), rgb(50, 50, 50), 0, -0.145, 0, 0.105), 0.9, 9, 7, 2));
    return photo(cv, 0.3, 0, 63);
}
