/*
 * The witness of the kill tests: a program that tells on itself at once.
 *
 * The first thing it does is to write one byte to descriptor 3. It has no
 * loader, no libc and no start-up code, so nothing of it can run before that
 * write: a reader at the other end of the pipe that finds nothing knows that
 * not a single system call of the program took place. It then leaves with 0,
 * or with 1 if the byte could not be written, so that a benign run that lost
 * its byte is seen as harmed.
 *
 * Build: cc -nostdlib -static -o first_write first_write.S
 */

	.text
	.globl	_start
	.type	_start, %function

#if defined(__x86_64__)

_start:
	movl	$1, %eax		/* write(3, mark, 1) */
	movl	$3, %edi
	leaq	mark(%rip), %rsi
	movl	$1, %edx
	syscall
	xorl	%edi, %edi		/* exit(written != 1) */
	cmpq	$1, %rax
	setne	%dil
	movl	$60, %eax
	syscall

#elif defined(__aarch64__)

_start:
	mov	x8, #64			/* write(3, mark, 1) */
	mov	x0, #3
	adr	x1, mark
	mov	x2, #1
	svc	#0
	cmp	x0, #1			/* exit(written != 1) */
	cset	x0, ne
	mov	x8, #93
	svc	#0

#else
#error "first_write.S knows x86_64 and aarch64 only"
#endif

	.size	_start, . - _start

/* In the text section, so that one page holds the whole program. */
mark:
	.ascii	"x"

	.section .note.GNU-stack, "", %progbits
