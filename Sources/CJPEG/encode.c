#include "CJPEG.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum {
  // At and above this quality the eye sees chroma bleed sooner than it misses the bytes.
  FULL_CHROMA_QUALITY = 90,
  FIRST_CAPACITY = 1 << 16
};

typedef struct {
  struct jpeg_error_mgr base;  // first, so that libjpeg's pointer is also ours
  jmp_buf escape;
} error_manager;

// libjpeg's own memory destination leaves a dangling pointer behind when an encoding fails half way;
// this one always knows what to free.
typedef struct {
  struct jpeg_destination_mgr base;  // first, as above
  uint8_t *bytes;
  size_t capacity;
} memory_destination;

// libjpeg's default prints and ends the process; this returns to cjpeg_encode_rgb().
static void leave(j_common_ptr common) {
  error_manager *errors = (error_manager *)common->err;
  longjmp(errors->escape, 1);
}

static void say_nothing(j_common_ptr common) { (void)common; }

static void grow(j_compress_ptr jpeg, size_t capacity) {
  memory_destination *destination = (memory_destination *)jpeg->dest;
  uint8_t *bytes = realloc(destination->bytes, capacity);
  if (bytes == NULL) ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 10);
  const size_t used = destination->capacity;
  destination->bytes = bytes;
  destination->capacity = capacity;
  destination->base.next_output_byte = bytes + used;
  destination->base.free_in_buffer = capacity - used;
}

static void begin(j_compress_ptr jpeg) { grow(jpeg, FIRST_CAPACITY); }

// Called when the buffer is full to its end, whatever free_in_buffer says.
static boolean make_room(j_compress_ptr jpeg) {
  grow(jpeg, 2 * ((memory_destination *)jpeg->dest)->capacity);
  return TRUE;
}

static void end(j_compress_ptr jpeg) { (void)jpeg; }

static void configure(j_compress_ptr jpeg, int quality) {
  jpeg->input_components = 3;
  jpeg->in_color_space = JCS_RGB;
  jpeg_set_defaults(jpeg);
  jpeg_set_quality(jpeg, quality, TRUE);
  jpeg->optimize_coding = TRUE;
  const int luma_factor = quality >= FULL_CHROMA_QUALITY ? 1 : 2;
  jpeg->comp_info[0].h_samp_factor = luma_factor;
  jpeg->comp_info[0].v_samp_factor = luma_factor;
}

static void encode(j_compress_ptr jpeg, const cjpeg_picture *picture, int quality) {
  jpeg->image_width = picture->width;
  jpeg->image_height = picture->height;
  configure(jpeg, quality);
  jpeg_start_compress(jpeg, TRUE);
  if (picture->exif != NULL)
    jpeg_write_marker(jpeg, JPEG_APP0 + 1, picture->exif, (unsigned int)picture->exif_size);
  while (jpeg->next_scanline < picture->height) {
    JSAMPROW row = (JSAMPROW)(picture->pixels + (size_t)jpeg->next_scanline * picture->width * 3);
    jpeg_write_scanlines(jpeg, &row, 1);
  }
  jpeg_finish_compress(jpeg);
}

cjpeg_status cjpeg_encode(const cjpeg_picture *picture, int quality, uint8_t **output,
                          size_t *output_size, char message[CJPEG_MESSAGE_SIZE]) {
  // In memory rather than in registers, where longjmp could leave them stale: libjpeg holds their addresses.
  struct jpeg_compress_struct jpeg;
  error_manager errors;
  memory_destination destination = {.base = {.init_destination = begin,
                                             .empty_output_buffer = make_room,
                                             .term_destination = end}};
  *output = NULL;
  *output_size = 0;
  message[0] = '\0';

  memset(&jpeg, 0, sizeof jpeg);
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.output_message = say_nothing;
  if (setjmp(errors.escape)) {
    char text[JMSG_LENGTH_MAX];
    errors.base.format_message((j_common_ptr)&jpeg, text);
    snprintf(message, CJPEG_MESSAGE_SIZE, "%s", text);
    const int code = errors.base.msg_code;
    jpeg_destroy_compress(&jpeg);
    free(destination.bytes);
    return code == JERR_OUT_OF_MEMORY ? CJPEG_OUT_OF_MEMORY : CJPEG_FAILED;
  }
  jpeg_create_compress(&jpeg);
  jpeg.dest = &destination.base;
  encode(&jpeg, picture, quality);
  jpeg_destroy_compress(&jpeg);
  *output = destination.bytes;
  *output_size = destination.capacity - destination.base.free_in_buffer;
  return CJPEG_OK;
}

void cjpeg_free(uint8_t *output) { free(output); }
