/* A TLS 1.2 server by OpenSSL that renegotiates once, on its own initiative, perhaps with another certificate.
 *
 *   renegotiate_openssl PORT CIPHERS FIRST.pem SECOND.pem [resume]   (a PEM holds a key and a chain; resume: an abbreviated handshake will do)
 *
 * It serves one connection: reads a line, renegotiates, answers, ends.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "%s\n", what);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

int main(int argc, char **argv) {
    check(argc >= 5, "usage: renegotiate_openssl PORT CIPHERS FIRST.pem SECOND.pem [resume]");
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    if (argc == 5)
        SSL_CTX_set_options(context, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    check(SSL_CTX_set_cipher_list(context, argv[2]), "ciphers");
    check(SSL_CTX_use_certificate_chain_file(context, argv[3]) == 1, argv[3]);
    check(SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) == 1, argv[3]);
    int listening = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check(bind(listening, (struct sockaddr *)&here, sizeof here) == 0 && listen(listening, 1) == 0, "port");
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, accept(listening, NULL, NULL));
    check(SSL_accept(ssl) == 1, "accept");
    char line[512];
    check(SSL_read(ssl, line, sizeof line) > 0, "request");
    check(SSL_use_certificate_chain_file(ssl, argv[4]) == 1 && SSL_use_PrivateKey_file(ssl, argv[4], SSL_FILETYPE_PEM) == 1, argv[4]);
    check(SSL_renegotiate(ssl) == 1, "renegotiate");
    check(SSL_do_handshake(ssl) == 1, "HelloRequest");
    SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY); /* so that reading returns once the handshake is through */
    while (SSL_read(ssl, line, sizeof line) <= 0 && SSL_renegotiate_pending(ssl))
        check(SSL_get_error(ssl, -1) == SSL_ERROR_WANT_READ, "renegotiation");
    SSL_write(ssl, "done\n", 5);
    SSL_shutdown(ssl);
    close(SSL_get_fd(ssl));
    return 0;
}
