#include "canvas.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void *must_alloc(size_t n) {
    void *p = calloc(1, n);
    if (!p) { fprintf(stderr, "draw: out of memory\n"); exit(1); }
    return p;
}

Canvas *canvas_new(int w, int h) {
    Canvas *cv = must_alloc(sizeof *cv);
    cv->w = w; cv->h = h;
    cv->gw = w * CANVAS_SS; cv->gh = h * CANVAS_SS;
    cv->px = must_alloc((size_t)cv->gw * cv->gh * 4 * sizeof(float));
    cv->light = 1;
    place(cv, 0, 0, 1, 0);
    return cv;
}

void canvas_free(Canvas *cv) { free(cv->px); free(cv); }
void image_free(Image *im) { free(im->px); im->px = NULL; }

void place(Canvas *cv, double x, double y, double scale, double degrees) {
    cv->ox = x * CANVAS_SS; cv->oy = y * CANVAS_SS;
    cv->scale = scale * CANVAS_SS;
    cv->c = cos(degrees * PI / 180); cv->s = sin(degrees * PI / 180);
}

static void to_grid(const Canvas *cv, double x, double y, double *gx, double *gy) {
    *gx = cv->ox + cv->scale * (cv->c * x - cv->s * y);
    *gy = cv->oy + cv->scale * (cv->s * x + cv->c * y);
}

static void to_user(const Canvas *cv, double gx, double gy, double *x, double *y) {
    double dx = (gx - cv->ox) / cv->scale, dy = (gy - cv->oy) / cv->scale;
    *x = cv->c * dx + cv->s * dy;
    *y = cv->c * dy - cv->s * dx;
}

// ---- painting ----

static Color paint_at(const Canvas *cv, const Paint *p, double gx, double gy) {
    Color c = p->from;
    double dx = p->x1 - p->x0, dy = p->y1 - p->y0, len2 = dx * dx + dy * dy, x = 0, y = 0;
    if (len2 > 0 || p->grain != 0) to_user(cv, gx, gy, &x, &y);
    if (len2 > 0) {
        double t = ((x - p->x0) * dx + (y - p->y0) * dy) / len2;
        c = mix(p->from, p->to, t < 0 ? 0 : t > 1 ? 1 : t);
    }
    double k = cv->light;
    if (p->grain != 0) k *= 1 + p->grain * noise(x * p->fx, y * p->fy, p->seed);
    return (Color){c.r * k, c.g * k, c.b * k, c.a};
}

static void blend(Canvas *cv, int gx, int gy, const Paint *p) {
    Color c = paint_at(cv, p, gx + 0.5, gy + 0.5);
    float *q = cv->px + ((size_t)gy * cv->gw + gx) * 4;
    double under = q[3] * (1 - c.a), a = c.a + under;
    if (a <= 0) return;
    q[0] = (float)((c.r * c.a + q[0] * under) / a);
    q[1] = (float)((c.g * c.a + q[1] * under) / a);
    q[2] = (float)((c.b * c.a + q[2] * under) / a);
    q[3] = (float)a;
}

void backdrop(Canvas *cv, Paint paint) {
    for (int y = 0; y < cv->gh; y++)
        for (int x = 0; x < cv->gw; x++) blend(cv, x, y, &paint);
}

void path_clear(Path *p) { p->n = 0; }

void path_to(Path *p, double x, double y) {
    if (p->n == PATH_MAX) { fprintf(stderr, "draw: path too long\n"); exit(1); }
    p->x[p->n] = x; p->y[p->n++] = y;
}

void path_arc(Path *p, double cx, double cy, double rx, double ry, double deg0, double deg1) {
    int steps = (int)ceil(fabs(deg1 - deg0) / 6);
    for (int i = 0; i <= steps; i++) {
        double a = (deg0 + (deg1 - deg0) * i / (steps > 0 ? steps : 1)) * PI / 180;
        path_to(p, cx + rx * cos(a), cy + ry * sin(a));
    }
}

void path_curve(Path *p, double x1, double y1, double x2, double y2, double x3, double y3) {
    double x0 = p->x[p->n - 1], y0 = p->y[p->n - 1];
    for (int i = 1; i <= 16; i++) {
        double t = i / 16.0, u = 1 - t, a = u * u * u, b = 3 * u * u * t, c = 3 * u * t * t, d = t * t * t;
        path_to(p, a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3);
    }
}

