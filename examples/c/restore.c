/* Restores a picture of 8-bit samples: restore SPEC NOISE IN OUT, where NOISE is in code values or
 * poisson:GAIN,READ, IN is binary PGM or PPM and OUT becomes one. It restores the picture three
 * times, as a camera program would frame after frame.
 *
 *   cargo rustc --release --lib --features capi --crate-type cdylib
 *   cc -Isrc/capi examples/c/restore.c -Ltarget/release -lddnm -o restore
 *   LD_LIBRARY_PATH=target/release ./restore bayer:rggb 0 mosaic.pgm scene.ppm
 */
#include <stdio.h>
#include <stdlib.h>

#include "ddnm.h"

static int fail(const char *what) {
    fprintf(stderr, "restore: %s\n", what);
    return 1;
}

/* Counts tiles; never stops. */
static int count(void *user, size_t done, size_t total) {
    size_t *seen = user;
    *seen = done;
    return done > total;
}

static ddnm_picture picture(const ddnm_size *size) {
    ddnm_picture p = {0};
    p.width = size->width;
    p.height = size->height;
    p.channels = size->channels;
    p.samples = DDNM_U8;
    p.bytes = (size_t)size->width * size->height * size->channels;
    p.data = malloc(p.bytes);
    return p;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        return fail("expected SPEC NOISE IN OUT");
    }
    FILE *in = fopen(argv[3], "rb");
    char kind;
    ddnm_size size, scene;
    if (!in || fscanf(in, "P%c %u %u 255", &kind, &size.width, &size.height) != 3) {
        return fail("cannot read the picture");
    }
    fgetc(in);
    size.channels = kind == '6' ? 3 : 1;

    ddnm_options options = {0};
    options.size = sizeof options;
    options.spec = argv[1];
    if (sscanf(argv[2], "poisson:%lf,%lf", &options.noise_gain, &options.noise) != 2) {
        options.noise = atof(argv[2]);
    }
    options.width = size.width;
    options.height = size.height;
    options.channels = size.channels;
    options.samples = DDNM_U8;
    ddnm_restorer *restorer;
    if (ddnm_create(&options, &restorer) != DDNM_OK) {
        return fail(ddnm_error());
    }
    ddnm_sizes(restorer, NULL, &scene);
    ddnm_picture measured = picture(&size), result = picture(&scene);
    if (!measured.data || !result.data) {
        return fail("not enough memory");
    }
    if (fread(measured.data, 1, measured.bytes, in) != measured.bytes) {
        return fail("the picture is cut off");
    }
    fclose(in);

    size_t tiles = 0;
    for (int frame = 0; frame < 3; frame++) {
        int status = ddnm_restore(restorer, &measured, &result, 0, count, &tiles);
        if (status != DDNM_OK) {
            return fail(ddnm_error());
        }
    }
    ddnm_destroy(restorer);
    fprintf(stderr, "ddnm %s: %zu tiles per frame\n", ddnm_version(), tiles);

    FILE *out = fopen(argv[4], "wb");
    if (!out) {
        return fail("cannot write the result");
    }
    fprintf(out, "P%c\n%u %u\n255\n", scene.channels == 3 ? '6' : '5', scene.width, scene.height);
    size_t written = fwrite(result.data, 1, result.bytes, out);
    if (fclose(out) != 0 || written != result.bytes) {
        return fail("cannot write the result");
    }
    free(measured.data);
    free(result.data);
    return 0;
}
