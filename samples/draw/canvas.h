// A small anti-aliased canvas: shapes are drawn with hard edges on a grid CANVAS_SS times as fine as the
// picture, and the picture is the average of every CANVAS_SS x CANVAS_SS block.
#ifndef CANVAS_H
#define CANVAS_H

#include <stdint.h>

#define CANVAS_SS 4
#define PATH_MAX 640
#define PI 3.14159265358979323846

typedef struct { double r, g, b, a; } Color;

// How a shape is filled: `from` turns into `to` between two points (in the coordinates of the shape), and
// `grain` adds smooth noise of frequency (fx, fy) to the brightness.
typedef struct {
    Color from, to;
    double x0, y0, x1, y1;
    double grain, fx, fy;
    uint32_t seed;
} Paint;

typedef struct { double x[PATH_MAX], y[PATH_MAX]; int n; } Path;

typedef struct {
    int w, h;                   // size of the picture
    int gw, gh;                 // size of the fine grid
    float *px;                  // gw * gh * RGBA, 0..1, not premultiplied
    double ox, oy, scale, c, s; // placement: user coordinates to fine-grid coordinates
    double light;               // factor on every colour painted
} Canvas;

// A finished picture: w * h * RGBA, 0..1.
typedef struct { int w, h; float *px; } Image;

Canvas *canvas_new(int w, int h);
void canvas_free(Canvas *cv);
// The user's origin goes to (x, y) of the picture (in pixels), one unit is `scale` pixels, turned by `degrees`.
void place(Canvas *cv, double x, double y, double scale, double degrees);

Color rgb(int r, int g, int b);
Color mix(Color a, Color b, double t);
Color fade(Color c, double alpha);
Paint flat(Color c);
Paint ramp(Color from, Color to, double x0, double y0, double x1, double y1);
Paint grainy(Paint p, double grain, double fx, double fy, uint32_t seed);

void path_clear(Path *p);
void path_to(Path *p, double x, double y);
void path_arc(Path *p, double cx, double cy, double rx, double ry, double deg0, double deg1);
// A cubic curve from the last point of the path.
void path_curve(Path *p, double x1, double y1, double x2, double y2, double x3, double y3);

void fill(Canvas *cv, const Path *p, Paint paint);
void stroke(Canvas *cv, const Path *p, double width, int closed, Paint paint);
void fill_points(Canvas *cv, const double (*xy)[2], int n, Paint paint);
// The polygon grown by `radius`, with round corners.
void fill_round(Canvas *cv, const double (*xy)[2], int n, double radius, Paint paint);
void disc(Canvas *cv, double cx, double cy, double r, Paint paint);
void ellipse(Canvas *cv, double cx, double cy, double rx, double ry, double degrees, Paint paint);
void rect(Canvas *cv, double x0, double y0, double x1, double y1, Paint paint);
void line(Canvas *cv, double x0, double y0, double x1, double y1, double width, Paint paint);

// Fills everything / blurs what has been drawn so far (radius in pixels of the picture).
void backdrop(Canvas *cv, Paint paint);
void blur(Canvas *cv, double radius);

// A fixed-seed generator and smooth noise in -1..1: the same numbers on every run.
uint32_t hash2(int32_t x, int32_t y, uint32_t seed);
double noise(double x, double y, uint32_t seed);
double uniform(uint32_t *state);
double between(uint32_t *state, double low, double high);

// The finished picture: softened by `soft` pixels, multiplied by `gain`, with sensor noise of size `noise_size`.
Image canvas_finish(Canvas *cv, double soft, double gain, double noise_size, uint32_t seed);
void image_free(Image *im);

#endif
