/* replay: runs one fuzz target over every file of the given folders, so that the corpora are
 * checked in every build variant without libFuzzer. Exits 1 if there was no file at all: a replay
 * of nothing must not pass. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX_BYTES ((size_t)16 << 20)

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) return -1;
    uint8_t *data = malloc(FILE_MAX_BYTES);
    size_t size = data == NULL ? 0 : fread(data, 1, FILE_MAX_BYTES, f);
    (void)fclose(f);
    uint8_t *exact = malloc(size + 1); /* exact size, so that ASan sees one octet too far */
    if (exact == NULL || data == NULL) abort();
    for (size_t i = 0; i < size; i++) exact[i] = data[i];
    uint8_t *tight = realloc(exact, size == 0 ? 1 : size);
    (void)LLVMFuzzerTestOneInput(tight, size);
    free(tight);
    free(data);
    return 1;
}

static int replay_folder(const char *folder) {
    int count = 0;
    DIR *d = opendir(folder);
    if (d == NULL) return 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[4096];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) continue;
        if (replay_file(path) > 0) count++;
    }
    (void)closedir(d);
    return count;
}

int main(int argc, char **argv) {
    int count = 0;
    for (int i = 1; i < argc; i++) count += replay_folder(argv[i]);
    printf("replayed %d inputs\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
