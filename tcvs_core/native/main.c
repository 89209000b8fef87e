/*
 * tcvs-native: the live-fork engine's resident helper.
 *
 * For now it only answers its version; the engine grows in here.
 */
#include <stdio.h>
#include <string.h>

#ifndef TCVS_VERSION
#error "TCVS_VERSION comes from the build"
#endif

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		if (printf("tcvs-native %s\n", TCVS_VERSION) < 0 || fflush(stdout) != 0)
			return EXIT_FAILED;
		return EXIT_FINE;
	}
	fprintf(stderr, "usage: tcvs-native --version\n");
	return EXIT_USAGE;
}
