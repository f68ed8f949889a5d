import Compute
import Tensors

/// DARE: drops elements at random and rescales the rest, so that the expectation stays.
///
/// Yu et al., Language Models are Super Mario, ICML 2024 (arXiv 2311.03099).
struct DARE {
    private var generator: SplitMix64

    /// A generator of its own for each task and parameter, so that neither the order of adapters nor of parameters
    /// matters.
    init(seed: UInt64, task: String, parameter: String) {
        generator = SplitMix64(seed: seed, hashOf: Array(task.utf8) + [0xFF] + Array(parameter.utf8))
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
