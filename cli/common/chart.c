/* Charts as inline SVG. */
#include "common/chart.h"

#include <math.h>
#include <string.h>

enum { ROW = 18, LABEL_END = 280, BAR = 290, WIDE = 440, PAGE_WIDE = 900, LABEL_BYTES = 44 };

static const char *const colours[CLI_STACK_PARTS] = {"#2b6cb0", "#dd6b20", "#38a169", "#d53f8c", "#805ad5",
                                                     "#d69e2e", "#319795", "#e53e3e", "#718096", "#a0aec0"};

void cli_page_text(struct cli_page *p, const char *text) {
  fputs("<p>", p->file);
  cli_page_escaped(p, text);
  fputs("</p>\n", p->file);
}

static void put_title(struct cli_page *p, const char *title) {
  fputs("<h2>", p->file);
  cli_page_escaped(p, title);
  fputs("</h2>\n", p->file);
}

/* ---- stacked bars ---- */

static double part_of(const struct cli_stack *s, size_t i, size_t k) {
  const double v = s->value[i * s->parts + k];
  return v > 0 ? v : 0;
}

static double sum_of(const struct cli_stack *s, size_t i) {
  double sum = 0;
  for (size_t k = 0; k < s->parts; k++) sum += part_of(s, i, k);
  return sum;
}

static void put_stack_row(struct cli_page *p, const struct cli_stack *s, size_t i, double scale) {
  FILE *f = p->file;
  const double y = (double)(ROW * i), sum = sum_of(s, i);
  const size_t n = strlen(s->label[i]);
  fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s", LABEL_END, y + 12,
          n > LABEL_BYTES ? "..." : "");
  cli_page_escaped(p, n > LABEL_BYTES ? s->label[i] + n - LABEL_BYTES : s->label[i]);
  fputs("</text>", f);
  double x = BAR;
  for (size_t k = 0; k < s->parts; k++) {
    const double wide = WIDE * part_of(s, i, k) / scale;
    if (wide <= 0) continue;
    fprintf(f, "<rect fill=\"%s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"11\"><title>", colours[k], x,
            y + 3, wide);
    cli_page_escaped(p, s->part[k]);
    fprintf(f, " %.4g %s</title></rect>", part_of(s, i, k), s->unit);
    x += wide;
  }
  fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">%.3g %s</text>", x + 6, y + 12, sum, s->unit);
  if (s->note && *s->note[i]) {
    fprintf(f, "<text class=\"note\" x=\"%.1f\" y=\"%.1f\">", x + 76, y + 12);
    cli_page_escaped(p, s->note[i]);
    fputs("</text>", f);
  }
  fputc('\n', f);
}

void cli_page_stack(struct cli_page *p, const struct cli_stack *s) {
  double scale = 0;
  for (size_t i = 0; i < s->n; i++) scale = fmax(scale, sum_of(s, i));
  put_title(p, s->title);
  fputs("<p>", p->file);
  for (size_t k = 0; k < s->parts; k++) {
    fprintf(p->file, "<span style=\"color:%s\">&#9632;</span> ", colours[k]);
    cli_page_escaped(p, s->part[k]);
    fputs(k + 1 < s->parts ? " &nbsp; " : "</p>\n", p->file);
  }
  fprintf(p->file, "<svg viewBox=\"0 0 %d %zu\" role=\"img\">\n", PAGE_WIDE, ROW * s->n + 4);
  for (size_t i = 0; i < s->n; i++) put_stack_row(p, s, i, scale > 0 ? scale : 1);
  fputs("</svg>\n", p->file);
}

/* ---- roofline ---- */

enum { LEFT = 90, RIGHT = 880, TOP = 20, BOTTOM = 380, HIGH = 430 };

struct axes {
  double x0, x1, y0, y1; /* powers of ten */
};

static double x_of(const struct axes *a, double x) {
  return LEFT + (RIGHT - LEFT) * (log10(x) - a->x0) / (a->x1 - a->x0);
}
static double y_of(const struct axes *a, double y) {
  return BOTTOM - (BOTTOM - TOP) * (log10(y) - a->y0) / (a->y1 - a->y0);
}

