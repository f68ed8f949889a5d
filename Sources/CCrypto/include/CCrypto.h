// SHA-256 (FIPS 180-4) of libcrypto.
#ifndef MERGEVIT_CCRYPTO_H
#define MERGEVIT_CCRYPTO_H

#include <stddef.h>
#include <stdint.h>

enum { MV_SHA256_BYTES = 32 };

/// A running SHA-256: a plain value, which owns no memory. A copy continues on its own.
struct mv_sha256 {
    uint64_t context[16];
};

/// Starts a digest.
void mv_sha256_start(struct mv_sha256 *digest);

/// Takes the next `count` bytes.
void mv_sha256_add(struct mv_sha256 *digest, const void *bytes, size_t count);

/// Gives the SHA-256 of all bytes so far. Bytes may follow.
void mv_sha256_result(const struct mv_sha256 *digest, uint8_t result[MV_SHA256_BYTES]);

#endif
