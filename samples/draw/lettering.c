// The few letters and digits that the signs need, after the upright lettering of German signs.
#include "draw.h"

// One letter or digit in the box at (x, y), w wide and h high: a pen along its centre line.
static void glyph(Canvas *cv, char ch, double x, double y, double w, double h, double pen, Paint ink) {
    static Path p;
    double m = w / 2, cx = x + m;
    path_clear(&p);
    switch (ch) {
    case '0': case 'O':
        path_arc(&p, cx, y + m, m, m, 180, 360);
        path_arc(&p, cx, y + h - m, m, m, 0, 180);
        path_to(&p, x, y + m);
        break;
    case '3':
        path_arc(&p, cx, y + 0.25 * h, m * 0.94, 0.25 * h, 200, 450);
        path_arc(&p, cx, y + 0.74 * h, m, 0.26 * h, -90, 160);
        break;
    case '5':
        path_to(&p, x + w * 0.94, y);
        path_to(&p, x + w * 0.1, y);
        path_to(&p, x + w * 0.04, y + 0.46 * h);
        path_arc(&p, cx, y + 0.68 * h, m, 0.32 * h, 222, 508);
        break;
    case '8':
        path_arc(&p, cx, y + 0.25 * h, m * 0.9, 0.25 * h, 90, 450);
        path_arc(&p, cx, y + 0.75 * h, m, 0.25 * h, -90, 270);
        break;
    case 'S':
        path_arc(&p, cx, y + 0.25 * h, m, 0.25 * h, -20, -270);
        path_arc(&p, cx, y + 0.75 * h, m, 0.25 * h, -90, 160);
        break;
    case 'T':
        line(cv, x, y, x + w, y, pen, ink);
        path_to(&p, cx, y);
        path_to(&p, cx, y + h);
        break;
    case 'P':
        path_to(&p, x, y + h);
        path_to(&p, x, y);
        path_arc(&p, cx, y + 0.27 * h, m, 0.27 * h, -90, 90);
        path_to(&p, x, y + 0.54 * h);
        break;
    default: return;
    }
    stroke(cv, &p, pen, 0, ink);
}

void text(Canvas *cv, const char *s, double w, double h, double gap, double pen, Color ink) {
    int n = 0;
    while (s[n]) n++;
    double x = -(n * w + (n - 1) * gap) / 2;
    for (int i = 0; i < n; i++) glyph(cv, s[i], x + i * (w + gap), -h / 2, w, h, pen, flat(ink));
}
