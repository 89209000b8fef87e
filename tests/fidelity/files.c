/* Files: offsets, flags, deleted ones, locks, the working directory. */
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fd, twin, other;
static struct helper child;

static int make(const char *suffix, const char *text, int flags)
{
	char *path = path_of(suffix);
	const int made = open(path, O_CREAT | O_RDWR | O_CLOEXEC | flags, 0640);
	NEED(made >= 0 && write(made, text, strlen(text)) == (ssize_t)strlen(text));
	free(path);
	return made;
}

/* -- one open file shared by two descriptors and two processes; another one of its own */

static char read_one(char unused)
{
	(void)unused;
	char byte = 0;
	return read(fd, &byte, 1) == 1 ? byte : '!';
}

static void offsets_up(void)
{
	fd = make("file", "abcdefgh", 0);
	twin = dup(fd);
	char *path = path_of("file");
	other = open(path, O_RDONLY);
	NEED(other >= 0 && lseek(other, 1, SEEK_SET) == 1);
	child = spawn(read_one);
	NEED(lseek(fd, 3, SEEK_SET) == 3);
}

static void offsets_check(void)
{
	char byte = 0;
	CHECK(lseek(fd, 0, SEEK_CUR) == 3, "the offset moved");
	CHECK(lseek(other, 0, SEEK_CUR) == 1, "the offset of the second open file moved");
	CHECK(read(twin, &byte, 1) == 1 && byte == 'd', "the duplicate reads %c", byte);
	byte = request(&child, 'r');
	CHECK(byte == 'e', "the child reads %c", byte);
	CHECK(lseek(fd, 0, SEEK_CUR) == 5, "the offset is no longer shared");
	CHECK(lseek(other, 0, SEEK_CUR) == 1, "the two open files share an offset");
}

static void offsets_tamper(void)
{
	lseek(twin, 2, SEEK_SET);
}

VICTIM(offsets, "file-offset", offsets_up, offsets_check, offsets_tamper);

/* -- O_APPEND and the other flags of open files */

static void append_up(void)
{
	fd = make("file", "one", O_APPEND);
	twin = fcntl(fd, F_DUPFD, 40);
	NEED(twin == 40);
	NEED(lseek(fd, 0, SEEK_SET) == 0);
}

static void append_check(void)
{
	struct stat status;
	CHECK(fcntl(fd, F_GETFL) & O_APPEND, "O_APPEND is lost");
	CHECK(lseek(fd, 0, SEEK_CUR) == 0, "the offset moved");
	CHECK(write(twin, "two", 3) == 3 && !fstat(fd, &status), "write");
	CHECK(status.st_size == 6, "the file has %ld bytes, not 6", (long)status.st_size);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(twin, F_GETFD) == 0, "close-on-exec");
}

static void append_tamper(void)
{
	fcntl(fd, F_SETFL, 0);
}

VICTIM(append, "file-append", append_up, append_check, append_tamper);

/* -- an open directory */

static void directory_up(void)
{
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	NEED(fd >= 0);
}

static void directory_check(void)
{
	struct stat status;
	CHECK(!fstatat(fd, "home", &status, 0), "it is another directory");
}

static void directory_tamper(void)
{
	NEED(dup2(open("/proc", O_RDONLY | O_DIRECTORY), fd) == fd);
}

VICTIM(directory, "file-directory", directory_up, directory_check, directory_tamper);

/* -- files that have no name any more */

static char *mapped;

static void check_nameless(void)
{
	char text[8] = "";
	struct stat status;
	CHECK(!fstat(fd, &status) && status.st_nlink == 0, "it has a name");
	CHECK(status.st_size == 6, "size %ld", (long)status.st_size);
	CHECK((status.st_mode & 0777) == 0640 && status.st_uid == getuid(), "mode or owner");
	CHECK(pread(fd, text, 7, 0) == 6 && !strcmp(text, "hidden"), "content `%s`", text);
	CHECK(!memcmp(mapped, "hidden", 6), "the mapping differs");
	CHECK(pwrite(fd, "H", 1, 0) == 1 && mapped[0] == 'H', "the mapping is not of the file");
	mapped[1] = 'I';
	CHECK(pread(fd, text, 2, 0) == 2 && text[1] == 'I', "the file is not of the mapping");
}

static void map_nameless(void)
{
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(mapped != MAP_FAILED);
}

static void unlinked_up(void)
{
	fd = make("file", "hidden", 0);
	NEED(!unlink(path_of("file")));
	map_nameless();
}

static void unlinked_tamper(void)
{
	pwrite(fd, "x", 1, 5);
}

