// What can be drawn. Every function draws one picture on a fresh canvas of w x h pixels.
#ifndef DRAW_H
#define DRAW_H

#include "canvas.h"

typedef Image (*Scene)(int w, int h);

// lettering.c: text centred on the origin; w and h are the size of one letter, gap what lies between two.
void text(Canvas *cv, const char *s, double w, double h, double gap, double pen, Color ink);

// signs.c
Image sign_stop(int w, int h);
Image sign_yield(int w, int h);
Image sign_priority_road(int w, int h);
Image sign_no_entry(int w, int h);
Image sign_speed_30(int w, int h);
Image sign_speed_50(int w, int h);
Image sign_speed_80(int w, int h);
Image sign_keep_right(int w, int h);
Image sign_ahead_only(int w, int h);
Image sign_turn_right(int w, int h);
Image sign_roundabout(int w, int h);
Image sign_danger(int w, int h);
Image sign_priority_next(int w, int h);
Image sign_no_passing(int w, int h);
Image sign_end_all_limits(int w, int h);

// plants.c
Image leaf_healthy(int w, int h);
Image leaf_rust(int w, int h);
Image leaf_blight(int w, int h);
Image flower_sunflower(int w, int h);
Image flower_daisy(int w, int h);
Image flower_tulips(int w, int h);
Image flower_rose(int w, int h);
Image flower_dandelion(int w, int h);

// things.c
Image cloth_t_shirt(int w, int h);
Image cloth_jeans(int w, int h);
Image cloth_dress(int w, int h);
Image cloth_shoes(int w, int h);
Image waste_bottle(int w, int h);
Image waste_box(int w, int h);
Image waste_newspaper(int w, int h);

// aerial.c
Image aerial_field(int w, int h);
Image aerial_parking(int w, int h);
Image aerial_river(int w, int h);
Image aerial_forest(int w, int h);

#endif
