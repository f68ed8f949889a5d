// Median cut: the box of colours with the widest side is split at its median until there are enough boxes.
#include "encode.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct { unsigned char c[4]; int at; } Pixel;
typedef struct { int from, to, axis, width; } Box;

// Ties are broken by position, so that the order does not depend on the sorting algorithm.
#define ORDER(axis) \
    static int by_##axis(const void *a, const void *b) { \
        const Pixel *p = a, *q = b; \
        return p->c[axis] != q->c[axis] ? p->c[axis] - q->c[axis] : p->at - q->at; \
    }
ORDER(0)
ORDER(1)
ORDER(2)
ORDER(3)

static Box measure(const Pixel *px, int from, int to) {
    Box box = {from, to, 0, -1};
    for (int axis = 0; axis < 4; axis++) {
        int low = 255, high = 0;
        for (int i = from; i < to; i++) {
            if (px[i].c[axis] < low) low = px[i].c[axis];
            if (px[i].c[axis] > high) high = px[i].c[axis];
        }
        if (high - low > box.width) { box.width = high - low; box.axis = axis; }
    }
    return box;
}

int quantize(const Image *im, int limit, unsigned char (*palette)[4], unsigned char *index) {
    static int (*const order[4])(const void *, const void *) = {by_0, by_1, by_2, by_3};
    int n = im->w * im->h, count = 1;
    Pixel *px = malloc((size_t)n * sizeof *px);
    Box box[256];
    if (!px) { fprintf(stderr, "draw: out of memory\n"); exit(1); }
    for (int i = 0; i < n; i++) {
        px[i].at = i;
        for (int ch = 0; ch < 4; ch++) px[i].c[ch] = (unsigned char)(im->px[(size_t)i * 4 + ch] * 255 + 0.5f);
    }
    box[0] = measure(px, 0, n);
    while (count < limit) {
        int widest = 0;
        for (int b = 1; b < count; b++)
            if (box[b].width > box[widest].width) widest = b;
        Box old = box[widest];
        if (old.width == 0) break;
        qsort(px + old.from, (size_t)(old.to - old.from), sizeof *px, order[old.axis]);
        int half = (old.from + old.to) / 2;
        box[widest] = measure(px, old.from, half);
        box[count++] = measure(px, half, old.to);
    }
    for (int b = 0; b < count; b++) {
        long sum[4] = {0}, size = box[b].to - box[b].from;
        for (int i = box[b].from; i < box[b].to; i++) {
            index[px[i].at] = (unsigned char)b;
            for (int ch = 0; ch < 4; ch++) sum[ch] += px[i].c[ch];
        }
        for (int ch = 0; ch < 4; ch++) palette[b][ch] = (unsigned char)((sum[ch] + size / 2) / size);
    }
    free(px);
    return count;
}
