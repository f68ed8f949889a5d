// German traffic signs as a camera crops them: the sign fills about 80 % of the picture, before a blurred street.
// Signs are drawn in units of their own radius, with y down.
#include "draw.h"

#include <math.h>

static Color white(void) { return rgb(226, 226, 224); }
static Color red(void) { return rgb(186, 38, 42); }
static Color blue(void) { return rgb(28, 84, 166); }
static Color yellow(void) { return rgb(240, 178, 32); }
static Color black(void) { return rgb(28, 28, 32); }

// A touch of light from above left and of dirt, so that a face is not one flat colour.
static Paint face(Color c) {
    return grainy(ramp(mix(c, rgb(255, 255, 255), 0.10), mix(c, rgb(0, 0, 0), 0.14), -0.7, -0.7, 0.7, 0.8), 0.07, 5, 5,
                  3);
}

// ---- the street ----

typedef enum { SKY, HEDGE, WOODS, AUTUMN } Behind;

typedef struct {
    uint32_t seed;
    Behind behind;
    double radius; // of the sign, in widths of the picture
    double tilt;   // degrees
    double light;  // on the sign: below 1 it stands against the light
    double soft;   // blur of the lens, in widths of the picture
} Shot;

// What is behind the sign, out of focus, and the post; leaves the sign's coordinates in place.
static Canvas *street(int w, int h, const Shot *shot) {
    static const struct { double horizon; int sky[3], dark[3], bright[3]; } kind[] = {
        [SKY] = {0.95, {196, 208, 220}, {60, 70, 52}, {120, 128, 96}},
        [HEDGE] = {0.45, {176, 198, 218}, {38, 54, 34}, {118, 132, 78}},
        [WOODS] = {-0.3, {120, 130, 130}, {18, 24, 18}, {66, 74, 52}},
        [AUTUMN] = {0.2, {200, 206, 208}, {50, 36, 20}, {176, 138, 66}},
    };
    const int *sky = kind[shot->behind].sky, *dark = kind[shot->behind].dark, *bright = kind[shot->behind].bright;
    Canvas *cv = canvas_new(w, h);
    Color air = rgb(sky[0], sky[1], sky[2]);
    uint32_t state = shot->seed;
    place(cv, 0, 0, w, 0);
    backdrop(cv, grainy(ramp(air, mix(air, rgb(255, 255, 255), 0.35), 0, 0, 0, 0.8), 0.08, 3, 5, shot->seed));
    for (int i = 0; i < 300; i++) {
        double x = uniform(&state) * 1.1 - 0.05;
        double y = kind[shot->behind].horizon + 0.16 * noise(x * 3, 1, shot->seed) + uniform(&state) * 1.3;
        Color leaf = mix(rgb(dark[0], dark[1], dark[2]), rgb(bright[0], bright[1], bright[2]), uniform(&state));
        double rx = between(&state, 0.03, 0.08), ry = between(&state, 0.02, 0.06), turn = between(&state, 0, 180);
        ellipse(cv, x, y, rx, ry, turn, flat(fade(leaf, 0.9)));
    }
    blur(cv, w * 0.028);
    cv->light = shot->light;
    place(cv, w * 0.5, h * 0.5, w * shot->radius, shot->tilt);
    rect(cv, -0.06, 0.4, 0.06, 2, ramp(rgb(150, 152, 154), rgb(84, 88, 92), -0.06, 0, 0.06, 0));
    return cv;
}

static Image photo(Canvas *cv, const Shot *shot) {
    Image im = canvas_finish(cv, cv->w * shot->soft, 1, 0.018, shot->seed);
    canvas_free(cv);
    return im;
}

// ---- blanks ----

static void ring_sign(Canvas *cv) {
    disc(cv, 0, 0, 1, face(white()));
    disc(cv, 0, 0, 0.97, face(red()));
    disc(cv, 0, 0, 0.74, face(rgb(238, 238, 236)));
}

static void blue_sign(Canvas *cv) {
    disc(cv, 0, 0, 1, face(white()));
    disc(cv, 0, 0, 0.955, face(blue()));
}

static void warning_sign(Canvas *cv) {
    const double tip[3][2] = {{0, -0.78}, {0.84, 0.68}, {-0.84, 0.68}};
    const double inner[3][2] = {{0, -0.52}, {0.60, 0.545}, {-0.60, 0.545}};
    fill_round(cv, tip, 3, 0.13, face(white()));
    fill_round(cv, tip, 3, 0.105, face(red()));
    fill_round(cv, inner, 3, 0.03, face(white()));
}

