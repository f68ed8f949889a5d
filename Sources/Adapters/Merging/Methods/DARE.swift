import Compute
import Tensors

extension MergeMethod {
    private static let dropDensity = density(0.5, "chance of an element to be kept")

    /// The weighted sum of randomly thinned deltas.
    static let dare = MergeMethod(
        "dare", formula: "ΔW = s · Σ w_t mask_t ⊙ ΔW_t / density",
        source: "Yu et al., Language Models are Super Mario, ICML 2024 (arXiv 2311.03099)", parameters: dropDensity
    ) { inputs, density in
        try PerParameterDeltas(inputs.tasks).merged { name, parts in
            var sum = Matrix(rows: parts[0].delta.rows, columns: parts[0].delta.columns)
            for matrix in dropped(parts, name, density, seed: inputs.seed) { sum = sum + matrix }
            return .dense(sum)
        }
    }

    /// TIES' sign election over randomly thinned deltas.
    static let dareTies = MergeMethod(
        "dare-ties", formula: "ΔW = s · mean of the w_t mask_t ⊙ ΔW_t / density that have the sign of their sum",
        source: "Yu et al., ICML 2024 (arXiv 2311.03099), with the sign election of TIES (arXiv 2306.01708)",
        parameters: dropDensity
    ) { inputs, density in
        try PerParameterDeltas(inputs.tasks).merged { name, parts in
            let matrices = dropped(parts, name, density, seed: inputs.seed)
            return .dense(TIES.disjointMean(matrices, thresholds: parts.map { _ in 0 }))
        }
    }

    /// The tasks' matrices with elements dropped at random.
    private static func dropped(
        _ parts: [WeightedDelta], _ name: String, _ density: Double, seed: UInt64
    ) -> [Matrix] {
        parts.map { part in
            var dare = DARE(seed: seed, task: part.task, parameter: name)
            return dare.drop(part.delta.dense, density: density)
        }
    }
}

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
