/* A TLS 1.2 server by NSS that renegotiates once, on its own initiative, perhaps with another certificate. NSS puts a whole flight into one record.
 *
 *   renegotiate_nss PORT SUITE DATABASE FIRST SECOND               (nicknames in an NSS database without a password)
 *
 * It serves one connection: reads a line, renegotiates, answers, ends.
 */
#include <cert.h>
#include <keyhi.h>
#include <nspr.h>
#include <nss.h>
#include <pk11func.h>
#include <prio.h>
#include <ssl.h>
#include <sslproto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "%s: %d\n", what, PR_GetError());
        exit(1);
    }
}

/* Certificates of one subject share a nickname: "a" is the first of them, "a+" the last. */
static void show(PRFileDesc *fd, const char *wanted) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(wanted, "+"), wanted);
    CERTCertList *found = PK11_FindCertsFromNickname(name, NULL);
    check(found != NULL && !CERT_LIST_EMPTY(found), name);
    CERTCertificate *certificate = (strchr(wanted, '+') ? CERT_LIST_TAIL(found) : CERT_LIST_HEAD(found))->cert;
    SECKEYPrivateKey *key = PK11_FindKeyByAnyCert(certificate, NULL);
    check(key != NULL, "key");
    check(SSL_ConfigServerCert(fd, certificate, key, NULL, 0) == SECSuccess, "certificate");
}

int main(int argc, char **argv) {
    check(argc == 6, "usage: renegotiate_nss PORT SUITE DATABASE FIRST SECOND");
    check(NSS_Init(argv[3]) == SECSuccess, argv[3]);
    SSL_ConfigServerSessionIDCache(0, 0, 0, NULL);
    PRFileDesc *listening = PR_NewTCPSocket();
    PRSocketOptionData reuse = {.option = PR_SockOpt_Reuseaddr, .value.reuse_addr = PR_TRUE};
    PR_SetSocketOption(listening, &reuse);
    PRNetAddr here;
    PR_InitializeNetAddr(PR_IpAddrLoopback, atoi(argv[1]), &here);
    check(PR_Bind(listening, &here) == PR_SUCCESS && PR_Listen(listening, 1) == PR_SUCCESS, "port");
    PRFileDesc *fd = SSL_ImportFD(NULL, PR_Accept(listening, NULL, PR_INTERVAL_NO_TIMEOUT));
    check(fd != NULL, "accept");
    SSLVersionRange versions = {SSL_LIBRARY_VERSION_TLS_1_2, SSL_LIBRARY_VERSION_TLS_1_2};
    SSL_VersionRangeSet(fd, &versions);
    SSL_OptionSet(fd, SSL_ENABLE_RENEGOTIATION, SSL_RENEGOTIATE_UNRESTRICTED);
    SSL_OptionSet(fd, SSL_NO_CACHE, PR_TRUE);
    for (int i = 0; i < SSL_NumImplementedCiphers; i++)
        SSL_CipherPrefSet(fd, SSL_ImplementedCiphers[i], PR_FALSE);
    check(SSL_CipherPrefSet(fd, strtol(argv[2], NULL, 16), PR_TRUE) == SECSuccess, "suite");
    show(fd, argv[4]);
    SSL_ResetHandshake(fd, PR_TRUE);
    check(SSL_ForceHandshake(fd) == SECSuccess, "handshake");
    char line[512];
    check(PR_Read(fd, line, sizeof line) > 0, "request");
    if (strcmp(argv[4], argv[5])) {
        show(fd, argv[5]);
    }
    check(SSL_ReHandshake(fd, PR_TRUE) == SECSuccess, "HelloRequest");
    check(SSL_ForceHandshake(fd) == SECSuccess, "renegotiation");
    PR_Write(fd, "done\n", 5);
    PR_Close(fd);
    return 0;
}