// An arrow up the y axis with the chevron head of the German blue signs.
static void arrow(Canvas *cv) {
    const double xy[9][2] = {{0, -0.74}, {0.46, -0.27}, {0.46, 0.03}, {0.12, -0.31}, {0.12, 0.70},
                             {-0.12, 0.70}, {-0.12, -0.31}, {-0.46, 0.03}, {-0.46, -0.27}};
    fill_points(cv, xy, 9, face(white()));
}

// ---- the signs ----

Image sign_stop(int w, int h) {
    const Shot shot = {314, HEDGE, 0.38, -2, 0.75, 0.010};
    Canvas *cv = street(w, h, &shot);
    double out[8][2], in[8][2];
    for (int i = 0; i < 8; i++) {
        double a = (i * 45 + 22.5) * PI / 180;
        out[i][0] = 1.06 * cos(a); out[i][1] = 1.06 * sin(a);
        in[i][0] = 0.99 * cos(a); in[i][1] = 0.99 * sin(a);
    }
    fill_points(cv, (const double (*)[2])out, 8, face(white()));
    fill_points(cv, (const double (*)[2])in, 8, face(red()));
    text(cv, "STOP", 0.27, 0.54, 0.16, 0.12, white());
    return photo(cv, &shot);
}

Image sign_yield(int w, int h) {
    const Shot shot = {897, AUTUMN, 0.44, 4, 1.08, 0.014};
    Canvas *cv = street(w, h, &shot);
    const double tip[3][2] = {{0, 0.80}, {0.86, -0.66}, {-0.86, -0.66}};
    const double inner[3][2] = {{0, 0.40}, {0.52, -0.47}, {-0.52, -0.47}};
    fill_round(cv, tip, 3, 0.13, face(white()));
    fill_round(cv, tip, 3, 0.10, face(red()));
    fill_round(cv, inner, 3, 0.03, face(white()));
    return photo(cv, &shot);
}

Image sign_priority_road(int w, int h) {
    const Shot shot = {787, AUTUMN, 0.42, -2, 1.08, 0.014};
    Canvas *cv = street(w, h, &shot);
    const double outer[4][2] = {{0, -0.90}, {0.90, 0}, {0, 0.90}, {-0.90, 0}};
    const double inner[4][2] = {{0, -0.60}, {0.60, 0}, {0, 0.60}, {-0.60, 0}};
    fill_round(cv, outer, 4, 0.08, face(white()));
    fill_round(cv, inner, 4, 0.035, flat(black()));
    fill_round(cv, inner, 4, 0.010, face(yellow()));
    return photo(cv, &shot);
}

Image sign_no_entry(int w, int h) {
    const Shot shot = {318, SKY, 0.44, -4, 1.0, 0.014};
    Canvas *cv = street(w, h, &shot);
    disc(cv, 0, 0, 1, face(white()));
    disc(cv, 0, 0, 0.96, face(red()));
    rect(cv, -0.74, -0.165, 0.74, 0.165, face(white()));
    return photo(cv, &shot);
}

static Image speed(int w, int h, const char *digits, const Shot *shot) {
    Canvas *cv = street(w, h, shot);
    ring_sign(cv);
    text(cv, digits, 0.34, 0.70, 0.20, 0.145, black());
    return photo(cv, shot);
}

Image sign_speed_30(int w, int h) {
    const Shot shot = {642, WOODS, 0.44, 4, 1.0, 0.010};
    return speed(w, h, "30", &shot);
}

Image sign_speed_50(int w, int h) {
    const Shot shot = {101, AUTUMN, 0.42, 0, 0.6, 0.006};
    return speed(w, h, "50", &shot);
}

Image sign_speed_80(int w, int h) {
    const Shot shot = {233, SKY, 0.40, 0, 0.75, 0.014};
    return speed(w, h, "80", &shot);
}

Image sign_keep_right(int w, int h) {
    const Shot shot = {702, HEDGE, 0.44, 2, 1.0, 0.014};
    Canvas *cv = street(w, h, &shot);
    blue_sign(cv);
    place(cv, w * 0.5, h * 0.5, w * shot.radius, 135 + shot.tilt);
    arrow(cv);
    return photo(cv, &shot);
}

Image sign_ahead_only(int w, int h) {
    const Shot shot = {325, HEDGE, 0.44, -2, 1.08, 0.014};
    Canvas *cv = street(w, h, &shot);
    blue_sign(cv);
    arrow(cv);
    return photo(cv, &shot);
}