VICTIM(unlinked, "file-unlinked", unlinked_up, check_nameless, unlinked_tamper);

static void tmpfile_up(void)
{
	char *slash = path_of("x");
	*strrchr(slash, '/') = 0;
	fd = open(slash, O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	NEED(fd >= 0 && write(fd, "hidden", 6) == 6);
	map_nameless();
}

VICTIM(tmpfile, "file-tmpfile", tmpfile_up, check_nameless, unlinked_tamper);

/* -- O_PATH */

static void opath_up(void)
{
	NEED(make("file", "x", 0) >= 0);
	fd = open(path_of("file"), O_PATH | O_CLOEXEC);
	NEED(fd >= 0);
}

static void opath_check(void)
{
	struct stat status;
	CHECK(fcntl(fd, F_GETFL) & O_PATH, "O_PATH is lost");
	CHECK(!fstat(fd, &status) && status.st_size == 1, "it is another file");
}

static void opath_tamper(void)
{
	NEED(!truncate(path_of("file"), 0));
}

VICTIM(opath, "file-o-path", opath_up, opath_check, opath_tamper);

/* -- locks: a second open file, or another process, still finds them taken */

static void flock_up(void)
{
	fd = make("file", "x", 0);
	NEED(!flock(fd, LOCK_EX));
	other = open(path_of("file"), O_RDWR | O_CLOEXEC);
	NEED(other >= 0);
}

static void flock_check(void)
{
	CHECK(flock(other, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK, "the lock is lost");
	errno = 0;
	CHECK(!flock(fd, LOCK_UN) && !flock(other, LOCK_EX | LOCK_NB), "it cannot be passed on");
}

static void flock_tamper(void)
{
	flock(fd, LOCK_UN);
}

VICTIM(flock, "flock", flock_up, flock_check, flock_tamper);

static struct flock first_byte(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
}

static char whose(char unused)
{
	(void)unused;
	struct flock lock = first_byte(F_WRLCK);
	if (fcntl(fd, F_GETLK, &lock))
		return 'e';
	if (lock.l_type == F_UNLCK)
		return 'n';
	return lock.l_pid == getppid() ? 'p' : lock.l_pid == -1 ? 'o' : '?';
}

static void locks_up(int command)
{
	fd = make("file", "x", 0);
	struct flock lock = first_byte(F_WRLCK);
	NEED(!fcntl(fd, command, &lock));
	child = spawn(whose);
}

static void record_up(void)
{
	locks_up(F_SETLK);
}

static void record_check(void)
{
	const char answer = request(&child, '?');
	CHECK(answer == 'p', "a child sees the lock as %c, not as its parent's", answer);
}

static void record_tamper(void)
{
	struct flock lock = first_byte(F_UNLCK);
	fcntl(fd, F_SETLK, &lock);
}

VICTIM(record, "lock-posix", record_up, record_check, record_tamper);

static void ofd_up(void)
{
	locks_up(F_OFD_SETLK);
	other = open(path_of("file"), O_RDWR | O_CLOEXEC);
	NEED(other >= 0);
}

static void ofd_check(void)
{
	struct flock lock = first_byte(F_WRLCK);
	CHECK(!fcntl(other, F_OFD_GETLK, &lock), "F_OFD_GETLK");
	CHECK(lock.l_type == F_WRLCK && lock.l_pid == -1, "the lock is lost");
	lock = first_byte(F_RDLCK);
	CHECK(!fcntl(fd, F_OFD_SETLK, &lock), "the lock has another owner");
}

static void ofd_tamper(void)
{
	struct flock lock = first_byte(F_UNLCK);
	fcntl(fd, F_OFD_SETLK, &lock);
}

VICTIM(ofd, "lock-ofd", ofd_up, ofd_check, ofd_tamper);

/* -- where it is, and what it masks */

static void cwd_up(void)
{
	char *path = path_of("dir");
	NEED(!mkdir(path, 0700) && !chdir(path));
	umask(027);
}

static void cwd_check(void)
{
	char found[4096] = "";
	struct stat status;
	CHECK(getcwd(found, sizeof(found)) && !strcmp(found, path_of("dir")), "cwd is %s", found);
	CHECK(creat("made", 0666) >= 0 && !stat("made", &status), "no file can be made");
	CHECK((status.st_mode & 0777) == 0640, "umask: mode %o", status.st_mode);
}

static void cwd_tamper(void)
{
	NEED(!chdir("/"));
}

VICTIM(cwd, "cwd-umask", cwd_up, cwd_check, cwd_tamper);
