#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Why an encoding failed. */
typedef enum cjpeg_status {
  CJPEG_OK = 0,
  /** The output did not fit in memory. */
  CJPEG_OUT_OF_MEMORY = 1,
  /** libjpeg refused; the message says why. */
  CJPEG_FAILED = 2
} cjpeg_status;

/** What to encode. */
typedef struct cjpeg_picture {
  /** Interleaved RGB8 rows without padding: height * width * 3 bytes. */
  const uint8_t *pixels;
  /** 1 ... 65,500, libjpeg's limit; so is `height`. */
  uint32_t width;
  uint32_t height;
  /** The payload of an APP1 segment ("Exif\0\0" and a TIFF structure), at most 65,533 bytes, or NULL. */
  const uint8_t *exif;
  size_t exif_size;
} cjpeg_picture;

enum { CJPEG_MESSAGE_SIZE = 256 };

/** Encodes a baseline JFIF file with optimised Huffman tables: full chroma resolution (4:4:4) at quality 90 and
    above, 4:2:0 below.

    @param quality  1 ... 100, libjpeg's scale.
    @param output   on success memory for cjpeg_free(), else NULL.
    @param message  receives why it failed, or "".

    libjpeg's longjmp stops here. Nothing is printed; any thread may call. */
cjpeg_status cjpeg_encode(const cjpeg_picture *picture, int quality, uint8_t **output,
                          size_t *output_size, char message[CJPEG_MESSAGE_SIZE]);

/** Frees what cjpeg_encode() returned; NULL does nothing. */
void cjpeg_free(uint8_t *output);

#ifdef __cplusplus
}
#endif
