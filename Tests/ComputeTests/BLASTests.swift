import Glibc
import Testing

@testable import Compute

struct BLASTests {
    /// Old versions of the library take processors that they do not know for one that has SSE3 alone.
    @Test(.enabled(if: hasWideVectors && getenv("OPENBLAS_CORETYPE") == nil, "the processor has no AVX2"))
    func kernelsAreNotThoseOfAnOldProcessor() { #expect(BLAS.kernels != "Prescott") }

    private static let hasWideVectors: Bool = {
        guard let file = fopen("/proc/cpuinfo", "r") else { return false }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 1 << 16)
        while fgets(&line, Int32(line.count), file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                .split(whereSeparator: \.isWhitespace)
            if words.first == "flags" { return words.contains("avx2") && words.contains("fma") }
        }
        return false
    }()
}
