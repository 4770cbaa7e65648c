// ddnm: restores camera frames. The C interface of the library.
//
// Every function that can fail returns a status; ddnm_error() then says why.

#ifndef DDNM_H
#define DDNM_H

// Made of src/capi by cbindgen, as its cbindgen.toml says: to be changed there.

#include <stddef.h>
#include <stdint.h>

// Samples of whole numbers from black 0 to white 255.
#define DDNM_U8 1

// Samples of whole numbers from black 0 to white 65535, in the machine's byte order.
#define DDNM_U16 2

// Samples that are floats from black 0.0 to white 1.0.
#define DDNM_F32 4

// Done. The other statuses are the exit codes of the program.
#define DDNM_OK 0

// Options that make no sense, or NULL where a pointer is needed.
#define DDNM_USAGE 2

// A picture of the wrong size, or with values that are no numbers.
#define DDNM_INPUT 3

// A model that cannot be used.
#define DDNM_MODEL 4

// Not enough memory.
#define DDNM_MEMORY 5

// The model gave what is no number.
#define DDNM_NUMERICAL 6

// An instruction set that is not there.
#define DDNM_DEVICE 8

// A bug of this library, or of the progress function; destroy the restorer.
#define DDNM_BUG 70

// The progress function asked to stop.
#define DDNM_STOPPED 130

// Restores the frames of one camera. It is made once and given frame after frame; after the first
// it allocates nothing, where the degradation is local (not for blurs, sr:N:bicubic and compressed
// sensing). It may move from thread to thread, and is used by one call at a time. It has threads
// of its own.
typedef struct ddnm_restorer ddnm_restorer;

// What is restored, and how. Set all to 0 first, then `size` to sizeof(ddnm_options); 0 is the
// usual value of what need not be said.
typedef struct ddnm_options {
    // sizeof(ddnm_options), by which a library of another version is found out.
    size_t size;
    // What happened to the scene, as in "bayer:rggb" or "gray+sr:2". Needed.
    const char *spec;
    // A model file; NULL: the built-in model.
    const char *model;
    // "faithful" or "sample"; NULL: faithful.
    const char *mode;
    // Noise of the measurement: standard deviation in 8-bit code values, 0 to 25500. Where
    // `noise_gain` is not 0, that of the readout alone, 0 to 255.
    double noise;
    // A camera's noise, that grows with the light: the variance of a value `v` is
    // noise_gain * v + noise * noise, all in 8-bit code values. 0 to 255; 0: as strong everywhere.
    double noise_gain;
    // Of a sample: share of new noise per step, 0 to 1. 0: 0.85; for as good as none say 1e-30.
    double eta;
    // Of a sample: another one for each.
    uint64_t seed;
    // Size of the measurement in pixels, 1 to 65535 each.
    uint32_t width;
    uint32_t height;
    // Of the measurement: 1 or 3.
    uint32_t channels;
    // Of the measurement: DDNM_U8, DDNM_U16 or DDNM_F32.
    uint32_t samples;
    // Size of the scene in pixels; 0 and 0: the largest that fits.
    uint32_t scene_width;
    uint32_t scene_height;
    // Evaluations of the model, 1 to 1000; 0: what suits the degradation.
    uint32_t steps;
    // 0: as many as the machine grants; -1: one less, and so on; at most 1024.
    int32_t threads;
} ddnm_options;

// Size of a picture, in pixels.
typedef struct ddnm_size {
    uint32_t width;
    uint32_t height;
    uint32_t channels;
} ddnm_size;

// A picture in the caller's memory. Sample (channel c, row y, column x) lies at byte
// c * plane + y * row + x * pixel of `data`; it need not be aligned.
typedef struct ddnm_picture {
    void *data;
    // How many there are at `data`.
    size_t bytes;
    // Bytes from one column to the next; 0: channels side by side.
    size_t pixel;
    // Bytes from one row to the next; 0: without a gap.
    size_t row;
    // Bytes from one channel to the next; 0: one sample.
    size_t plane;
    // Size in pixels.
    uint32_t width;
    uint32_t height;
    uint32_t channels;
    // DDNM_U8, DDNM_U16 or DDNM_F32. A result's may be others than the measurement's.
    uint32_t samples;
} ddnm_picture;

// Called on the calling thread for each tile that is done, of all steps; `user` is what the caller
// gave. What is not 0 stops the frame. It must return: no exception, no longjmp.
typedef int (*ddnm_progress)(void *user, size_t done, size_t total);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes a restorer, which `ddnm_destroy` frees. On failure `*made` is NULL.
//
// # Safety
// `options` and `made` are NULL or point to what their types say; strings in the options end with
// a zero. They are needed during this call only.
int ddnm_create(const struct ddnm_options *options, struct ddnm_restorer **made);

// Sizes of what comes in and of what comes out; NULL where one does not matter.
//
// # Safety
// `restorer` is NULL or from `ddnm_create`; the sizes are NULL or can be written.
int ddnm_sizes(const struct ddnm_restorer *restorer,
               struct ddnm_size *measurement,
               struct ddnm_size *scene);

// Restores a frame. `measured` is only read; it and `result` have the sizes that `ddnm_sizes`
// says, and share no memory. `frame` is the frame's number, which the noise of a sample depends
// on. `progress` may be NULL. After a failure parts of `result` have been written.
//
// # Safety
// `restorer` is NULL or from `ddnm_create`, and not used by another call meanwhile. Pictures are
// NULL or hold as many bytes as they say, which nobody else uses meanwhile.
int ddnm_restore(struct ddnm_restorer *restorer,
                 const struct ddnm_picture *measured,
                 const struct ddnm_picture *result,
                 uint32_t frame,
                 ddnm_progress progress,
                 void *user);

// Ends a restorer's threads and frees it; NULL is fine.
//
// # Safety
// `restorer` is NULL or from `ddnm_create`, and not used any more.
void ddnm_destroy(struct ddnm_restorer *restorer);

// The library's version, as in "0.1.0"; the string lives as long as the library.
const char *ddnm_version(void);

// Why the last function that failed on this thread did so: one line of UTF-8, empty where none
// has failed. It is the library's own, and valid until the next one fails here or the thread ends.
const char *ddnm_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DDNM_H */
