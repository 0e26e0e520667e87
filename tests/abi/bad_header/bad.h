/* A header with every fault that header_lint.py knows; the lint is tested with it. */
#include <stdbool.h>

typedef struct sluice_bad {
  bool ready;
  void (*no_word)(void);
  void (*two_words)(void); /* [hot] [control] */
  void (*good)(void);      /* [any] */
  unsigned long size;
} sluice_bad;
