import Compute

/// DARE: drops elements at random and rescales the rest, so that the expectation stays.
///
/// Yu et al., Language Models are Super Mario, ICML 2024 (arXiv 2311.03099).
struct RandomDrop {
    private var generator: SplitMix64

    /// A generator of its own for each task and parameter, so that neither the order of adapters nor of parameters
    /// matters.
    init(seed: UInt64, task: String, parameter: String) {
        // FNV-1a over the names; SplitMix64 from there.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in Array(task.utf8) + [0xFF] + Array(parameter.utf8) {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        generator = SplitMix64(state: hash ^ (seed &* 0x9e37_79b9_7f4a_7c15))
        _ = generator.next()
    }

    /// The matrix with each element kept with probability `density` and divided by it, else zero.
    mutating func drop(_ matrix: Matrix, density: Double) -> Matrix {
        guard density < 1 else { return matrix }
        var result = matrix
        result.values.withUnsafeMutableBufferPointer { values in
            for index in values.indices {
                let isKept = generator.nextUniform() < density
                values[index] = isKept ? values[index] / density : 0
            }
        }
        return result
    }
}
