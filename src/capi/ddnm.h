/* ddnm: restores camera frames. The C interface of the library.
 *
 * A restorer is made once and given frame after frame; after the first it allocates nothing, where
 * the degradation is local (not for blurs, sr:N:bicubic and compressed sensing). It may move from
 * thread to thread, and is used by one call at a time. It has threads of its own.
 *
 * Every function that can fail returns a status; ddnm_error() then says why.
 */
#ifndef DDNM_H
#define DDNM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Statuses: the exit codes of the program. */
#define DDNM_OK 0
#define DDNM_USAGE 2      /* options that make no sense, NULL where a pointer is needed */
#define DDNM_INPUT 3      /* a picture of the wrong size, or with values that are no numbers */
#define DDNM_MODEL 4      /* a model that cannot be used */
#define DDNM_MEMORY 5     /* not enough memory */
#define DDNM_NUMERICAL 6  /* the model gave what is no number */
#define DDNM_DEVICE 8     /* an instruction set that is not there */
#define DDNM_BUG 70       /* a bug of this library; destroy the restorer */
#define DDNM_STOPPED 130  /* the progress function asked to stop */

/* Samples: whole numbers from black 0 to white 255 or 65535 in the machine's byte order, or floats
 * from black 0.0 to white 1.0. */
#define DDNM_U8 1
#define DDNM_U16 2
#define DDNM_F32 4

/* What is restored, and how. Set all to 0 first, then `size` to sizeof(ddnm_options). */
typedef struct ddnm_options {
    size_t size;
    const char *spec;       /* what happened to the scene, as in "bayer:rggb" or "gray+sr:2" */
    const char *model;      /* a model file; NULL: the built-in model */
    const char *mode;       /* "faithful" or "sample"; NULL: faithful */
    double noise;           /* of the measurement: standard deviation in 8-bit code values */
    uint64_t seed;          /* of a sample */
    uint32_t width;         /* size of the measurement, and its channels (1 or 3) */
    uint32_t height;
    uint32_t channels;
    uint32_t samples;       /* of the measurement: DDNM_U8, DDNM_U16 or DDNM_F32 */
    uint32_t scene_width;   /* size of the scene; 0 and 0: the largest that fits */
    uint32_t scene_height;
    uint32_t steps;         /* evaluations of the model; 0: what suits the degradation */
    int32_t threads;        /* 0: as many as the machine grants; -1: one less */
} ddnm_options;

typedef struct ddnm_size {
    uint32_t width;
    uint32_t height;
    uint32_t channels;
} ddnm_size;

/* A picture in the caller's memory. Sample (channel c, row y, column x) lies at byte
 * c * plane + y * row + x * pixel of `data`. */
typedef struct ddnm_picture {
    void *data;
    size_t bytes;           /* how many there are */
    size_t pixel;           /* from one column to the next; 0: channels side by side */
    size_t row;             /* from one row to the next; 0: without a gap */
    size_t plane;           /* from one channel to the next; 0: one sample */
    uint32_t width;
    uint32_t height;
    uint32_t channels;
    uint32_t samples;
} ddnm_picture;

typedef struct ddnm_restorer ddnm_restorer;

/* Called on the calling thread for each tile that is done; what is not 0 stops the frame. It must
 * return: no exception, no longjmp. */
typedef int (*ddnm_progress)(void *user, size_t done, size_t total);

/* Makes a restorer. On failure *made is NULL. */
int ddnm_create(const ddnm_options *options, ddnm_restorer **made);

/* Sizes of what comes in and of what comes out; NULL where one does not matter. */
int ddnm_sizes(const ddnm_restorer *restorer, ddnm_size *measurement, ddnm_size *scene);

/* Restores a frame. `measured` is only read; it and `result` share no memory. `frame` is the frame's
 * number, which the noise of a sample depends on. `progress` may be NULL. After a failure parts of
 * `result` have been written. */
int ddnm_restore(ddnm_restorer *restorer, const ddnm_picture *measured, const ddnm_picture *result,
                 uint32_t frame, ddnm_progress progress, void *user);

/* Ends its threads and frees it; NULL is fine. */
void ddnm_destroy(ddnm_restorer *restorer);

/* Why the last function on this thread failed; valid until the next one does. */
const char *ddnm_error(void);

/* The library's version, as in "0.1.0". */
const char *ddnm_version(void);

#ifdef __cplusplus
}
#endif

#endif
