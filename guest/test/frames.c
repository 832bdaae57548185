// What a workload that is root may do to its network, for tests.
//
//   frames send IFACE                reads frames as lines of hexadecimal digits and sends each as it is
//   frames flood ADDRESS PORT COUNT  sends so many UDP packets of 1000 bytes, as fast as they go
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int send_frames(const char *name)
{
    int sock = socket(AF_PACKET, SOCK_RAW, 0);
    if (sock < 0) return fail("socket");
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned char frame[2048];
        size_t length = 0;
        unsigned int byte;
        while (length < sizeof frame && sscanf(line + 2 * length, "%2x", &byte) == 1) frame[length++] = (unsigned char)byte;
        if (length < ETH_HLEN) continue;
        if (sendto(sock, frame, length, 0, (struct sockaddr *)&to, sizeof to) < 0) return fail("sendto");
    }
    close(sock);
    return 0;
}

static int flood(const char *address, const char *port, long count)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) return fail("address");
    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (sock < 0) return fail("socket");
    char packet[1000] = {0};
    for (long sent = 0; sent < count; sent++)
        // Nobody may listen, and queues may be full: neither is of interest.
        if (sendto(sock, packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno != ENOBUFS
            && errno != ECONNREFUSED)
            return fail("sendto");
    close(sock);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "send") == 0) return send_frames(argv[2]);
    if (argc == 5 && strcmp(argv[1], "flood") == 0) return flood(argv[2], argv[3], atol(argv[4]));
    fprintf(stderr, "usage: frames send IFACE | frames flood ADDRESS PORT COUNT\n");
    return 2;
}
