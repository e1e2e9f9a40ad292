/*
 * Behaves as a miner does, or nearly, and computes nothing: for tests of what the guard sees of a
 * running process. Ends by itself.
 *
 * Usage: behave HOW SECONDS
 *
 *   all      computes in all four rounding modes in turn
 *   busy     the same without a pause, in threads, and changes its mode every few microseconds
 *   up       computes while it rounds upward
 *   seldom   rounds upward and downward for one turn in thirty, and goes back, as interval arithmetic does
 *   nearest  never rounds otherwise than to the nearest
 *   code     has eight MiB of executable memory that are of no file, and is busy
 *   tree     starts two children that wait, and behaves as `all`
 *
 * A turn is a fifth of a millisecond of work and as long a pause, so that it is switched out often.
 * It never has more than CPU_SECONDS of processor time, nor lasts longer than SECONDS, at most 120.
 *
 * Build: cc -O2 -frounding-math -pthread -o behave behave.c -lm
 */
#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CPU_SECONDS 30
#define CODE_BYTES (8 << 20)

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static volatile double sink = 1.0;

static void turn(int mode, int pauses)
{
	double end = now() + 0.0002;

	fesetround(mode);
	while (now() < end)
		for (int i = 0; i < 100; i++)
			sink = sink * 1.0000001 + 1e-9;
	if (pauses)
		usleep(200);
	fesetround(FE_TONEAREST);
}

static void *busily(void *seconds)
{
	static const int modes[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
	double end = now() + *(int *)seconds;

	for (unsigned long number = 0; now() < end; number++) {
		fesetround(modes[number % 4]);
		for (int i = 0; i < 2000; i++)
			sink = sink * 1.0000001 + 1e-9;
	}
	return NULL;
}

int main(int count, char **arguments)
{
	static const int modes[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
	const struct rlimit limit = { CPU_SECONDS, CPU_SECONDS };
	const char *how = count > 1 ? arguments[1] : "nearest";
	int seconds = count > 2 ? atoi(arguments[2]) : 1;
	double end;

	if (seconds > 120)
		seconds = 120;
	setrlimit(RLIMIT_CPU, &limit);
	if (!strcmp(how, "tree")) {
		for (int child = 0; child < 2; child++) {
			if (!fork()) {
				sleep(seconds);
				return 0;
			}
		}
	}
	if (!strcmp(how, "code")) {
		char *code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (code == MAP_FAILED)
			return 1;
		memset(code, 0xc3, CODE_BYTES);
	}
	printf("begun\n");
	fflush(stdout);
	if (!strcmp(how, "busy")) {
		pthread_t thread;

		pthread_create(&thread, NULL, busily, &seconds);
		busily(&seconds);
		pthread_join(thread, NULL);
		return 0;
	}
	end = now() + seconds;
	for (unsigned long number = 0; now() < end; number++) {
		if (!strcmp(how, "all") || !strcmp(how, "tree"))
			turn(modes[number % 4], 1);
		else if (!strcmp(how, "up"))
			turn(FE_UPWARD, 1);
		else if (!strcmp(how, "seldom"))
			turn(number % 30 ? FE_TONEAREST : modes[1 + number / 30 % 2], 1);
		else
			turn(FE_TONEAREST, strcmp(how, "code"));
	}
	return 0;
}
