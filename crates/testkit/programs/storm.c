/*
 * An exec storm: starts one program over and over, as fast as one process can, and says how long
 * each took from its execve to its death's being seen.
 *
 * Usage: storm CPU COUNT PROGRAM <arguments >what-the-programs-print 2>report
 *
 * CPU is the processor to stay on, or -1 for any. Standard input holds the argument list, each
 * argument followed by a NUL, so that no argument of the storm itself carries a banned string.
 * The report's first line is "exited killed failed wall_ns cpu_ns", the latter being the user and
 * system time of this process and its children; then comes one line of nanoseconds for each start.
 *
 * Build: cc -O2 -static -o storm storm.c
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_BYTES (1 << 20)
#define MOST_ARGUMENTS 65536
#define EXEC_FAILED 127

static char text[MOST_BYTES];
static char *arguments[MOST_ARGUMENTS + 1];
static char *environment[] = { NULL };

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static unsigned long long cpu(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ull +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ull;
}

static void read_arguments(void)
{
	size_t length = fread(text, 1, sizeof(text), stdin), at = 0;
	int count = 0;

	while (at < length && count < MOST_ARGUMENTS) {
		arguments[count++] = text + at;
		at += strlen(text + at) + 1;
	}
}

int main(int argc, char **argv)
{
	unsigned long long *took, wall, spent;
	long exited = 0, killed = 0, failed = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: storm CPU COUNT PROGRAM\n");
		return 2;
	}
	int processor = atoi(argv[1]);
	long count = atol(argv[2]);

	if (processor >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(processor, &set);
		if (sched_setaffinity(0, sizeof(set), &set)) {
			perror("sched_setaffinity");
			return 2;
		}
	}
	read_arguments();
	took = calloc(count, sizeof(*took));
	if (!took) {
		perror("calloc");
		return 2;
	}
	spent = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN);
	wall = now();
	for (long i = 0; i < count; i++) {
		volatile unsigned long long execve_at = 0;
		int status;
		pid_t child = vfork();

		if (child == 0) {
			/* The parent waits and shares this memory until the exec. */
			execve_at = now();
			execve(argv[3], arguments, environment);
			_exit(EXEC_FAILED);
		}
		if (child < 0 || waitpid(child, &status, 0) != child) {
			failed++;
			continue;
		}
		took[i] = now() - execve_at;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
		else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			exited++;
		else
			failed++;
	}
	wall = now() - wall;
	spent = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN) - spent;
	fprintf(stderr, "%ld %ld %ld %llu %llu\n", exited, killed, failed, wall, spent);
	for (long i = 0; i < count; i++)
		fprintf(stderr, "%llu\n", took[i]);
	return 0;
}
