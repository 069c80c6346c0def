/* The service in the images of drills: answers HTTP on PORT, logs heartbeats. "check" asks it. USR1: sick; USR2: silent;
   HUP: logs an error and goes on. BROKEN in its environment makes every image sick. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t sick, silent, noisy;
static void on_usr1(int n) { (void)n; sick = 1; }
static void on_usr2(int n) { (void)n; silent = 1; }
static void on_hup(int n) { (void)n; noisy = 1; }
static void on_term(int n) { (void)n; _exit(0); }

int main(int count, char **words) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *port = getenv("PORT"), *version = getenv("VERSION");
    const char *does = count > 1 ? words[1] : "good";
    char text[512];
    at.sin_port = htons(atoi(port ? port : "0"));
    if (!strcmp(does, "check")) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(s, (void *)&at, sizeof at)) { printf("no connection\n"); return 1; }
        if (write(s, "GET / HTTP/1.0\r\n\r\n", 18) < 0) return 1;
        ssize_t size = read(s, text, sizeof text - 1);
        if (size < 12) return 1;
        printf("answered %.3s\n", text + 9);
        return memcmp(text + 9, "200", 3) != 0;
    }
    signal(SIGUSR1, on_usr1);
    signal(SIGUSR2, on_usr2);
    signal(SIGHUP, on_hup);
    signal(SIGTERM, on_term);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(does, "crash")) { printf("error: cannot start, token=abcdef\n"); return 3; }
    if (!strcmp(does, "sick") || getenv("BROKEN")) sick = 1;
    if (!strcmp(does, "mute")) silent = 1;
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server, (void *)&at, sizeof at) || listen(server, 16)) { printf("error: port %s\n", port); return 4; }
    for (;;) {
        struct pollfd wait = {.fd = server, .events = POLLIN};
        if (sick == 1) { printf("error: sick\n"); sick = 2; }
        if (noisy) { printf("error: noisy\n"); noisy = 0; }
        if (!silent) printf("heartbeat %s\n", version ? version : "?");
        if (poll(&wait, 1, 200) <= 0) continue;
        int s = accept(server, NULL, NULL);
        if (s < 0) continue;
        if (read(s, text, sizeof text) > 0) {
            int size = snprintf(text, sizeof text, "HTTP/1.0 %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
                                sick ? "500 Sick" : "200 OK");
            if (write(s, text, size) < 0) printf("gone\n");
        }
        close(s);
    }
}
