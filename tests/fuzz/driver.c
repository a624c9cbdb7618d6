/* Runs a fuzzer over the files of the directories given: what a past fuzzing run found stays
 * found. */
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	size_t files = 0;

	for (int i = 1; i < argc; i++) {
		struct dirent **entries = NULL;
		int count = scandir(argv[i], &entries, NULL, alphasort);

		if (count < 0)
			err(1, "%s", argv[i]);
		for (int n = 0; n < count; n++) {
			size_t len = 0;

			if (entries[n]->d_name[0] != '.') {
				char *content = scratch_read(
					scratch_path(argv[i], entries[n]->d_name), &len);

				LLVMFuzzerTestOneInput((const uint8_t *)content, len);
				free(content);
				files++;
			}
			free(entries[n]);
		}
		free(entries);
	}
	printf("%zu seeds\n", files);
	return files ? 0 : 1;
}
