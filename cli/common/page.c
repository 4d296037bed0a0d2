/* HTML pages. Written beside their place and then renamed, so that a reader never sees half of one. */
#include "common/page.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    "body{font:14px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 "
    "1em;color:#222;background:#fff}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}td{padding:.1em 1.5em .1em "
    "0}td:first-child{color:#666}"
    "svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#222}.note{fill:#666}"
    ".a{fill:#2b6cb0}.b{fill:#cbd5e0}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}svg text{fill:#ddd}"
    ".note,td:first-child{fill:#999;color:#999}.b{fill:#4a5568}}";

static void put_escaped(FILE *f, const char *text) {
  for (; *text; text++) {
    const char *entity = *text == '<'   ? "&lt;"
                         : *text == '>' ? "&gt;"
                         : *text == '&' ? "&amp;"
                         : *text == '"' ? "&quot;"
                                        : NULL;
    if (entity)
      fputs(entity, f);
    else
      fputc((unsigned char)*text < ' ' ? ' ' : *text, f);
  }
}

static int fail(struct cli_page *p) {
  cli_refuse(SUMI_E_IO, "'%s' cannot be written: %s", p->path, strerror(errno));
  if (p->file) fclose(p->file);
  remove(p->temp);
  free(p->path);
  free(p->temp);
  *p = (struct cli_page){0};
  return CLI_RESOURCE;
}

void cli_page_escaped(struct cli_page *p, const char *text) { put_escaped(p->file, text); }

int cli_page_open(struct cli_page *p, const char *path, const char *title) {
  *p = (struct cli_page){.path = cli_strdup(path), .temp = cli_printf("%s.part", path)};
  if (!(p->file = fopen(p->temp, "w"))) return fail(p);
  fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", p->file);
  put_escaped(p->file, title);
  fprintf(p->file, "</title><style>%s</style></head>\n<body><h1>", style);
  put_escaped(p->file, title);
  fputs("</h1>\n", p->file);
  return CLI_GO_ON;
}

void cli_page_facts(struct cli_page *p, const char *const (*fact)[2], size_t n) {
  fputs("<table>\n", p->file);
  for (size_t i = 0; i < n; i++) {
    fputs("<tr><td>", p->file);
    put_escaped(p->file, fact[i][0]);
    fputs("</td><td>", p->file);
    put_escaped(p->file, fact[i][1]);
    fputs("</td></tr>\n", p->file);
  }
  fputs("</table>\n", p->file);
}

/* ---- bars: labels in columns 0..280, bars in 290..690, figures behind them ---- */

enum { ROW = 18, LABEL_END = 280, BAR = 290, WIDE = 400, PAGE_WIDE = 900, LABEL_BYTES = 44 };

static void put_bar(FILE *f, const char *class_, double y, double high, double share) {
  if (!(share >= 0)) return;
  fprintf(f, "<rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>", class_, BAR, y,
          fmin(share, 1) * WIDE, high);
}

static void put_row(FILE *f, const struct cli_bars *b, size_t i, double scale) {
  const double y = (double)(ROW * i), value = b->value[i], other = b->other ? b->other[i] : NAN;
  const size_t n = strlen(b->label[i]);
  fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LABEL_END, y + 12);
  if (n > LABEL_BYTES) fputs("...", f);
  put_escaped(f, n > LABEL_BYTES ? b->label[i] + n - LABEL_BYTES : b->label[i]);
  fputs("</text>", f);
  if (b->other) put_bar(f, "b", y + 2, 6, other / scale);
  put_bar(f, "a", b->other ? y + 8 : y + 3, b->other ? 6 : 11, value / scale);
  const double end = BAR + 6 + WIDE * fmin(fmax(fmax(value, other), 0) / scale, 1);
  fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">", end, y + 12);
  if (value >= 0) fprintf(f, "%.3g %s", value, b->unit);
  fputs("</text>", f);
  if (b->note && *b->note[i]) {
    fprintf(f, "<text class=\"note\" x=\"%.1f\" y=\"%.1f\">", end + (value >= 0 ? 70 : 0), y + 12);
    put_escaped(f, b->note[i]);
    fputs("</text>", f);
  }
  fputc('\n', f);
}

void cli_page_bars(struct cli_page *p, const struct cli_bars *b) {
  double scale = b->scale;
  for (size_t i = 0; i < b->n && b->scale <= 0; i++)
    scale = fmax(scale, fmax(b->value[i], b->other ? b->other[i] : 0));
  fputs("<h2>", p->file);
  put_escaped(p->file, b->title);
  fputs("</h2>\n", p->file);
  if (b->other) {
    fputs("<p>dark: ", p->file);
    put_escaped(p->file, b->value_name);
    fputs("; light: ", p->file);
    put_escaped(p->file, b->other_name);
    fputs("</p>\n", p->file);
  }
  fprintf(p->file, "<svg viewBox=\"0 0 %d %zu\" role=\"img\">\n", PAGE_WIDE, ROW * b->n + 4);
  for (size_t i = 0; i < b->n; i++) put_row(p->file, b, i, scale > 0 ? scale : 1);
  fputs("</svg>\n", p->file);
}

int cli_page_close(struct cli_page *p) {
  fputs("</body></html>\n", p->file);
  FILE *file = p->file;
  bool good = !ferror(file);
  p->file = NULL;
  good = fclose(file) == 0 && good;
  if (!good || rename(p->temp, p->path) != 0) return fail(p);
  free(p->path);
  free(p->temp);
  *p = (struct cli_page){0};
  return CLI_GO_ON;
}
