/*
 * The witness again, in one page that the kernel itself touches at exec: its segment is writable
 * and ends in memory that the file does not fill, so the kernel clears the rest of the page and
 * thereby maps it. The first instruction then needs no page fault.
 *
 * Build: cc -nostdlib -static -Wl,-N -o first_write_mapped first_write_mapped.S
 */
#include "first_write.S"

	.bss
	.space	64