Image sign_turn_right(int w, int h) {
    const Shot shot = {734, SKY, 0.44, -4, 0.9, 0.006};
    Canvas *cv = street(w, h, &shot);
    static Path p;
    const double head[6][2] = {{0.72, -0.24}, {0.30, 0.18}, {0.06, 0.18}, {0.46, -0.24}, {0.06, -0.66}, {0.30, -0.66}};
    blue_sign(cv);
    path_clear(&p);
    path_to(&p, -0.36, 0.60);
    path_to(&p, -0.36, 0.10);
    path_arc(&p, -0.02, 0.10, 0.34, 0.34, 180, 270);
    path_to(&p, 0.46, -0.24);
    stroke(cv, &p, 0.22, 0, face(white()));
    fill_points(cv, head, 6, face(white()));
    return photo(cv, &shot);
}

Image sign_roundabout(int w, int h) {
    const Shot shot = {321, SKY, 0.42, -4, 0.9, 0.014};
    Canvas *cv = street(w, h, &shot);
    static Path p;
    const double head[4][2] = {{0.34, -0.06}, {0.80, -0.06}, {0.53, -0.36}, {0.46, -0.34}};
    blue_sign(cv);
    for (int i = 0; i < 3; i++) { // counter-clockwise, the head at the end of the arc
        place(cv, w * 0.5, h * 0.5, w * shot.radius, 120 * i - 90);
        path_clear(&p);
        path_arc(&p, 0, 0, 0.57, 0.57, 4, -70);
        stroke(cv, &p, 0.14, 0, face(white()));
        place(cv, w * 0.5, h * 0.5, w * shot.radius, 120 * i - 90 - 62);
        fill_points(cv, head, 4, face(white()));
    }
    return photo(cv, &shot);
}

Image sign_danger(int w, int h) {
    const Shot shot = {551, SKY, 0.44, 0, 0.75, 0.014};
    Canvas *cv = street(w, h, &shot);
    const double bar[4][2] = {{-0.085, -0.30}, {0.085, -0.30}, {0.045, 0.22}, {-0.045, 0.22}};
    warning_sign(cv);
    fill_round(cv, bar, 4, 0.02, flat(black()));
    disc(cv, 0, 0.38, 0.085, flat(black()));
    return photo(cv, &shot);
}

Image sign_priority_next(int w, int h) {
    const Shot shot = {865, SKY, 0.38, -2, 0.75, 0.006};
    Canvas *cv = street(w, h, &shot);
    const double up[7][2] = {{0, -0.42}, {0.17, -0.12}, {0.085, -0.12}, {0.085, 0.50},
                             {-0.085, 0.50}, {-0.085, -0.12}, {-0.17, -0.12}};
    warning_sign(cv);
    fill_points(cv, up, 7, flat(black()));
    line(cv, -0.29, 0.17, 0.29, 0.17, 0.13, flat(black()));
    return photo(cv, &shot);
}

static void car(Canvas *cv, double x, Color body) {
    Paint p = face(body);
    const double roof[4][2] = {{x - 0.15, -0.24}, {x + 0.15, -0.24}, {x + 0.22, -0.03}, {x - 0.22, -0.03}};
    const double glass[4][2] = {{x - 0.12, -0.19}, {x + 0.12, -0.19}, {x + 0.16, -0.06}, {x - 0.16, -0.06}};
    fill_round(cv, roof, 4, 0.03, p);
    fill_points(cv, glass, 4, face(white()));
    rect(cv, x - 0.29, -0.03, x + 0.29, 0.15, p);
    rect(cv, x - 0.27, 0.13, x - 0.15, 0.25, p);
    rect(cv, x + 0.15, 0.13, x + 0.27, 0.25, p);
}

Image sign_no_passing(int w, int h) {
    const Shot shot = {139, AUTUMN, 0.44, 4, 0.6, 0.010};
    Canvas *cv = street(w, h, &shot);
    ring_sign(cv);
    car(cv, -0.33, red());
    car(cv, 0.33, black());
    return photo(cv, &shot);
}

Image sign_end_all_limits(int w, int h) {
    const Shot shot = {248, SKY, 0.40, 2, 0.45, 0.006};
    Canvas *cv = street(w, h, &shot);
    disc(cv, 0, 0, 1, flat(rgb(96, 98, 100)));
    disc(cv, 0, 0, 0.965, face(white()));
    for (int i = -2; i <= 2; i++) {
        double d = i * 0.095, r = sqrt(0.93 * 0.93 - d * d), k = sqrt(0.5);
        line(cv, (-r + d) * k, (r + d) * k, (r + d) * k, (-r + d) * k, 0.065, flat(black()));
    }
    return photo(cv, &shot);
}