static bool is_point(const struct cli_roofline *r, size_t i) {
  return r->x[i] > 0 && r->y[i] > 0 && isfinite(r->x[i]) && isfinite(r->y[i]);
}

static struct axes axes_of(const struct cli_roofline *r) {
  struct axes a = {INFINITY, -INFINITY, INFINITY, -INFINITY};
  for (size_t i = 0; i < r->n; i++) {
    if (!is_point(r, i)) continue;
    a.x0 = fmin(a.x0, log10(r->x[i])), a.x1 = fmax(a.x1, log10(r->x[i]));
    a.y0 = fmin(a.y0, log10(r->y[i])), a.y1 = fmax(a.y1, log10(r->y[i]));
  }
  for (size_t k = 0; k < r->roofs; k++) { /* the corners are in the picture */
    const double corner = log10(r->roof[k] / r->bytes_per_s), roof = log10(r->roof[k]);
    a.x0 = fmin(a.x0, corner), a.x1 = fmax(a.x1, corner), a.y0 = fmin(a.y0, roof), a.y1 = fmax(a.y1, roof);
  }
  return (struct axes){floor(a.x0), ceil(a.x1 + 0.01), floor(a.y0), ceil(a.y1 + 0.01)};
}

static void put_grid(struct cli_page *p, const struct axes *a, const struct cli_roofline *r) {
  FILE *f = p->file;
  for (double e = a->x0; e <= a->x1; e++)
    fprintf(f,
            "<line stroke=\"#8884\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" "
            "text-anchor=\"middle\">%g</text>\n",
            x_of(a, pow(10, e)), x_of(a, pow(10, e)), TOP, BOTTOM, x_of(a, pow(10, e)), BOTTOM + 16,
            pow(10, e));
  for (double e = a->y0; e <= a->y1; e++)
    fprintf(f,
            "<line stroke=\"#8884\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
            "text-anchor=\"end\">%g</text>\n",
            LEFT, RIGHT, y_of(a, pow(10, e)), y_of(a, pow(10, e)), LEFT - 6, y_of(a, pow(10, e)) + 4,
            pow(10, e));
  fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + RIGHT) / 2, BOTTOM + 38);
  cli_page_escaped(p, r->x_name);
  fprintf(f, "</text><text x=\"%d\" y=\"%d\">", LEFT, TOP - 6);
  cli_page_escaped(p, r->y_name);
  fputs("</text>\n", f);
}

static void put_roofs(struct cli_page *p, const struct axes *a, const struct cli_roofline *r) {
  double most = 0;
  for (size_t k = 0; k < r->roofs; k++) {
    const double corner = r->roof[k] / r->bytes_per_s, y = y_of(a, r->roof[k]);
    most = fmax(most, r->roof[k]);
    fprintf(p->file,
            "<line stroke=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
            "text-anchor=\"end\">",
            colours[k + 1], x_of(a, corner), y, RIGHT, y, RIGHT, y - 5);
    cli_page_escaped(p, r->roof_name[k]);
    fputs("</text>\n", p->file);
  }
  const double low = fmax(pow(10, a->x0), pow(10, a->y0) / r->bytes_per_s), high = most / r->bytes_per_s;
  if (low < high)
    fprintf(p->file, "<line stroke=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", colours[0],
            x_of(a, low), y_of(a, low * r->bytes_per_s), x_of(a, high), y_of(a, most));
}

void cli_page_roofline(struct cli_page *p, const struct cli_roofline *r) {
  const struct axes a = axes_of(r);
  put_title(p, r->title);
  if (!isfinite(a.x0) || !isfinite(a.y0)) return cli_page_text(p, "nothing was multiplied");
  fprintf(p->file, "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", PAGE_WIDE, HIGH);
  put_grid(p, &a, r);
  put_roofs(p, &a, r);
  for (size_t i = 0; i < r->n; i++) {
    if (!is_point(r, i)) continue;
    fprintf(p->file, "<circle class=\"a\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill-opacity=\".7\"><title>",
            x_of(&a, r->x[i]), y_of(&a, r->y[i]));
    cli_page_escaped(p, r->label[i]);
    fprintf(p->file, ": %.3g, %.3g</title></circle>\n", r->x[i], r->y[i]);
  }
  fputs("</svg>\n", p->file);
}
