// The functions of libcrypto that work on the caller's own context. OpenSSL 3 recommends EVP_Digest instead, which
// allocates, reads a configuration file and can fail. These cannot fail, and use the processor's SHA instructions too.
#define OPENSSL_API_COMPAT 0x10101000L
#include <openssl/sha.h>
#include <string.h>
#include "CCrypto.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct mv_sha256), "libcrypto's context fits");
_Static_assert(SHA256_DIGEST_LENGTH == MV_SHA256_BYTES, "the length of a digest");

void mv_sha256_start(struct mv_sha256 *digest) {
    SHA256_CTX context;
    SHA256_Init(&context);
    *digest = (struct mv_sha256){0};
    memcpy(digest, &context, sizeof context);
}

void mv_sha256_add(struct mv_sha256 *digest, const void *bytes, size_t count) {
    SHA256_CTX context;
    memcpy(&context, digest, sizeof context);
    SHA256_Update(&context, bytes, count);
    memcpy(digest, &context, sizeof context);
}

void mv_sha256_result(const struct mv_sha256 *digest, uint8_t result[MV_SHA256_BYTES]) {
    SHA256_CTX context;
    memcpy(&context, digest, sizeof context);
    SHA256_Final(result, &context);
}