typedef struct { double x[PATH_MAX], y[PATH_MAX]; int x0, y0, x1, y1; } GridPath;

static void grid_path(const Canvas *cv, const Path *p, double margin, GridPath *g) {
    double lx = 1e30, ly = 1e30, hx = -1e30, hy = -1e30;
    for (int i = 0; i < p->n; i++) {
        to_grid(cv, p->x[i], p->y[i], &g->x[i], &g->y[i]);
        lx = fmin(lx, g->x[i]); hx = fmax(hx, g->x[i]);
        ly = fmin(ly, g->y[i]); hy = fmax(hy, g->y[i]);
    }
    g->x0 = (int)fmax(0, floor(lx - margin)); g->x1 = (int)fmin(cv->gw - 1, ceil(hx + margin));
    g->y0 = (int)fmax(0, floor(ly - margin)); g->y1 = (int)fmin(cv->gh - 1, ceil(hy + margin));
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void fill(Canvas *cv, const Path *p, Paint paint) {
    static GridPath g;
    double cross[PATH_MAX];
    grid_path(cv, p, 0, &g);
    for (int y = g.y0; y <= g.y1; y++) {
        double sy = y + 0.5;
        int n = 0;
        for (int i = 0, j = p->n - 1; i < p->n; j = i++)
            if ((g.y[i] <= sy) != (g.y[j] <= sy))
                cross[n++] = g.x[i] + (sy - g.y[i]) * (g.x[j] - g.x[i]) / (g.y[j] - g.y[i]);
        qsort(cross, (size_t)n, sizeof *cross, rising);
        for (int k = 0; k + 1 < n; k += 2) {
            int from = (int)fmax(0, ceil(cross[k] - 0.5)), to = (int)fmin(cv->gw - 1, ceil(cross[k + 1] - 0.5) - 1);
            for (int x = from; x <= to; x++) blend(cv, x, y, &paint);
        }
    }
}

void stroke(Canvas *cv, const Path *p, double width, int closed, Paint paint) {
    static GridPath g;
    double r = width * cv->scale / 2, r2 = r * r;
    grid_path(cv, p, r + 1, &g);
    int bw = g.x1 - g.x0 + 1, bh = g.y1 - g.y0 + 1;
    if (bw <= 0 || bh <= 0) return;
    unsigned char *hit = must_alloc((size_t)bw * bh);
    for (int i = closed ? 0 : 1; i < p->n; i++) {
        int j = i ? i - 1 : p->n - 1;
        double ax = g.x[j], ay = g.y[j], dx = g.x[i] - ax, dy = g.y[i] - ay, len2 = dx * dx + dy * dy;
        int y0 = (int)fmax(g.y0, floor(fmin(ay, ay + dy) - r)), y1 = (int)fmin(g.y1, ceil(fmax(ay, ay + dy) + r));
        int x0 = (int)fmax(g.x0, floor(fmin(ax, ax + dx) - r)), x1 = (int)fmin(g.x1, ceil(fmax(ax, ax + dx) + r));
        for (int y = y0; y <= y1; y++)
            for (int x = x0; x <= x1; x++) {
                double px = x + 0.5 - ax, py = y + 0.5 - ay, t = len2 > 0 ? (px * dx + py * dy) / len2 : 0;
                t = t < 0 ? 0 : t > 1 ? 1 : t;
                px -= t * dx; py -= t * dy;
                if (px * px + py * py <= r2) hit[(size_t)(y - g.y0) * bw + (x - g.x0)] = 1;
            }
    }
    for (int y = 0; y < bh; y++)
        for (int x = 0; x < bw; x++)
            if (hit[(size_t)y * bw + x]) blend(cv, x + g.x0, y + g.y0, &paint);
    free(hit);
}

void fill_points(Canvas *cv, const double (*xy)[2], int n, Paint paint) {
    static Path p;
    path_clear(&p);
    for (int i = 0; i < n; i++) path_to(&p, xy[i][0], xy[i][1]);
    fill(cv, &p, paint);
}

void fill_round(Canvas *cv, const double (*xy)[2], int n, double radius, Paint paint) {
    static Path p;
    path_clear(&p);
    for (int i = 0; i < n; i++) path_to(&p, xy[i][0], xy[i][1]);
    fill(cv, &p, paint);
    stroke(cv, &p, 2 * radius, 1, paint);
}

void ellipse(Canvas *cv, double cx, double cy, double rx, double ry, double degrees, Paint paint) {
    static Path p;
    double c = cos(degrees * PI / 180), s = sin(degrees * PI / 180);
    path_clear(&p);
    for (int i = 0; i < 72; i++) {
        double x = rx * cos(i * PI / 36), y = ry * sin(i * PI / 36);
        path_to(&p, cx + c * x - s * y, cy + s * x + c * y);
    }
    fill(cv, &p, paint);
}

void disc(Canvas *cv, double cx, double cy, double r, Paint paint) { ellipse(cv, cx, cy, r, r, 0, paint); }

void rect(Canvas *cv, double x0, double y0, double x1, double y1, Paint paint) {
    const double xy[4][2] = {{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}};
    fill_points(cv, xy, 4, paint);
}

void line(Canvas *cv, double x0, double y0, double x1, double y1, double width, Paint paint) {
    static Path p;
    path_clear(&p);
    path_to(&p, x0, y0);
    path_to(&p, x1, y1);
    stroke(cv, &p, width, 0, paint);
}

// ---- blur and finish ----

// One running mean over 2r + 1 values of every channel; the edge value is repeated.
static void mean_line(float *px, int n, int step, int r, float *copy) {
    for (int ch = 0; ch < 4; ch++) {
        double sum = 0;
        for (int i = 0; i < n; i++) copy[i] = px[(size_t)i * step + ch];
        for (int i = -r; i <= r; i++) sum += copy[i < 0 ? 0 : i >= n ? n - 1 : i];
        for (int i = 0; i < n; i++) {
            px[(size_t)i * step + ch] = (float)(sum / (2 * r + 1));
            int in = i + r + 1, out = i - r;
            sum += copy[in >= n ? n - 1 : in] - copy[out < 0 ? 0 : out];
        }
    }
}

static void blur_pixels(float *px, int w, int h, int r) {
    if (r < 1) return;
    float *copy = must_alloc((size_t)(w > h ? w : h) * sizeof *copy);
    for (int pass = 0; pass < 3; pass++) {
        for (int y = 0; y < h; y++) mean_line(px + (size_t)y * w * 4, w, 4, r, copy);
        for (int x = 0; x < w; x++) mean_line(px + (size_t)x * 4, h, w * 4, r, copy);
    }
    free(copy);
}

void blur(Canvas *cv, double radius) { blur_pixels(cv->px, cv->gw, cv->gh, (int)(radius * CANVAS_SS / 2 + 0.5)); }

// Blurring and averaging need colours weighted by their coverage.
static void premultiply(Canvas *cv) {
    for (size_t i = 0; i < (size_t)cv->gw * cv->gh; i++)
        for (int ch = 0; ch < 3; ch++) cv->px[i * 4 + ch] *= cv->px[i * 4 + 3];
}

static float clamp01(double v) { return (float)(v < 0 ? 0 : v > 1 ? 1 : v); }

Image canvas_finish(Canvas *cv, double soft, double gain, double noise_size, uint32_t seed) {
    Image im = {cv->w, cv->h, must_alloc((size_t)cv->w * cv->h * 4 * sizeof(float))};
    premultiply(cv);
    blur(cv, soft);
    for (int y = 0; y < im.h; y++)
        for (int x = 0; x < im.w; x++) {
            double sum[4] = {0};
            for (int j = 0; j < CANVAS_SS; j++)
                for (int i = 0; i < CANVAS_SS; i++)
                    for (int ch = 0; ch < 4; ch++)
                        sum[ch] += cv->px[((size_t)(y * CANVAS_SS + j) * cv->gw + x * CANVAS_SS + i) * 4 + ch];
            float *q = im.px + ((size_t)y * im.w + x) * 4;
            q[3] = clamp01(sum[3] / (CANVAS_SS * CANVAS_SS));
            for (int ch = 0; ch < 3; ch++) {
                double n = hash2(x, y, seed + (uint32_t)ch) / 4294967295.0 + hash2(y, x, seed + 9u) / 4294967295.0 - 1;
                q[ch] = sum[3] > 0 ? clamp01(gain * sum[ch] / sum[3] + noise_size * n) : 0;
            }
        }
    return im;
}
